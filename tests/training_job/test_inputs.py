"""What forms inputs may have, how weights and groups come in, and what is cut from train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tests.training_job.conftest import Finished, RequestMaker, write_rows
from train_evaluate import train_and_evaluate
from training_job.failures import JobError
from training_job.inputs import InputObject
from training_job.loading import Splits, load_splits
from training_job.session import run_request
from training_job.sources import check_objects
from training_job.storage import Storage, StoredFile

Run = Callable[[dict[str, Any]], Finished]
Load = Callable[[dict[str, Any]], Splits]
SPARSE = "label double, indices array<int>, values array<double>"


@pytest.fixture
def load(spark: SparkSession, requests: RequestMaker) -> Load:
    """The splits that the job makes of a request's inputs."""

    def load_document(document: dict[str, Any]) -> Splits:
        found: list[Splits] = []
        code = run_request(spark, requests.write(document), lambda job: found.append(load_splits(job)))
        assert code == 0, requests.finished(code).json("failure.json")
        return found[0]

    return load_document


@pytest.fixture
def write_parquet(spark: SparkSession, tmp_path: Path) -> Callable[..., list[Path]]:
    """Writes rows as Parquet files below a folder of the test; returns the files."""

    def write(name: str, rows: list[Any], schema: Any, *, files: int = 1) -> list[Path]:
        folder = tmp_path / name
        spark.createDataFrame(rows, schema).repartition(files).write.parquet(str(folder))
        return sorted(folder.glob("part-*.parquet"))

    return write


def collected(rows: Any) -> list[tuple[float, list[float]]]:
    return sorted((row["label"], row["features"].toArray().tolist()) for row in rows.collect())


ROWS = [(0.0, [0], [1.0]), (1.0, [0, 2], [1.0, 2.0]), (0.0, [], []), (1.0, [1], [1.0])]
AS_ROWS = [(0.0, [0.0, 0.0, 0.0]), (0.0, [1.0, 0.0, 0.0]), (1.0, [0.0, 1.0, 0.0]), (1.0, [1.0, 0.0, 2.0])]


def parquet(requests: RequestMaker, train: list[Path], test: list[Path], **more: Any) -> dict[str, Any]:
    document = requests.document(train, test, num_features=3)
    document["inputs"]["format"] = "parquet"
    return document | more


def test_parquet_of_indices_and_values_is_read(
    load: Load, requests: RequestMaker, write_parquet: Callable[..., list[Path]]
) -> None:
    files = write_parquet("train", ROWS, SPARSE, files=2)
    splits = load(parquet(requests, files, files))
    assert collected(splits.train.rows) == AS_ROWS
    assert (splits.train.row_count, splits.train.positives, splits.train.weight_column) == (4, 2, None)
    assert splits.train.profile.sums.tolist() == [2.0, 1.0, 2.0]


def test_parquet_of_vectors_dense_and_sparse_is_read(
    load: Load, requests: RequestMaker, write_parquet: Callable[..., list[Path]]
) -> None:
    rows = [(int(label), Vectors.sparse(3, indices, values)) for label, indices, values in ROWS[:2]]
    rows += [(0, Vectors.dense([0, 0, 0])), (1, Vectors.dense([0, 1, 0]))]
    files = write_parquet("train", rows, ["label", "features"])
    assert collected(load(parquet(requests, files, files)).train.rows) == AS_ROWS


