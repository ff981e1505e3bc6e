"""One set of listed objects, and how its rows are read: whichever format it is, the same columns come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Optional

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - as all of Spark's own documentation has it

from training_job.failures import JobError, Place
from training_job.libsvm_text import read_libsvm
from training_job.malformed import Expected, MalformedLine, comparable, find_malformed_lines
from training_job.parquet_rows import Layout, layout_of, read_parquet, refused_rows
from training_job.splitting import part_of
from training_job.storage import java_class
from training_job.unreadable import SPARK_ERRORS, explained

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from training_job.inputs import InputObject, Shares
    from training_job.session import Job
    from training_job.storage import Storage, StoredFile

# the part of the rows that cannot be taken
REFUSED = "refused"


@dataclass(frozen=True)
class Source:
    """The objects of a split; those of train may hold test and validation as well."""

    job: Job
    name: str
    objects: tuple[InputObject, ...]

    @property
    def uris(self) -> list[str]:
        return [each.uri for each in self.objects]

    @property
    def shares(self) -> Optional[Shares]:
        """What is cut from these rows."""
        return self.job.request.inputs.split if self.name == "train" else None

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that these rows are for."""
        if self.shares is None:
            return (self.name,)
        cut = (("test", self.shares.test), ("validation", self.shares.validation))
        return (self.name, *(name for name, share in cut if share is not None))

    @property
    def weighted(self) -> bool:
        """Whether rows weigh differently."""
        kept = self.job.request.inputs.negatives_kept
        has_column = self.layout is not None and self.layout.has_weight
        return has_column or any(kept.get(name, 1.0) < 1 for name in self.split_names)

    @cached_property
    def layout(self) -> Optional[Layout]:
        """The columns of Parquet; raises JobError where there are none that rows can be made of."""
        request = self.job.request
        if request.inputs.format != "parquet":
            return None
        try:
            return layout_of(self.job.spark, self.uris, request.group_key)
        except SPARK_ERRORS as error:
            raise explained(self.job.spark, self.uris, request.inputs.format, error) from None

    @property
    def schema(self) -> Optional[StructType]:
        """By which Parquet is read; None for text."""
        return None if self.layout is None else self.layout.schema

    def read(self) -> DataFrame:
        """(raw_label, features, is_good, file, [weight], [group]) of each row; throws at no row."""
        request, spark = self.job.request, self.job.spark
        if self.layout is None:
            return read_libsvm(spark, self.uris, request.num_features, grouped=request.group_key is not None)
        return read_parquet(
            spark, self.uris, request.num_features, layout=self.layout, group_key=request.group_key
        )

    def prepare(self, raw: DataFrame) -> DataFrame:
        """(label, features, part, refused_file, [weight], [group]) of the rows of :meth:`read`.

        ``part`` is the name of the row's split, or REFUSED for a row that cannot be read or whose label has no class;
        ``refused_file`` is where such a row stands.
        """
        rows = raw.withColumn("label", self.mapped("raw_label"))
        taken = F.col("is_good") & F.col("label").isNotNull()
        part = F.lit(self.name)
        if self.shares is not None:
            part = part_of(F.col("group" if "group" in raw.columns else "features"), self.shares)
        rows = rows.withColumn("part", F.when(taken, part).otherwise(F.lit(REFUSED)))
        columns = ["label", "features", "part", F.when(~taken, F.col("file")).alias("refused_file")]
        if self.weighted:
            columns.append(self._weight(has_column="weight" in raw.columns).alias("weight"))
        return rows.select(*columns, *(["group"] if "group" in raw.columns else []))

    def mapped(self, column: str) -> Any:
        """The class of a label as it is written; null where it has none."""
        # the chain begins with F.when
        label: Any = F
        for written, number in self.job.request.label_mapping.items():
            label = label.when(F.col(column) == float(written), float(number))
        return label

    def refused_lines(self, files: Sequence[str], *, most: int) -> list[MalformedLine]:
        """The first lines of some of the files that cannot be taken, each with the reason; reads these files again."""
        request, spark = self.job.request, self.job.spark
        labels = frozenset(float(written) for written in request.label_mapping)
        named = {comparable(each) for each in files}
        uris = [uri for uri in self.uris if comparable(uri) in named] or self.uris
        grouped = request.group_key is not None
        if self.layout is None:
            expected = Expected(request.num_features, labels, grouped)
            return find_malformed_lines(spark, uris, expected, most=most)
        spelled = {comparable(uri): uri for uri in uris}
        rows = refused_rows(
            spark,
            uris,
            request.num_features,
            layout=self.layout,
            group_key=request.group_key,
            labels=sorted(labels),
            most=most,
        )
        return [MalformedLine(spelled.get(comparable(row[0]), row[0]), *row[1:]) for row in rows]

    def _weight(self, *, has_column: bool) -> F.Column:
        weight = F.col("weight") if has_column else F.lit(1.0)
        for name in self.split_names:
            kept = self.job.request.inputs.negatives_kept.get(name, 1.0)
            if kept < 1:
                is_kept_negative = (F.col("part") == name) & (F.col("label") == 0)
                weight = weight * F.when(is_kept_negative, F.lit(1 / kept)).otherwise(F.lit(1.0))
        return weight


def check_objects(storage: Storage, objects: tuple[InputObject, ...]) -> None:
    """Raise ``input_changed`` unless each object is there as it was listed; one listing for each folder.

    By size, and by ETag where both listings have one.
    """
    folders: dict[str, dict[str, StoredFile]] = {}
    for each in objects:
        folder, _, name = each.uri.rpartition("/")
        if folder not in folders:
            folders[folder] = _files_in(storage, folder)
        changed = _change(each, folders[folder].get(name))
        if changed is not None:
            raise JobError("input_changed", f"{each.uri} {changed}", place=Place(each.uri))


def _change(listed: InputObject, found: Optional[StoredFile]) -> Optional[str]:
    """What is not as it was when the training was planned; None: nothing."""
    then = "when the training was planned"
    if found is None or found.size != listed.size:
        state = "is gone" if found is None else f"now has {found.size} bytes"
        return f"{state}; it had {listed.size} bytes {then}"
    etag = (listed.etag or "").strip('"')
    if etag and found.etag and etag != found.etag:
        return f"has other contents than {then}: its ETag is {found.etag} and was {etag}"
    return None


def _files_in(storage: Storage, folder: str) -> dict[str, StoredFile]:
    try:
        return storage.files_in(folder + "/")
    except Py4JJavaError as error:
        reason = str(error.java_exception.getMessage())
        raise JobError(
            "input_unreadable",
            f"{folder}/ cannot be listed: {java_class(error)}: {reason}",
            place=Place(folder + "/"),
        ) from None
