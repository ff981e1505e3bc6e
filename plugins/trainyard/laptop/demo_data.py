"""The features of the demo's four models in S3, as a feature pipeline would leave them every day.

``s3://<bucket>/<model>/<data date>/{train,test}/part-0000N.libsvm``, and beside the parts a ``_SUCCESS`` once they are
all there. Every data date holds the same rows, so that no day's test rows stood in an earlier day's training.

- ``original_sample``: the data of the Spark workflow that this one is modelled on, from PySpark's own package
- ``breast_cancer``: scikit-learn's, raw values; class 1 is malignant
- ``hotels``, ``flights``: drawn from a known truth, see travel_shops
"""

from __future__ import annotations

import hashlib
import importlib.util
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from trainyard.laptop.travel_shop import SPLITS, Shop, libsvm_lines, sessions
from trainyard.laptop.travel_shops import FLIGHTS, HOTELS

MARKER = "_SUCCESS"
PARTS = {"train": 4, "test": 2}
REQUESTS_AT_ONCE = 8

Lines = Mapping[str, list[str]]


def original_sample() -> Lines:
    """PySpark's sample, 100 rows: every other one to train, so that both halves have both classes."""
    package = importlib.util.find_spec("pyspark")
    if package is None or package.origin is None:
        raise ModuleNotFoundError(
            "pyspark is not installed; the laptop needs it: pip install 'trainyard[laptop]'"
        )
    sample = Path(package.origin).parent / "data/mllib/sample_binary_classification_data.txt"
    lines = [line.strip() for line in sample.read_text().splitlines() if line.strip()]
    return {"train": lines[::2], "test": lines[1::2]}


def breast_cancer() -> Lines:
    """569 tumours by 30 measurements: every other one to train."""
    from sklearn.datasets import load_breast_cancer  # noqa: PLC0415 - takes a second, and a cached demo never needs it

    measurements, is_benign = load_breast_cancer(return_X_y=True)
    lines = [
        f"{1 - benign} " + " ".join(f"{index}:{value:g}" for index, value in enumerate(row, start=1))
        for row, benign in zip(measurements.tolist(), is_benign.tolist(), strict=True)
    ]
    return {"train": lines[::2], "test": lines[1::2]}


def shop_sessions(shop: Shop) -> Lines:
    """Both splits of a shop."""
    return {split: libsvm_lines(shop, sessions(shop, split)) for split in SPLITS}


MODELS: Mapping[str, Callable[[], Lines]] = {
    "breast_cancer": breast_cancer,
    "flights": partial(shop_sessions, FLIGHTS),
    "hotels": partial(shop_sessions, HOTELS),
    "original_sample": original_sample,
}


def write_features(s3: Any, *, bucket: str, data_dates: Sequence[date], cache: Path | None = None) -> None:
    """Put each model's features there for each data date that does not have them yet.

    Rows are uploaded once; S3 itself copies them to the other dates.

    :param s3: a boto3 S3 client
    :param bucket: exists already
    :param cache: folder that keeps the generated files for a later call
    """
    with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
        for model in MODELS:
            _Features(s3, bucket, model, threads).write(data_dates, cache)


def feature_files(model: str, cache: Path | None = None) -> dict[str, bytes]:
    """Every part file of the model by its key below ``<model>/<data date>/``, such as ``train/part-00000.libsvm``."""
    if cache is None:
        return _generate(model)
    folder = cache / _generation() / model
    if not folder.is_dir():
        unfinished = folder.with_name(f"{model}.{uuid.uuid4().hex}")
        for name, content in _generate(model).items():
            (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).write_bytes(content)
        unfinished.rename(folder)
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in sorted(folder.glob("*/part-*"))}


def _generate(model: str) -> dict[str, bytes]:
    return {
        f"{split}/part-{part:05}.libsvm": "".join(
            f"{line}\n" for line in lines[part :: PARTS[split]]
        ).encode()
        for split, lines in MODELS[model]().items()
        for part in range(PARTS[split])
    }


def _generation() -> str:
    """Another name once any of the modules that make the rows has changed."""
    digest = hashlib.sha256()
    for module in ("demo_data.py", "travel_shop.py", "travel_shops.py"):
        digest.update(Path(__file__).with_name(module).read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class _Features:
    """The features of one model in S3."""

    s3: Any
    bucket: str
    model: str
    threads: ThreadPoolExecutor

    def write(self, data_dates: Sequence[date], cache: Path | None) -> None:
        missing = [day for day in data_dates if not self._is_whole(day)]
        if not missing:
            return
        whole = [day for day in data_dates if day not in missing]
        if not whole:
            self._upload(missing[0], feature_files(self.model, cache))
        source, *_ = whole or missing
        for day in missing:
            if day != source:
                self._copy(source, day)

    def _folder(self, day: date) -> str:
        return f"{self.model}/{day.isoformat()}/"

    def _names(self, day: date) -> set[str]:
        folder = self._folder(day)
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=folder).get("Contents", [])
        return {entry["Key"].removeprefix(folder) for entry in listed}

    def _is_whole(self, day: date) -> bool:
        return self._names(day) >= {f"{split}/{MARKER}" for split in SPLITS}

    def _upload(self, day: date, files: Mapping[str, bytes]) -> None:
        def upload(name: str) -> None:
            self.s3.put_object(Bucket=self.bucket, Key=self._folder(day) + name, Body=files[name])

        # list() waits, and raises what went wrong
        list(self.threads.map(upload, files))
        self._mark(day)

    def _copy(self, source: date, day: date) -> None:
        def copy(name: str) -> None:
            origin = {"Bucket": self.bucket, "Key": self._folder(source) + name}
            self.s3.copy_object(Bucket=self.bucket, Key=self._folder(day) + name, CopySource=origin)

        list(self.threads.map(copy, [name for name in self._names(source) if not name.endswith(MARKER)]))
        self._mark(day)

    def _mark(self, day: date) -> None:
        for split in SPLITS:
            self.s3.put_object(Bucket=self.bucket, Key=f"{self._folder(day)}{split}/{MARKER}", Body=b"")
