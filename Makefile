SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# uv is the only thing taken before the lock is read; it is pinned in the lock as well
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.txt)
BIN := .venv/bin
# two test files at once; a file stays in one process, since its tests share a stack, a Spark or a server; in the order
# of tests/conftest.py, not of how many tests a file has
AT_ONCE := --numprocesses=2 --dist=loadfile --no-loadscope-reorder

help: ## this list
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

.venv/ready: requirements.txt pyproject.toml
	@exec bash .ci/make-venv $(UV_VERSION)

.venv-%/ready: requirements-%.txt .venv/ready
	@exec bash .ci/make-group-venv $*

demo: .venv/ready ## the main job on this machine: start everything, train four models, show the table, stop
	@exec $(BIN)/python -m trainyard.laptop demo

up: .venv/ready ## start PostgreSQL, local_aws and Airflow and stay in the foreground
	@exec $(BIN)/python -m trainyard.laptop up

down: .venv/ready ## stop what `make up` started
	@exec $(BIN)/python -m trainyard.laptop down

test: .venv/ready ## the test suite
	@exec $(BIN)/pytest $(AT_ONCE)

.PHONY: test-spark4
test-spark4: .venv-spark4/ready ## the job's tests and local_aws's Spark steps on Spark 4, where there is a full JDK 17 or 21
	@exec bash .ci/test-spark4

.PHONY: test-aws-clients
test-aws-clients: .venv-aws-cli/ready .venv-deferrable/ready ## the AWS CLI and Airflow's stock EMR operators, deferrable too, against local_aws
	@exec $(BIN)/pytest tests/aws_clients --aws-clients

.PHONY: test-faults
test-faults: .venv/ready ## what goes wrong: workers, clusters, AWS, the ledger and Airflow's own processes killed in the middle; 15 minutes
	@exec $(BIN)/pytest tests/faults --faults

.PHONY: test-random-lives
test-random-lives: .venv/ready ## 500 random lives of EMR's clusters, others each time; RANDOM_LIVES=n for more
	@RANDOM_LIVES=$${RANDOM_LIVES:-500} exec $(BIN)/pytest tests/local_aws/emr/test_random_lives.py --timeout 0

.PHONY: fidelity test-fidelity
fidelity: .venv/ready ## fetch the jars of Hadoop's S3A with Maven, for s3:// as on EMR
	@exec bash .ci/fetch-s3a-jars 3.5 4.0

test-fidelity: fidelity ## the job's tests and local_aws's Spark steps, with s3:// by Hadoop's real S3A
	@[ -d build/s3a/3.5 ] || { echo "test-fidelity: skipped, for the jars are not here"; exit 0; }; \
	exec $(BIN)/pytest tests/training_job tests/local_aws/test_spark_steps.py --s3a-jars build/s3a \
	$(and $(wildcard .venv-spark4/ready),$(wildcard build/s3a/4.0),--spark4 .venv-spark4)

lint: .venv/ready ## ruff, mypy strict, import-linter, the lock against pyproject.toml
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.:spark_jobs $(BIN)/lint-imports
	@exec bash .ci/check-lock $(BIN)/uv

bench-local-aws: .venv/ready ## a thousand simulated clusters at once, 200 calls a second: latency and memory of local_aws
	@exec $(BIN)/python -m benchmarks.local_aws

bench-publish: .venv/ready .venv-pandas/ready ## publishing 1,000 models against a bare COPY and pandas; readers during switches; the gate on 1,000 seeds
	@export PYTHONPATH=.:plugins; missed=0; \
	$(BIN)/python -m benchmarks.publish || missed=1; \
	$(BIN)/python -m benchmarks.publish.gate || missed=1; exit $$missed

.PHONY: bench-fanout
bench-fanout: .venv-fanout/ready ## hundreds of models at once against the stock operators and dag-factory: whole runs, waiting, parsing, launches
	@PYTHONPATH=.:plugins exec .venv-fanout/bin/python -m benchmarks.fanout

.PHONY: bench-train bench-train-scale
bench-train: .venv/ready ## the training job against the original RDD workflow and scikit-learn: whole processes, 1x and 4x the rows
	@exec $(BIN)/python -m benchmarks.train

bench-train-scale: .venv/ready ## 50 million scored rows, then 5 million rows of train, with a driver of 1 GB; 10 GB of disk
	@missed=0; \
	$(BIN)/python -m benchmarks.train.scale || missed=1; \
	$(BIN)/python -m benchmarks.train.fit_many || missed=1; exit $$missed

format: .venv/ready ## let ruff put the code in form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

env: ## write .env, the secrets of docker-compose.yaml
	@exec bash .ci/make-env

lock: .venv/ready ## pin requirements.txt and requirements-mwaa.txt anew from pyproject.toml
	@exec bash .ci/lock $(BIN)/uv

.PHONY: help demo up down test lint bench-local-aws bench-publish format env lock
