"""Why a job can fail, as far as it can say so itself: the closed list of codes, each with what it means to a person.

Whoever reads ``failure.json`` (publishing, the retry rules, the page) may rely on the codes. The sentence of a failure
names what was found and what would be accepted. Rows of data are users' data: they travel in ``lines``, which goes into
``failure.json`` and nowhere else, never into the exception's text.
"""

from __future__ import annotations

from dataclasses import dataclass

CODES = {
    "bad_request": "The request is not one that this version of the job understands.",
    "numpy_missing": "The cluster's Python has no numpy, which Spark ML needs.",
    "input_changed": "An input object is gone, or has another size or ETag than when the training was planned.",
    "input_unreadable": "An input object could not be looked at or read, for instance for lack of permission.",
    "wrong_format": "A file is of another format than the portfolio says: HTML, CSV, binary, Parquet, other columns.",
    "wrong_encoding": "A text is not in UTF-8.",
    "corrupt_input": "A compressed file or a Parquet file is cut short or damaged.",
    "malformed_input": "A line of the input is not LibSVM, or a row of Parquet lacks something.",
    "bad_index": "The index of a feature is 0, negative, not above the one before it, or beyond num_features.",
    "not_finite": "The value of a feature, or a weight, is NaN, infinite, or too large to be squared and summed.",
    "line_too_long": "A line is longer than any row can be.",
    "label_not_mapped": "The input holds a label that the label mapping does not know.",
    "no_rows": "A split holds no rows.",
    "split_not_possible": "A share that is to be cut from train came out more than a tenth off.",
    "one_class": "All rows of train, or of validation, have the same class.",
    "learning_diverged": "The learner came back with coefficients that are not finite numbers.",
    "out_of_memory": "The driver or an executor ran out of memory.",
    "deadline_exceeded": "The job was still running at its deadline.",
}
MAX_LINES = 5
MAX_LINE_CHARACTERS = 200


@dataclass(frozen=True)
class Place:
    """Where the cause lies.

    :param line: counted from 1; None where the file as a whole is meant
    """

    file: str
    line: int | None = None


class JobError(Exception):
    """The job ends here, and can say why.

    :param code: one of CODES
    :param sentence: for a person; holds no row of the data
    :param lines: offending lines as they stand in the input; only up to five are kept, each cut at 200 characters
    """

    def __init__(
        self, code: str, sentence: str, *, place: Place | None = None, lines: tuple[str, ...] = ()
    ) -> None:
        if code not in CODES:
            raise ValueError(f"{code!r} is no failure code; known are {', '.join(sorted(CODES))}")
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.place = place
        self.lines = tuple(line[:MAX_LINE_CHARACTERS] for line in lines[:MAX_LINES])

    def document(self, training: object) -> dict[str, object]:
        """What ``failure.json`` holds.

        :param training: the request's identity of the training; None where the request could not be read
        """
        place = None if self.place is None else {"file": self.place.file, "line": self.place.line}
        return {
            "format_version": 2,
            "training": training,
            "code": self.code,
            "sentence": self.sentence,
            "place": place,
            "lines": list(self.lines),
        }
