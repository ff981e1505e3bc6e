"""What a text that is no LibSVM may be instead, by the way it begins."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

_REPLACED = "\ufffd"  # what decoding puts where bytes are no UTF-8
_KINDS = (
    (re.compile(r"PAR1"), "Parquet"),
    (re.compile("\x1f" + _REPLACED), "compressed by gzip, without .gz in its name"),
    (re.compile(r"BZh[1-9]"), "compressed by bzip2, without .bz2 in its name"),
    (re.compile(r"PK\x03\x04"), "a zip archive"),
    (re.compile(r"ORC|Obj\x01"), "ORC or Avro"),
    (re.compile(r"\s*<"), "HTML or XML"),
    (re.compile(r"\s*[{\[]"), "JSON"),
    (re.compile(r"[^:]*[,;|][^:]*$"), "CSV"),
)


class Wrong(NamedTuple):
    """
    :param code: of the failure
    :param reason: without any of the text itself
    """

    code: str
    reason: str


def wrong_with_file(first_line: str) -> Optional[Wrong]:
    """What is wrong where the first line shows that the whole file is of another kind."""
    for start, kind in _KINDS:
        if start.match(first_line):
            return Wrong("wrong_format", f"the file is {kind}, not LibSVM text")
    wrong = wrong_with_text(first_line)
    if wrong and wrong.code == "wrong_format":
        return Wrong(wrong.code, "the file is binary, not LibSVM text")
    return wrong


def wrong_with_text(line: str) -> Optional[Wrong]:
    """What is wrong where a line is no text, or none in UTF-8."""
    content = line.partition("#")[0]
    if re.search("(?:[^\x00]\x00){2}|(?:\x00[^\x00]){2}", content):
        return Wrong("wrong_encoding", "the text is in UTF-16, not in UTF-8")
    if re.search("[\x00-\x08\x0e-\x1f]", content):
        return Wrong("wrong_format", "the line is binary, not text")
    if _REPLACED in content:
        return Wrong("wrong_encoding", "the text is not in UTF-8")
    return None