BAD_ROWS = {
    "index from 1": ((1.0, [3], [1.0]), "bad_index", "from 0 to num_features - 1, 2"),
    "index not ascending": ((1.0, [1, 0], [1.0, 1.0]), "bad_index", "do not ascend"),
    "one value too few": ((1.0, [0, 1], [1.0]), "bad_index", "not as many as the values"),
    "not finite": ((1.0, [0], [float("nan")]), "not_finite", "not finite"),
    "no value": ((1.0, [0], [None]), "not_finite", "missing"),
    "no label": ((None, [0], [1.0]), "malformed_input", "the label is missing"),
    "no features": ((1.0, None, None), "malformed_input", "the features are missing"),
    "unknown label": (
        (3.0, [0], [1.0]),
        "label_not_mapped",
        "the label is not in the mapping; it knows 0, 1",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_row_of_parquet_is_told_with_file_and_row(
    run: Run, requests: RequestMaker, write_parquet: Callable[..., list[Path]], case: str
) -> None:
    row, code, said = BAD_ROWS[case]
    good = write_parquet("good", ROWS, SPARSE)
    (bad,) = write_parquet("bad", [*ROWS, row, *ROWS], SPARSE)
    # one partition keeps the order of the rows
    failure = run(parquet(requests, [*good, bad], good)).failure
    assert (failure["code"], failure["place"]["file"]) == (code, requests.uri(bad))
    assert said in failure["sentence"]
    assert 1 <= failure["place"]["line"] <= 9
    assert len(failure["lines"]) == 1


def test_other_files_are_no_parquet(
    run: Run, requests: RequestMaker, rows: Path, write_parquet: Callable[..., list[Path]], tmp_path: Path
) -> None:
    (whole,) = good = write_parquet("good", ROWS, SPARSE)
    (unlabelled,) = write_parquet("unlabelled", [([0], [1.0])], "indices array<int>, values array<double>")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-30])
    for bad, said in ((rows, "is not Parquet"), (cut, "is not Parquet"), (unlabelled, "label is not there")):
        failure = run(parquet(requests, [bad], good)).failure
        assert (failure["code"], said in failure["sentence"]) == ("wrong_format", True)
        assert failure["place"]["file"] == requests.uri(bad)


def test_weights_and_groups_of_parquet_come_in(
    load: Load, requests: RequestMaker, write_parquet: Callable[..., list[Path]]
) -> None:
    rows = [(*row, 0.5 + n, f"user-{n % 2}") for n, row in enumerate(ROWS)]
    files = write_parquet("train", rows, f"{SPARSE}, weight double, user string")
    train = load(parquet(requests, files, files, group_key="user")).train
    assert (train.weight_column, train.group_column) == ("weight", "group")
    assert (train.row_count, train.weighted_rows, train.weighted_positives) == (4, 8.0, 5.0)
    assert train.base_rate == 5 / 8
    assert train.rows.groupBy("group").count().count() == 2


def test_weight_that_is_no_number_above_0_is_refused(
    run: Run, requests: RequestMaker, write_parquet: Callable[..., list[Path]]
) -> None:
    rows = [(*row, float(n - 1)) for n, row in enumerate(ROWS)]
    files = write_parquet("train", rows, f"{SPARSE}, weight double")
    failure = run(parquet(requests, files, files)).failure
    assert failure["code"] == "not_finite"
    assert "the weight is missing or no number above 0" in failure["sentence"]
    assert "cannot be taken: 2," in failure["sentence"]


def test_kept_negatives_weigh_what_they_stand_for(load: Load, requests: RequestMaker, rows: Path) -> None:
    document = requests.document([rows], [rows], num_features=3)
    document["inputs"]["negatives_kept"] = {"train": 1, "test": 0.25}
    splits = load(document)
    assert splits.train.weight_column is None
    assert (splits.test.weight_column, splits.test.row_count) == ("weight", 8)
    assert (splits.test.weighted_rows, splits.test.weighted_positives) == (4 + 16, 4)
    assert {tuple(row) for row in splits.test.rows.select("label", "weight").collect()} == {(0, 4), (1, 1)}


def test_negatives_of_what_is_cut_from_train_weigh_as_trains_do(
    load: Load, requests: RequestMaker, tmp_path: Path
) -> None:
    document = cut(requests, many(tmp_path / "all.libsvm"))
    document["inputs"]["negatives_kept"] = {"train": 0.1}
    splits = load(document)
    for split in (splits.train, splits.validation, splits.test):
        negatives = split.row_count - split.positives
        assert split.weighted_rows == pytest.approx(split.positives + 10 * negatives), split.name


class Listing:
    """A file system that knows ETags, or none."""

    def __init__(self, etag: str | None) -> None:
        self._etag = etag

    def files_in(self, folder: str) -> dict[str, StoredFile]:
        return {"part-0": StoredFile(12, self._etag)}


