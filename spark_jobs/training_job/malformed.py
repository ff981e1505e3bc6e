"""Which lines of the input are not LibSVM: read only after Spark's own reader has failed, or met a NaN.

Spark's reader stops at the first bad line with an exception that quotes it but names no line number. This one reads
the objects again as text, on the executors, and says file, line and what is wrong.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional
from urllib.parse import unquote

from pyspark.sql import Row, SparkSession

from training_job.failures import MAX_LINE_CHARACTERS, MAX_LINES

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
INDEX = re.compile(r"\+?\d{1,10}")
# squares of larger values, which the learner and the profile sum, overflow
LARGEST_VALUE = 1e100


class MalformedLine(NamedTuple):
    """
    :param line: counted from 1
    :param reason: what is wrong, without any of the line's own text
    :param text: the beginning of the line; users' data
    """

    file: str
    line: int
    reason: str
    text: str


class BlockOfLines(NamedTuple):
    """What a part of a file came to.

    :param malformed: (lines before it in the block, reason, text) of the first few
    """

    file: str
    start: int
    lines: int
    malformed: tuple[tuple[int, str, str], ...]


def find_malformed_lines(spark: SparkSession, uris: list[str], num_features: int) -> list[MalformedLine]:
    """The first few malformed lines, by file in the order of ``uris`` and by line."""
    text = spark.read.option("__globPaths__", "false").text(uris)
    located = text.select("value", "_metadata.file_path", "_metadata.file_block_start")
    blocks = located.rdd.mapPartitions(lambda rows: blocks_of_lines(rows, num_features)).collect()
    order = {_comparable(uri): (n, uri) for n, uri in enumerate(uris)}
    by_file: defaultdict[tuple[int, str], list[BlockOfLines]] = defaultdict(list)
    for block in blocks:
        by_file[order.get(_comparable(block.file), (len(uris), block.file))].append(block)
    found: list[MalformedLine] = []
    for (_, uri), of_file in sorted(by_file.items()):
        before = 0
        for block in sorted(of_file, key=lambda each: each.start):
            found += [MalformedLine(uri, before + n + 1, reason, line) for n, reason, line in block.malformed]
            before += block.lines
    return found[:MAX_LINES]


def blocks_of_lines(rows: Iterable[Row], num_features: int) -> Iterator[BlockOfLines]:
    """Count the lines of each block of a file in ``rows`` and check each."""
    counts: dict[tuple[str, int], int] = {}
    malformed: defaultdict[tuple[str, int], list[tuple[int, str, str]]] = defaultdict(list)
    for line, file, start in rows:
        seen = counts.get((file, start), 0)
        counts[file, start] = seen + 1
        reason = what_is_wrong(line, num_features)
        if reason and len(malformed[file, start]) < MAX_LINES:
            malformed[file, start].append((seen, reason, line[:MAX_LINE_CHARACTERS]))
    for (file, start), count in counts.items():
        yield BlockOfLines(file, start, count, tuple(malformed[file, start]))


def what_is_wrong(line: str, num_features: int) -> Optional[str]:
    """Why Spark's reader, or the learner, cannot take the line; None where it can."""
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return None
    label, *items = stripped.split(" ")
    if not NUMBER.fullmatch(label):
        return "the label is no number"
    previous = 0
    for position, item in enumerate((each for each in items if each), start=1):
        index, _, value = item.partition(":")
        reason = _wrong_with_index(index, previous, num_features) or _wrong_with_value(value)
        if reason:
            return f"{reason} (item {position} after the label)"
        previous = int(index)
    return None


def _wrong_with_index(index: str, previous: int, num_features: int) -> Optional[str]:
    if not INDEX.fullmatch(index):
        return "the index is no whole number"
    if int(index) <= previous:
        return (
            "the index is not above the one before it"
            if previous
            else "the index is 0, but the first feature is 1"
        )
    return f"the index is above num_features, {num_features}" if int(index) > num_features else None


def _wrong_with_value(value: str) -> Optional[str]:
    if not NUMBER.fullmatch(value):
        return "the value is missing or no finite number"
    return f"the value is beyond {LARGEST_VALUE:g}" if abs(float(value)) > LARGEST_VALUE else None


def _comparable(uri: str) -> str:
    """The same for the spellings of one URI: file:/x and file:///x, escaped or not."""
    scheme, _, rest = unquote(uri).partition(":")
    return f"{scheme}:{rest.lstrip('/')}"
