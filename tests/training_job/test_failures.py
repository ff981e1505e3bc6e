"""Every way to fail that the job can explain: the code, the sentence, the place, and nothing else written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.training_job.conftest import Finished, RequestMaker, write_rows
from training_job import ending, session
from training_job.ending import Ending
from training_job.failures import CODES, JobError
from training_job.request import parse_request
from training_job.session import Job, recognise, run_request
from training_job.storage import FileDigest, Storage
from training_job.training_folder import TrainingFolder

Run = Callable[[dict[str, Any]], Finished]


def test_failure_names_the_training_and_fits_the_contract(
    run: Run, requests: RequestMaker, rows: Path
) -> None:
    document = requests.document([rows], [rows], num_features=3)
    document["inputs"]["train"][0]["size"] += 1
    failure = run(document).failure
    assert set(failure) == {"format_version", "training", "code", "sentence", "place", "lines"}
    assert failure["training"] == document["training"]
    assert failure["code"] == "input_changed"
    assert failure["place"] == {"file": requests.uri(rows), "line": None}
    assert f"now has {rows.stat().st_size} bytes" in failure["sentence"]


def test_object_that_is_gone_is_input_changed(run: Run, requests: RequestMaker, rows: Path) -> None:
    gone = write_rows(rows.parent / "gone.libsvm", "1 1:1")
    document = requests.document([rows, gone], [rows], num_features=3)
    gone.unlink()
    failure = run(document).failure
    assert failure["code"] == "input_changed"
    assert "gone.libsvm is gone" in failure["sentence"]


def test_input_of_an_unknown_file_system_is_unreadable(run: Run, requests: RequestMaker, rows: Path) -> None:
    document = requests.document([rows], [rows], num_features=3)
    document["inputs"]["test"][0]["uri"] = "nowhere://bucket/key"
    failure = run(document).failure
    assert failure["code"] == "input_unreadable"
    assert failure["place"]["file"] == "nowhere://bucket/"


@pytest.mark.parametrize("lines", [[], ["# only a comment"], [""]], ids=["empty", "comment", "blank"])
def test_split_without_rows(run: Run, requests: RequestMaker, rows: Path, lines: list[str]) -> None:
    empty = write_rows(rows.parent / "empty.libsvm", *lines)
    failure = run(requests.document([rows], [empty], num_features=3)).failure
    assert failure["code"] == "no_rows"
    assert "the test split" in failure["sentence"]


def test_split_of_one_class(run: Run, requests: RequestMaker, rows: Path) -> None:
    ones = write_rows(rows.parent / "ones.libsvm", "1 1:1", "1 2:1")
    failure = run(requests.document([ones], [rows], num_features=3)).failure
    assert failure["code"] == "one_class"
    assert failure["sentence"] == "all 2 rows of the train split are of class 1; both are needed"


def test_offending_lines_are_few_and_short(run: Run, requests: RequestMaker, rows: Path) -> None:
    bad = write_rows(rows.parent / "bad.libsvm", "0 1:1", *(f"1 {'x' * 300}{n}" for n in range(9)))
    failure = run(requests.document([bad], [rows], num_features=3)).failure
    assert failure["place"]["line"] == 2
    assert [len(line) for line in failure["lines"]] == [200] * 5


def test_line_number_counts_through_the_parts_that_spark_reads(
    spark: SparkSession, run: Run, requests: RequestMaker, rows: Path
) -> None:
    lines = [f"{n % 2} 1:{n}" for n in range(2000)]
    lines[1500] = "1 1:oops"
    big = write_rows(rows.parent / "big.libsvm", *lines)
    spark.conf.set("spark.sql.files.maxPartitionBytes", "1000")
    try:
        failure = run(requests.document([big], [rows], num_features=3)).failure
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert failure["place"] == {"file": requests.uri(big), "line": 1501}


@pytest.mark.parametrize(
    ("learner", "expected"),
    [
        ({"name": "Perceptron", "params": {}}, "learner.name is 'Perceptron'; expected GBTClassifier or"),
        ({"name": "LogisticRegression", "params": {"lambda": 1}}, "learner.params is 'lambda'"),
        ({"name": "LogisticRegression", "params": {"regParam": -1}}, "regParam given invalid value -1"),
        (
            {"name": "LogisticRegression", "params": {"elasticNetParam": 2}},
            "elasticNetParam given invalid value",
        ),
        ({"name": "LogisticRegression", "params": {"maxIter": 1.5}}, "maxIter"),
        ({"name": "LogisticRegression", "params": {"fitIntercept": 1}}, "fitIntercept"),
        (
            {"name": "RandomForestClassifier", "params": {"impurity": "variance"}},
            "impurity given invalid value",
        ),
    ],
)
def test_bad_learner_is_refused_before_anything_is_read(
    run: Run, requests: RequestMaker, rows: Path, learner: dict[str, Any], expected: str
) -> None:
    document = requests.document([rows], [rows], num_features=3)
    document["learner"] = learner
    document["inputs"]["train"][0]["uri"] = "file:///nowhere/at-all"
    failure = run(document).failure
    assert failure["code"] == "bad_request"
    assert expected in failure["sentence"]


def test_bad_request_is_reported_beside_the_request(run: Run, requests: RequestMaker) -> None:
    failure = run({"format_version": 7}).failure
    assert failure["code"] == "bad_request"
    assert failure["sentence"] == "request.json: format_version is 7; expected 2"


def test_request_that_is_not_there_is_reported_where_it_should_be(
    spark: SparkSession, requests: RequestMaker
) -> None:
    uri = requests.uri(requests.output / "request.json")
    failure = requests.finished(run_request(spark, uri, lambda job: None)).json("failure.json")
    assert "cannot be read" in failure["sentence"]


def test_missing_numpy_is_said_before_the_steps(
    spark: SparkSession, requests: RequestMaker, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.importlib.util, "find_spec", lambda name: None)
    uri = requests.write(requests.document([rows], [rows], num_features=3))
    finished = requests.finished(run_request(spark, uri, lambda job: pytest.fail("the steps ran")))
    assert finished.failure["code"] == "numpy_missing"


def test_numpy_missing_on_executors_is_recognised() -> None:
    failure = recognise(RuntimeError("…\nModuleNotFoundError: No module named 'numpy'\n…"))
    assert failure is not None
    assert failure.code == "numpy_missing"


def test_out_of_memory_is_recognised_in_sparks_own_error(spark: SparkSession) -> None:
    with pytest.raises(Exception, match="OutOfMemory") as caught:
        spark.range(1).selectExpr("raise_error('java.lang.OutOfMemoryError: Java heap space')").collect()
    failure = recognise(caught.value)
    assert failure is not None
    assert failure.code == "out_of_memory"


def test_steps_that_run_out_of_memory_leave_a_failure(
    spark: SparkSession, requests: RequestMaker, rows: Path
) -> None:
    def steps(job: Job) -> None:
        raise MemoryError

    uri = requests.write(requests.document([rows], [rows], num_features=3))
    assert requests.finished(run_request(spark, uri, steps)).failure["code"] == "out_of_memory"


def test_error_nobody_can_explain_comes_up_as_it_is(
    spark: SparkSession, requests: RequestMaker, rows: Path
) -> None:
    def steps(job: Job) -> None:
        raise LookupError("something new")

    uri = requests.write(requests.document([rows], [rows], num_features=3))
    with pytest.raises(LookupError, match="something new"):
        run_request(spark, uri, steps)
    assert not (requests.finished(0).output / "failure.json").exists()


def test_failure_while_saving_takes_back_what_was_written(
    spark: SparkSession, requests: RequestMaker, rows: Path
) -> None:
    def steps(job: Job) -> None:
        folder = job.begin_saving()
        folder.write_json("metrics.json", {})
        raise JobError("out_of_memory", "at the worst moment")

    uri = requests.write(requests.document([rows], [rows], num_features=3))
    assert requests.finished(run_request(spark, uri, steps)).failure["code"] == "out_of_memory"


def test_deadline_ends_the_process_with_a_failure(
    spark: SparkSession, requests: RequestMaker, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exits: list[int] = []
    ended = threading.Event()
    monkeypatch.setattr(ending.os, "_exit", lambda code: (exits.append(code), ended.set()))
    document = requests.document([rows], [rows], num_features=3)
    document["deadline"] = (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat()
    requests.write(document)
    request = parse_request((requests.output / "request.json").read_bytes())
    Ending(Storage(spark), "file:///nowhere/").begin(request)
    assert ended.wait(120)
    assert exits == [1]
    failure = requests.finished(1).failure
    assert failure["code"] == "deadline_exceeded"
    assert failure["training"] == document["training"]


def test_job_that_fails_or_writes_behind_its_deadline_waits_for_the_report(
    spark: SparkSession, requests: RequestMaker, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, reporting, go_on = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(ending.os, "_exit", lambda code: ended.set())
    document = requests.document([rows], [rows], num_features=3)
    document["deadline"] = datetime.now(timezone.utc).isoformat()
    requests.write(document)
    request = parse_request((requests.output / "request.json").read_bytes())
    storage = SlowStorage(spark, reporting, go_on)
    end = Ending(storage, "file:///nowhere/")
    end.saving()
    end.begin(request)
    assert reporting.wait(120)
    folder = TrainingFolder(Storage(spark), request, before_writing=end.stand_by)
    late = [
        threading.Thread(target=step, daemon=True)
        for step in (
            lambda: end.fail(JobError("one_class", "behind the deadline")),
            lambda: folder.write_json("metrics.json", {}),
        )
    ]
    for thread in late:
        thread.start()
        thread.join(0.2)
    # as a write does that was under way at the deadline
    (requests.output / "curves.json").write_text("{}")
    go_on.set()
    assert ended.wait(120)
    assert all(thread.is_alive() for thread in late)
    assert requests.finished(1).failure["code"] == "deadline_exceeded"
    assert {path.name for path in requests.output.glob("*.json")} == {"request.json", "failure.json"}


class SlowStorage(Storage):
    """Waits before it writes."""

    def __init__(self, spark: SparkSession, reporting: threading.Event, go_on: threading.Event) -> None:
        super().__init__(spark)
        self._reporting, self._go_on = reporting, go_on

    def write_bytes(self, uri: str, content: bytes) -> FileDigest:
        self._reporting.set()
        assert self._go_on.wait(120)
        return super().write_bytes(uri, content)


def test_deadline_does_not_end_a_job_that_has_ended(
    spark: SparkSession, requests: RequestMaker, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exits: list[int] = []
    monkeypatch.setattr(ending.os, "_exit", exits.append)
    requests.write(requests.document([rows], [rows], num_features=3))
    request = parse_request((requests.output / "request.json").read_bytes())
    end = Ending(Storage(spark), "file:///nowhere/")
    before = set(threading.enumerate())
    end.begin(request)
    (watch,) = {thread for thread in threading.enumerate() if thread.name == "deadline"} - before
    end.succeed(lambda: None)
    watch.join(120)
    assert not watch.is_alive(), "it waits for the deadline of a job that has ended"
    # as where it wakes up before it is told of the end
    end._over.clear()
    end._watch(datetime.now(timezone.utc))
    assert exits == []
    assert not (requests.finished(0).output / "failure.json").exists()


def test_every_code_is_tried() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [code for code in CODES if f'"{code}"' not in tests] == []