def test_object_that_changed_at_its_size_is_told_by_its_etag() -> None:
    objects = (InputObject("s3://features/part-0", 12, '"one"'),)
    for same in ("one", None):
        check_objects(cast("Storage", Listing(same)), objects)
    check_objects(cast("Storage", Listing("two")), (InputObject("s3://features/part-0", 12, None),))
    with pytest.raises(JobError, match=r"has other contents than .*: its ETag is two and was one") as caught:
        check_objects(cast("Storage", Listing("two")), objects)
    assert caught.value.code == "input_changed"


def test_split_that_leaves_train_without_rows_is_told(
    run: Run, requests: RequestMaker, tmp_path: Path
) -> None:
    same = write_rows(tmp_path / "same.libsvm", *["0 1:1", "1 1:1"] * 4)
    for seed in range(3):
        document = requests.document([same], [same], num_features=3)
        document["inputs"] |= {"test": None, "split": {"test": 0.97, "validation": None, "seed": seed}}
        failure = run(document).failure
        if failure["code"] == "no_rows":
            break
    assert "the train split holds no rows" in failure["sentence"]


MIXED = {
    "label double, indices array<int>, values array<string>": [(1.0, [0], ["1"]), (0.0, [1], ["1"])],
    "label string, indices array<int>, values array<double>": [("1", [0], [1.0]), ("0", [1], [1.0])],
}


@pytest.mark.parametrize("schema", MIXED)
@pytest.mark.parametrize("odd_first", [True, False])
def test_files_of_unlike_columns_are_told(
    run: Run,
    requests: RequestMaker,
    write_parquet: Callable[..., list[Path]],
    schema: str,
    odd_first: bool,
) -> None:
    good = write_parquet("b-good", ROWS, SPARSE)
    odd = write_parquet("a-odd" if odd_first else "c-odd", MIXED[schema], schema)
    failure = run(parquet(requests, [*odd, *good] if odd_first else [*good, *odd], good)).failure
    assert failure["code"] == "wrong_format"
    assert failure["place"]["file"] in map(requests.uri, [*odd, *good])


def test_group_key_may_have_a_dot_in_its_name(
    load: Load, run: Run, requests: RequestMaker, write_parquet: Callable[..., list[Path]]
) -> None:
    rows = [(*row, f"user-{n % 2}") for n, row in enumerate(ROWS)]
    files = write_parquet("dotted", rows, f"{SPARSE}, `user.id` string")
    train = load(parquet(requests, files, files, group_key="user.id")).train
    assert train.rows.groupBy("group").count().count() == 2
    rows = [(*row, {"id": n}) for n, row in enumerate(ROWS)]
    files = write_parquet("mapped", rows, f"{SPARSE}, user map<string,int>")
    failure = run(parquet(requests, files, files, group_key="user")).failure
    assert failure["code"] == "wrong_format"
    assert "user is map<string,int>; expected user, the group key, of a plain type" in failure["sentence"]


def test_qid_groups_rows_of_libsvm(load: Load, run: Run, requests: RequestMaker, tmp_path: Path) -> None:
    grouped = write_rows(
        tmp_path / "grouped.libsvm", "0 qid:a 1:1", "1 qid:a 2:1", "0 qid:b 1:1", "1 qid:c 3:1"
    )
    document = requests.document([grouped], [grouped], num_features=3) | {"group_key": "qid"}
    train = load(document).train
    groups = [row["group"] for row in train.rows.orderBy("group").collect()]
    assert (len(groups), len(set(groups)), train.group_column) == (4, 3, "group")
    bare = write_rows(tmp_path / "bare.libsvm", "0 qid:a 1:1", "1 2:1")
    failure = run(requests.document([bare], [grouped], num_features=3) | {"group_key": "qid"}).failure
    assert "the row has no qid" in failure["sentence"]
    assert failure["place"]["line"] == 2


def many(path: Path, *, groups: int = 0) -> Path:
    """6,000 rows, 1,500 different ones, of both classes; with ``groups``, that many of them."""
    return write_rows(
        path,
        *(
            f"{n % 3 % 2}{f' qid:{n % groups}' if groups else ''} 1:{n % 1500} 2:{n % 7 + 1}"
            for n in range(6_000)
        ),
    )


def cut(requests: RequestMaker, train: Path, *, seed: int = 0, **more: Any) -> dict[str, Any]:
    document = requests.document([train], [train], num_features=3) | more
    document["inputs"] |= {"test": None, "split": {"test": 0.25, "validation": 0.2, "seed": seed}}
    return document


