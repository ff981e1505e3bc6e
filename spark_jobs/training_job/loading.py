"""Exactly the listed objects → cached splits of (label, features), checked in the one pass that fills the cache.

That pass also sums every feature, which is the profile of the split, and counts what cannot be read. Only where there
is something to say about a line are its files read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from pyspark.sql import DataFrame, Row

from training_job.even_rounds import even_rounds
from training_job.failures import MAX_LINES, JobError, Place
from training_job.log_privacy import rows_kept_out_of_logs
from training_job.long_lines import check_lines_are_short
from training_job.measuring import Measured, may_be_quick, measure, measure_quickly
from training_job.sources import REFUSED, Source, check_objects
from training_job.splitting import check_shares
from training_job.together import together

if TYPE_CHECKING:
    from training_job.malformed import MalformedLine
    from training_job.session import Job

BOTH_CLASSES_NEEDED = ("train", "validation")


@dataclass(frozen=True)
class FeatureProfile:
    """Per feature over all rows; arrays of length ``num_features``, indices from 0."""

    non_zeros: Any
    sums: Any
    sums_of_squares: Any


@dataclass(frozen=True)
class Split:
    """One split of the data, cached. Train and validation have rows of both classes; test may have one class only.

    :param rows: DataFrame of (label: double in {0, 1}, features: vector), with ``weight`` (double above 0) and
        ``group`` (long) behind them where ``weight_column`` and ``group_column`` name them
    :param row_count: rows as they are, without weights; ``positives`` likewise
    :param profile: sums over rows as they are
    :param weight_column: ``weight`` where rows weigh differently, by a column of the input or because the split came
        with negatives left out (each that was kept then weighs 1/r); None: every row weighs 1
    :param group_column: ``group`` where the request has a group key; None: rows are independent
    :param weighted_rows: sum of the weights; ``weighted_positives`` likewise
    """

    name: str
    rows: DataFrame
    row_count: int
    positives: int
    profile: FeatureProfile
    weight_column: Optional[str]
    group_column: Optional[str]
    weighted_rows: float
    weighted_positives: float

    @property
    def base_rate(self) -> float:
        """Weighted share of the positives."""
        return self.weighted_positives / self.weighted_rows


class Splits(NamedTuple):
    """All that was read.

    :param skipped: the lines that could not be read, as far as the request lets them be skipped
    """

    train: Split
    validation: Optional[Split]
    test: Split
    skipped: tuple[MalformedLine, ...]


class Loaded(NamedTuple):
    """The splits that came from one set of objects, by name, and what was skipped there."""

    splits: dict[str, Split]
    skipped: tuple[MalformedLine, ...]


def load_splits(job: Job) -> Splits:
    """Load everything; raises JobError where the objects or their rows are not what the request says."""
    inputs = job.request.inputs
    named = (("train", inputs.train), ("test", inputs.test), ("validation", inputs.validation))
    sources = [Source(job, name, objects) for name, objects in named if objects is not None]
    for source in sources:
        check_objects(job.storage, source.objects)
        if inputs.format == "libsvm":
            check_lines_are_short(job.storage, source.objects)
    with even_rounds(job.spark, sum(each.size for each in inputs.train)):
        measured: list[Optional[Measured]] = [None] * len(sources)
        if all(together(*(partial(may_be_quick, source) for source in sources))):
            with rows_kept_out_of_logs(job.spark):
                measured = together(*(partial(measure_quickly, source) for source in sources))
        loaded: list[Loaded] = together(*(partial(_load, *each) for each in zip(sources, measured)))
    splits = {name: split for each in loaded for name, split in each.splits.items()}
    return Splits(
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits["test"],
        skipped=tuple(line for each in loaded for line in each.skipped),
    )


def _load(source: Source, measured_quickly: Optional[Measured]) -> Loaded:
    measured = measured_quickly or measure(source)
    skipped = _judge_refused(source, measured)
    counts = {name: int(measured.totals[name]["row_count"]) for name in measured.totals if name != REFUSED}
    if not counts:
        raise JobError("no_rows", f"the {source.name} split holds no rows")
    if source.shares is not None:
        check_shares(counts, source.shares, source.job.request.group_key)
    for name in source.split_names:
        if not counts.get(name):
            raise JobError("no_rows", f"the {name} split holds no rows: all of them were cut to the others")
    return Loaded({name: _split(source, name, measured) for name in source.split_names}, skipped)


def _judge_refused(source: Source, measured: Measured) -> tuple[MalformedLine, ...]:
    """The lines that are skipped; raises JobError where there are more than may be, or one with an unknown label."""
    if REFUSED not in measured.totals:
        return ()
    count = int(measured.totals[REFUSED]["row_count"])
    allowed = source.job.request.inputs.max_bad_lines
    most = max(allowed, MAX_LINES)
    files = [row[0] for row in measured.refused_files(most)]
    found = source.refused_lines(files, most=most)
    if not found:
        raise JobError("malformed_input", f"{count} lines of the {source.name} split cannot be read")
    unmapped = [line for line in found if line.code == "label_not_mapped"]
    if count <= allowed and not unmapped:
        return tuple(found)
    if count <= allowed:
        found = unmapped
    first = found[0]
    raise JobError(
        first.code,
        f"{first.file}, line {first.line}: {first.reason}{_expected(source, first.code)}; lines of the {source.name} "
        f"split that cannot be taken: {count:,}, {allowed:,} may be skipped",
        place=Place(first.file, first.line),
        lines=tuple(each.text for each in found),
    )


def _expected(source: Source, code: str) -> str:
    request = source.job.request
    if code == "label_not_mapped":
        return f"; it knows {', '.join(sorted(request.label_mapping))}"
    if request.inputs.format == "parquet" or code not in ("malformed_input", "bad_index", "not_finite"):
        return ""
    qid = " qid:<group>" if request.group_key else ""
    return (
        f"; expected '<label>{qid} <index>:<value> …' with indices ascending from 1 to {request.num_features}"
    )


def _split(source: Source, name: str, measured: Measured) -> Split:
    totals = measured.totals[name]
    rows, positives = int(totals["row_count"]), int(totals["positives"])
    if positives in (0, rows) and name in BOTH_CLASSES_NEEDED:
        only = 1 if positives else 0
        raise JobError(
            "one_class", f"all {rows} rows of the {name} split are of class {only}; both are needed"
        )
    return Split(
        name=name,
        rows=measured.rows_of(name),
        row_count=rows,
        positives=positives,
        profile=_profile(totals),
        weight_column="weight" if source.weighted else None,
        group_column="group" if source.job.request.group_key else None,
        weighted_rows=float(totals["weighted_rows"]) if source.weighted else float(rows),
        weighted_positives=float(totals["weighted_positives"]) if source.weighted else float(positives),
    )


def _profile(totals: Row) -> FeatureProfile:
    summary = totals["summary"]
    return FeatureProfile(
        non_zeros=summary["numNonZeros"].toArray(),
        sums=summary["sum"].toArray(),
        sums_of_squares=summary["normL2"].toArray() ** 2,
    )
