"""Which lines of a text file cannot be read, and why: asked only about files that are known to have such lines.

The reader of the rows says no more of a bad line than the file it stands in. This one reads that file again, on the
executors, and says file, line and what is wrong.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Optional
from urllib.parse import unquote

from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.failures import MAX_LINE_CHARACTERS
from training_job.file_kinds import Wrong, wrong_with_file, wrong_with_text
from training_job.libsvm_text import LARGEST_VALUE, LONGEST_LINE_BYTES, read_lines

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
INDEX = re.compile(r"\+?[0-9]{1,10}")
QID = "qid:"
# as Spark's trim leaves off, and as separates
BLANKS = re.compile("[ \t\x0b\f\r]+")


class MalformedLine(NamedTuple):
    """
    :param line: counted from 1; a row for Parquet
    :param reason: what is wrong, without any of the line's own text
    :param text: the beginning of the line; users' data
    """

    file: str
    line: int
    code: str
    reason: str
    text: str


@dataclass(frozen=True)
class Expected:
    """What a line must be.

    :param labels: those that the mapping knows
    :param grouped: a row must have its ``qid``
    """

    num_features: int
    labels: frozenset[float]
    grouped: bool


class BlockOfLines(NamedTuple):
    """What a part of a file came to.

    :param malformed: (lines before it in the block, what is wrong, text) of the first few
    """

    file: str
    start: int
    lines: int
    malformed: tuple[tuple[int, Wrong, str], ...]


def find_malformed_lines(
    spark: SparkSession, uris: Sequence[str], expected: Expected, *, most: int
) -> list[MalformedLine]:
    """The first malformed lines, by file in the order of ``uris`` and by line."""
    lines = read_lines(spark, uris)
    short = F.octet_length("value") <= LONGEST_LINE_BYTES
    begin = F.substring("value", 1, MAX_LINE_CHARACTERS)
    lines = lines.select(F.when(short, F.col("value")), "file", "start", F.when(~short, begin))
    blocks = lines.rdd.mapPartitions(lambda rows: blocks_of_lines(rows, expected, most)).collect()
    by_file: defaultdict[str, list[BlockOfLines]] = defaultdict(list)
    for block in blocks:
        by_file[comparable(block.file)].append(block)
    found: list[MalformedLine] = []
    for uri in uris:
        before = 0
        for block in sorted(by_file[comparable(uri)], key=lambda each: each.start):
            found += [_located(uri, before + n + 1, wrong, text) for n, wrong, text in block.malformed]
            before += block.lines
    return found[:most]


def blocks_of_lines(rows: Iterable[Row], expected: Expected, most: int) -> Iterator[BlockOfLines]:
    """Count the lines of each block of a file in ``rows`` and check each."""
    counts: dict[tuple[str, int], int] = {}
    malformed: defaultdict[tuple[str, int], list[tuple[int, Wrong, str]]] = defaultdict(list)
    for line, file, start, begin in rows:
        seen = counts.get((file, start), 0)
        counts[file, start] = seen + 1
        wrong = what_is_wrong(line, expected) if line is not None else _too_long()
        if wrong and len(malformed[file, start]) < most:
            malformed[file, start].append(
                (seen, wrong, (begin if line is None else line)[:MAX_LINE_CHARACTERS])
            )
    for (file, start), count in counts.items():
        yield BlockOfLines(file, start, count, tuple(malformed[file, start]))


def what_is_wrong(line: str, expected: Expected) -> Optional[Wrong]:
    """Why the line is no row; None where it is one, or is blank, or a comment."""
    items = [each for each in BLANKS.split(line.partition("#")[0]) if each]
    if not items:
        return None
    label, *features = items
    grouped = bool(features) and features[0].startswith(QID)
    position = 2 if grouped else 1
    wrong = wrong_with_text(line) or _wrong_with_label(label, expected.labels)
    if wrong is None and grouped and not _is_qid(features[0]):
        wrong = Wrong("malformed_input", "the qid is empty or has a colon in it")
    elif wrong is None and expected.grouped and not grouped:
        wrong = Wrong("malformed_input", "the row has no qid, though the group key is qid")
    return wrong or _wrong_with_features(features[position - 1 :], position, expected.num_features)


def comparable(uri: str) -> str:
    """The same for the spellings of one URI: file:/x and file:///x, escaped or not."""
    scheme, _, rest = unquote(uri).partition(":")
    return f"{scheme}:{rest.lstrip('/')}"


def _located(uri: str, line: int, wrong: Wrong, text: str) -> MalformedLine:
    """A file whose very first line cannot be read may be no text of this format at all."""
    of_file = wrong_with_file(text) if line == 1 else None
    code, reason = of_file or wrong
    return MalformedLine(uri, line, code, reason, text)


def _too_long() -> Wrong:
    return Wrong("line_too_long", f"the line is longer than {LONGEST_LINE_BYTES:,} bytes")


def _is_qid(item: str) -> bool:
    return len(item) > len(QID) and item.count(":") == 1


def _wrong_with_label(label: str, labels: frozenset[float]) -> Optional[Wrong]:
    if not NUMBER.fullmatch(label):
        return Wrong("malformed_input", "the label is no number")
    if float(label) not in labels:
        return Wrong("label_not_mapped", "the label is not in the label mapping")
    return None


def _wrong_with_features(items: Sequence[str], first: int, num_features: int) -> Optional[Wrong]:
    previous = 0
    for position, item in enumerate(items, start=first):
        index, _, value = item.partition(":")
        wrong = _wrong_with_index(index, previous, num_features) or _wrong_with_value(value)
        if wrong:
            return Wrong(wrong.code, f"{wrong.reason} (item {position} after the label)")
        previous = int(index)
    return None


def _wrong_with_index(index: str, previous: int, num_features: int) -> Optional[Wrong]:
    if re.fullmatch(r"-[0-9]+", index):
        return Wrong("bad_index", "the index is negative")
    if not INDEX.fullmatch(index):
        return Wrong("malformed_input", "the index is no whole number")
    number = int(index)
    for is_so, reason in (
        (number == 0, "the index is 0, but the first feature is 1"),
        (number == previous, "the index stands twice"),
        (number < previous, "the index is not above the one before it"),
        (number > num_features, f"the index is above num_features, {num_features}"),
    ):
        if is_so:
            return Wrong("bad_index", reason)
    return None


def _wrong_with_value(value: str) -> Optional[Wrong]:
    if NUMBER.fullmatch(value):
        beyond = abs(float(value)) > LARGEST_VALUE
        return Wrong("not_finite", f"the value is beyond {LARGEST_VALUE:g}") if beyond else None
    try:
        finite = math.isfinite(float(value))
    except ValueError:
        finite = True
    if finite:
        return Wrong("malformed_input", "the value is missing or no number")
    return Wrong("not_finite", "the value is NaN or infinite")
