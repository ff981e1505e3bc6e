"""Each bad input ends in failure.json with its code and place, alone and among 200,000 good rows in several files."""

from __future__ import annotations

import bz2
import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from tests.training_job.conftest import Finished, RequestMaker
from training_job.libsvm_text import LONGEST_LINE_BYTES, read_libsvm
from training_job.malformed import Expected, what_is_wrong

Run = Callable[[dict[str, Any]], Finished]

GOOD = ["0 1:1", "1 1:1 3:2", "0 2:0.5 3:1", "1 2:1"]
FILES, ROWS_IN_A_FILE = 8, 25_000


@pytest.fixture(scope="session")
def many_rows(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """200,000 rows of both classes in eight files."""
    folder = tmp_path_factory.mktemp("many")
    paths = []
    for number in range(FILES):
        rows = (
            f"{(n * 7 + number) % 3 % 2} 1:{n % 11} 2:{n % 7 / 8} 3:-{n % 5}\n" for n in range(ROWS_IN_A_FILE)
        )
        path = folder / f"part-{number}.libsvm"
        path.write_text("".join(rows))
        paths.append(path)
    return paths


@dataclass(frozen=True)
class Bad:
    """A file that must be refused.

    :param line: where; None: the file as a whole
    :param lines: as failure.json must have them; None: whatever they are
    """

    content: bytes
    code: str
    line: int | None
    said: str
    lines: list[str] | None = None
    name: str = "part-3-bad.libsvm"


def bad_line(line: str, code: str, said: str) -> Bad:
    """One bad line, the sixth, among good ones."""
    text = "\n".join([*GOOD, "# a comment", line, *GOOD]) + "\n"
    return Bad(text.encode(), code, 6, said, lines=[line])


@pytest.fixture(scope="session")
def parquet_part(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A Parquet file as Spark writes it."""
    folder = tmp_path_factory.mktemp("parquet")
    rows = [(0.0, [0], [1.0]), (1.0, [1, 2], [2.0, 0.5])] * 50
    frame = spark.createDataFrame(rows, "label double, indices array<int>, values array<double>")
    frame.coalesce(1).write.mode("overwrite").parquet(str(folder))
    return next(folder.glob("part-*.parquet")).read_bytes()


GOOD_TEXT = "".join(f"{line}\n" for line in GOOD)
LONG_TEXT = "".join(f"{n % 2} 1:{n} 3:{n * 7919 % 1000}\n" for n in range(20_000))

BAD = {
    "no_number_as_index": bad_line("1 1:1 secret:2", "malformed_input", "the index is no whole number"),
    "no_value": bad_line("1 2", "malformed_input", "the value is missing"),
    "two_colons": bad_line("1 1:2:3", "malformed_input", "the value is missing or no number"),
    "hexadecimal": bad_line("1 1:0x1p3", "malformed_input", "the value is missing or no number"),
    "no_label": bad_line("1:1 2:1", "malformed_input", "the label is no number"),
    "index_0": bad_line("1 0:1", "bad_index", "the index is 0, but the first feature is 1"),
    "index_negative": bad_line("1 -1:1", "bad_index", "the index is negative"),
    "index_not_ascending": bad_line("1 2:1 1:1", "bad_index", "is not above the one before it (item 2"),
    "index_repeated": bad_line("1 2:1 2:1", "bad_index", "the index stands twice"),
    "index_beyond": bad_line("1 4:1", "bad_index", "the index is above num_features, 3"),
    "nan": bad_line("1 2:NaN", "not_finite", "NaN or infinite"),
    "infinite": bad_line("1 2:-Infinity", "not_finite", "NaN or infinite"),
    "overflow": bad_line("1 2:1e999", "not_finite", "beyond 1e+100"),
    "label_unknown": bad_line("7 2:1", "label_not_mapped", "not in the label mapping; it knows 0, 1"),
    "latin_1": Bad(
        GOOD_TEXT.encode() + "1 1:1 é:2\n".encode("latin-1"), "wrong_encoding", 5, "the text is not in UTF-8"
    ),
    "utf_16": Bad(GOOD_TEXT.encode("utf-16"), "wrong_encoding", 1, "UTF-16, not in UTF-8"),
    "html": Bad(b"<!DOCTYPE html>\n<p>Access denied</p>\n", "wrong_format", 1, "HTML or XML, not LibSVM"),
    "csv": Bad(b"label,price,stars\n1,20.5,3\n0,11,4\n", "wrong_format", 1, "the file is CSV"),
    "json": Bad(b'{"label": 1}\n', "wrong_format", 1, "the file is JSON"),
    "binary": Bad(bytes(range(256)) * 8, "wrong_format", 1, "binary, not LibSVM"),
    # its bytes come from Spark
    "parquet": Bad(b"", "wrong_format", 1, "the file is Parquet, not LibSVM text"),
    "gzip_by_another_name": Bad(
        gzip.compress(GOOD_TEXT.encode()), "wrong_format", 1, "without .gz in its name"
    ),
    "gzip_cut_short": Bad(
        gzip.compress(LONG_TEXT.encode())[:-20_000],
        "corrupt_input",
        None,
        "is cut short or damaged",
        [],
        "part-3-bad.libsvm.gz",
    ),
    "no_gzip": Bad(
        GOOD_TEXT.encode(), "corrupt_input", None, "is cut short or damaged", [], "part-3.libsvm.gz"
    ),
    "bzip2_cut_short": Bad(
        bz2.compress(LONG_TEXT.encode())[:-20_000],
        "corrupt_input",
        None,
        "is cut short or damaged",
        [],
        "part-3-bad.libsvm.bz2",
    ),
    "line_of_100_mb": Bad(
        GOOD_TEXT.encode() + b"1 1:1" + b"0" * 100_000_000 + b"\n" + GOOD_TEXT.encode(),
        "line_too_long",
        5,
        f"longer than {LONGEST_LINE_BYTES:,} bytes",
        ["1 1:1" + "0" * 195],
    ),
}


@pytest.mark.parametrize("surroundings", ["alone", "among many"])
@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused(
    run: Run,
    requests: RequestMaker,
    rows: Path,
    many_rows: list[Path],
    parquet_part: bytes,
    tmp_path: Path,
    case: str,
    surroundings: str,
) -> None:
    bad = BAD[case]
    path = tmp_path / bad.name
    path.write_bytes(bad.content or parquet_part)
    train = [path] if surroundings == "alone" else [*many_rows[:4], path, *many_rows[4:]]
    failure = run(requests.document(train, [rows], num_features=3)).failure
    assert failure["code"] == bad.code
    assert bad.said in failure["sentence"]
    assert failure["place"] == {"file": requests.uri(path), "line": bad.line}
    assert "secret" not in failure["sentence"]
    if bad.lines is not None:
        assert failure["lines"] == bad.lines


@pytest.mark.parametrize("surroundings", ["alone", "among many"])
@pytest.mark.parametrize("change", ["gone", "changed", "empty", "of one class"])
def test_bad_objects_are_told(
    run: Run,
    requests: RequestMaker,
    rows: Path,
    many_rows: list[Path],
    tmp_path: Path,
    change: str,
    surroundings: str,
) -> None:
    path = tmp_path / "part-3-bad.libsvm"
    path.write_text("1 1:1\n1 2:1\n" if change == "of one class" else "" if change == "empty" else GOOD_TEXT)
    train = [path] if surroundings == "alone" else [*many_rows, path]
    document = requests.document(train, [rows], num_features=3)
    if change == "gone":
        path.unlink()
    elif change == "changed":
        path.write_text("0 1:1\n")
    elif change == "of one class" and surroundings == "among many":
        document["label_mapping"] = {"0": 1, "1": 1, "2": 0}
    elif change == "empty" and surroundings == "among many":
        # an empty object is harmless beside others, so that all must be empty
        document["inputs"]["train"] = document["inputs"]["train"][-1:] * 3
    failure = run(document).failure
    expected = {
        "gone": "input_changed",
        "changed": "input_changed",
        "empty": "no_rows",
        "of one class": "one_class",
    }
    assert failure["code"] == expected[change]


VARIETY = {
    "crlf": b"0 1:1\r\n1 1:1 3:2\r\n0 2:0.5 3:1\r\n1 2:1\r\n",
    "tabs": b"0\t1:1\n1\t1:1\t3:2\n0 \t 2:0.5  3:1\n1\t2:1\n",
    "blank lines": b"\n0 1:1\n\n   \n1 1:1 3:2\n0 2:0.5 3:1\n\t\n1 2:1\n\n",
    "trailing blanks": b"0 1:1 \n1 1:1 3:2   \n 0 2:0.5 3:1\t\n1 2:1 \n",
    "comments": b"# made by hand\n0 1:1 # a visitor\n1 1:1 3:2\n  # more\n0 2:0.5 3:1#\n1 2:1\n",
    "numbers": b"0 1:+1\n+1 01:1. 3:2e0\n-0 2:.5 +3:1E+00\n1.0 2:1\n",
    "qid": b"0 qid:7 1:1\n1 qid:7 1:1 3:2\n0 qid:8 2:0.5 3:1\n1 qid:user-5 2:1\n",
    "no last line end": b"0 1:1\n1 1:1 3:2\n0 2:0.5 3:1\n1 2:1",
    "byte order mark": b"\xef\xbb\xbf0 1:1\n1 1:1 3:2\n0 2:0.5 3:1\n1 2:1\n",
}


@pytest.mark.parametrize("name", VARIETY)
def test_harmless_variety_is_read(
    run: Run, requests: RequestMaker, rows: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "varied.libsvm"
    path.write_bytes(VARIETY[name])
    profile = run(requests.document([path], [rows], num_features=3)).json("profile.json")
    assert profile["rows"] == 4
    assert profile["features"]["sum"] == [2.0, 1.5, 3.0]
    assert profile["features"]["count"] == [2, 2, 2]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress], ids=["gz", "bz2"])
def test_compressed_files_are_read_beside_plain_ones(
    run: Run, requests: RequestMaker, rows: Path, tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    packed = tmp_path / f"part-1.libsvm.{'gz' if compress is gzip.compress else 'bz2'}"
    packed.write_bytes(compress(GOOD_TEXT.encode()))
    assert run(requests.document([packed, rows], [rows], num_features=3)).json("profile.json")["rows"] == 12


def test_rows_of_no_features_are_rows(run: Run, requests: RequestMaker, rows: Path, tmp_path: Path) -> None:
    path = tmp_path / "bare.libsvm"
    path.write_bytes(GOOD_TEXT.encode() + b"0\n1 \n0\n")
    finished = run(requests.document([path], [path], num_features=3))
    assert finished.test_metrics["rows"] == 7


def test_bad_lines_within_the_limit_are_skipped_counted_and_listed(
    run: Run, requests: RequestMaker, rows: Path, many_rows: list[Path], tmp_path: Path
) -> None:
    path = tmp_path / "part-3-bad.libsvm"
    path.write_text("0 1:1\nsecret\n1 3:1\n1 9:1\n")
    document = requests.document([*many_rows, path], [rows], num_features=3)
    document["inputs"]["max_bad_lines"] = 2
    finished = run(document)
    metrics = finished.json("metrics.json")
    assert metrics["metrics"]["train"]["rows"] == 200_002
    (warning,) = [each for each in metrics["warnings"] if each["code"] == "bad_lines_skipped"]
    assert (warning["value"], "line 2" in warning["sentence"]) == (2, True)
    skipped = finished.json("skipped_lines.json")
    assert skipped["count"] == 2
    assert [(each["file"], each["line"], each["code"]) for each in skipped["lines"]] == [
        (requests.uri(path), 2, "malformed_input"),
        (requests.uri(path), 4, "bad_index"),
    ]
    assert "skipped_lines.json" in finished.json("manifest.json")["files"]
    assert b"secret" not in b"".join(each.read_bytes() for each in finished.output.glob("*.json"))


def test_one_bad_line_too_many_fails(run: Run, requests: RequestMaker, rows: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.libsvm"
    path.write_text(GOOD_TEXT + "oops\noops\noops\n")
    document = requests.document([path], [rows], num_features=3)
    document["inputs"]["max_bad_lines"] = 2
    failure = run(document).failure
    assert failure["code"] == "malformed_input"
    assert "cannot be taken: 3, 2 may be skipped" in failure["sentence"]
    assert failure["place"]["line"] == 5
    assert failure["lines"] == ["oops"] * 3


def test_an_unknown_label_is_never_skipped(
    run: Run, requests: RequestMaker, rows: Path, tmp_path: Path
) -> None:
    path = tmp_path / "bad.libsvm"
    path.write_text(GOOD_TEXT + "oops\n5 1:1\n")
    document = requests.document([path], [rows], num_features=3)
    document["inputs"]["max_bad_lines"] = 10
    failure = run(document).failure
    assert (failure["code"], failure["place"]["line"]) == ("label_not_mapped", 6)


@pytest.mark.parametrize("only", ["0", "1"])
def test_test_rows_of_one_class_leave_out_what_needs_both(
    run: Run, requests: RequestMaker, rows: Path, tmp_path: Path, only: str
) -> None:
    path = tmp_path / "test.libsvm"
    path.write_text("".join(f"{only} {n % 3 + 1}:{n}\n" for n in range(9)))
    found = run(requests.document([rows], [path], num_features=3)).test_metrics
    assert found["rows"] == 9
    assert "auc" not in found
    assert found["log_loss"] > 0


PIECES = [
    "0",
    "1",
    "+1",
    "-1.5",
    "1e3",
    ".5",
    "5.",
    "1:2",
    "2:.5",
    "3:-1e-2",
    "1:2:3",
    "4:1",
    "0:1",
    "-1:1",
    "2:",
]
PIECES += [
    "qid:7",
    "qid:a:b",
    "qid:",
    "x",
    "nan",
    "2:NaN",
    "3:1e999",
    "2:1d",
    "+2:+1",
    "#",
    "# 1:x",
    "é",
    "\x00",
]


def test_reader_and_explainer_agree_on_every_line(spark: SparkSession, tmp_path: Path) -> None:
    draw = random.Random(20261122)
    lines = [
        draw.choice(["", "", " "])
        + draw.choice([" ", " ", "\t", "  "]).join(draw.choices(PIECES, k=draw.randint(1, 5)))
        for _ in range(5_000)
    ]
    path = tmp_path / "lines.libsvm"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rows = [line for line in lines if line.partition("#")[0].strip()]
    for grouped in (False, True):
        read = read_libsvm(spark, [path.as_uri()], 3, grouped=grouped).select("is_good").collect()
        every_label = frozenset({0.0, 1.0, -1.5, 1e3, 0.5, 5.0})
        wrong = [what_is_wrong(line, Expected(3, every_label, grouped)) for line in rows]
        assert [row["is_good"] for row in read] == [each is None for each in wrong]
        assert 0 < sum(row["is_good"] for row in read) < len(rows)