def features_of(split: Any) -> set[str]:
    return {str(row["features"]) for row in split.rows.select("features").distinct().collect()}


def test_shares_are_cut_by_features_and_stay_on_their_side(
    load: Load, requests: RequestMaker, tmp_path: Path
) -> None:
    splits = load(cut(requests, many(tmp_path / "all.libsvm")))
    counts = [splits.train.row_count, splits.test.row_count, splits.validation.row_count]
    assert sum(counts) == 6_000
    assert counts[1] / 6_000 == pytest.approx(0.25, rel=0.1)
    assert counts[2] / 6_000 == pytest.approx(0.2, rel=0.1)
    sides = [features_of(each) for each in (splits.train, splits.test, splits.validation)]
    assert sum(map(len, sides)) == len(set.union(*sides))
    # another day's rows, and the strict reader: what was test stays test
    again = write_rows(
        tmp_path / "next.libsvm", *(tmp_path / "all.libsvm").read_text().splitlines()[:3000], "1 # new"
    )
    tomorrow = load(cut(requests, again))
    assert not features_of(tomorrow.test) & sides[0]
    other = load(cut(requests, tmp_path / "all.libsvm", seed=1))
    assert features_of(other.test) != sides[1]


def test_shares_are_cut_by_the_group_key_where_there_is_one(
    load: Load, requests: RequestMaker, tmp_path: Path
) -> None:
    splits = load(cut(requests, many(tmp_path / "all.libsvm", groups=1500), group_key="qid"))
    groups = [
        {row["group"] for row in each.rows.select(F.col("group")).collect()}
        for each in (splits.train, splits.test, splits.validation)
    ]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 1500


def test_share_that_cannot_be_had_is_refused(run: Run, requests: RequestMaker, tmp_path: Path) -> None:
    failure = run(cut(requests, many(tmp_path / "all.libsvm", groups=3), group_key="qid")).failure
    assert failure["code"] == "split_not_possible"
    assert "too few values of qid" in failure["sentence"]


def test_model_learned_from_a_cut_set_is_measured_on_what_was_cut(
    spark: SparkSession, requests: RequestMaker, tmp_path: Path
) -> None:
    document = cut(requests, many(tmp_path / "all.libsvm"))
    finished = requests.finished(run_request(spark, requests.write(document), train_and_evaluate))
    by_split = finished.json("metrics.json")["metrics"]
    assert by_split["train"]["rows"] + by_split["test"]["rows"] + by_split["validation"]["rows"] == 6_000


def test_strict_reader_and_sparks_own_give_the_same_rows(
    load: Load, requests: RequestMaker, tmp_path: Path
) -> None:
    plain = many(tmp_path / "plain.libsvm")
    tabbed = write_rows(tmp_path / "tabbed.libsvm", *plain.read_text().replace(" ", "\t").splitlines())
    quick = load(requests.document([plain], [plain], num_features=3)).train
    strict = load(requests.document([tabbed], [tabbed], num_features=3)).train
    assert "file" not in quick.rows.columns
    assert collected(quick.rows) == collected(strict.rows)
    assert quick.profile.sums.tolist() == strict.profile.sums.tolist()


def test_a_pass_over_train_leaves_no_core_without_a_task(
    spark: SparkSession, load: Load, requests: RequestMaker, tmp_path: Path
) -> None:
    cores, setting = spark.sparkContext.defaultParallelism, "spark.sql.files.maxPartitionBytes"
    # one partition too many for one round, as Spark cuts it
    path = write_rows(
        tmp_path / "train.libsvm", *(f"{n % 2} 1:{n % 7} 3:2" for n in range(10_000 * (cores + 1)))
    )
    before = spark.conf.get(setting)
    spark.conf.set(setting, path.stat().st_size // (cores + 1) + 1)
    try:
        assert spark.read.text(str(path)).rdd.getNumPartitions() == cores + 1
        rows = load(requests.document([path], [path], num_features=3)).train.rows
        assert rows.rdd.getNumPartitions() == 2 * cores
        assert spark.read.text(str(path)).rdd.getNumPartitions() == cores + 1
    finally:
        spark.conf.set(setting, before)
