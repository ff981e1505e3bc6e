"""The one step of a cluster, and how its Python gets the packages that the job needs.

Sources: https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark-submit-step.html and
https://spark.apache.org/docs/3.5.6/api/python/user_guide/python_packaging.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainyard.instances import architecture
from trainyard.portfolio import Cluster
from trainyard.training import S3Uri, Training

_ENVIRONMENT = "environment"
# the Python that Spark runs on where nothing else is said, by what a release's label begins with
_PYTHON_OF_RELEASE = {"emr-spark-8.": "python3.11", "emr-7.": "python3.9"}


@dataclass(frozen=True)
class JobCode:
    """The staged code of the training job.

    :param script: what spark-submit runs
    :param py_files: the archive of its package
    :param install_wheels: the bootstrap action that installs a folder of wheels
    """

    script: S3Uri
    py_files: S3Uri
    install_wheels: S3Uri


def step(training: Training, attempt: int, *, cluster: Cluster, code: JobCode) -> dict[str, Any]:
    """The step that trains; the cluster fails and ends with it."""
    return {
        "Name": f"train {training.model} on {training.data_date.isoformat()}",
        "ActionOnFailure": "TERMINATE_CLUSTER",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": [
                "spark-submit",
                "--deploy-mode",
                "cluster",
                # YARN would otherwise run a failed driver again, silently, into the same attempt
                "--conf",
                "spark.yarn.maxAppAttempts=1",
                # a step that does not wait ends at once, well, and its cluster with it
                "--conf",
                "spark.yarn.submit.waitAppCompletion=true",
                *_environment(cluster),
                "--py-files",
                code.py_files,
                code.script,
                "--request",
                training.request_uri(attempt),
            ],
        },
    }


def bootstrap_actions(cluster: Cluster, code: JobCode) -> list[dict[str, Any]]:
    """The scripts that run before Spark starts: the wheels' first, then the portfolio's."""
    actions = [_action(name, action.path, action.args) for name, action in cluster.bootstrap_actions.items()]
    if not cluster.python.wheels:
        return actions
    wheels = _for_this_cluster(cluster.python.wheels, cluster)
    python = next(
        (python for label, python in _PYTHON_OF_RELEASE.items() if cluster.release.startswith(label)),
        "python3",
    )
    return [_action("install wheels", code.install_wheels, (wheels, python)), *actions]


def _environment(cluster: Cluster) -> Iterator[str]:
    if not cluster.python.archive:
        return
    archive = _for_this_cluster(cluster.python.archive, cluster)
    yield from ("--archives", f"{archive}#{_ENVIRONMENT}")
    for place in ("spark.yarn.appMasterEnv", "spark.executorEnv"):
        yield from ("--conf", f"{place}.PYSPARK_PYTHON=./{_ENVIRONMENT}/bin/python")


def _for_this_cluster(template: str, cluster: Cluster) -> str:
    return template.format(release=cluster.release, architecture=architecture(cluster.primary.instance_type))


def _action(name: str, path: str, args: tuple[str, ...]) -> dict[str, Any]:
    return {"Name": name, "ScriptBootstrapAction": {"Path": path, "Args": list(args)}}
