"""JSON with arrays of millions of numbers → a document whose long arrays are numpy's, at 8 bytes a number.

A list of Python's own numbers takes about 70 bytes for each: an artifact of ten million coefficients would need more
memory than a worker has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Content = bytes | bytearray

# with the letters of NaN and Infinity, which Python reads as JSON, so that a long array with one stays an array
_LONG_ARRAY = re.compile(rb"\[[-+0-9.eE,\sNaInfity]{4096,}\]")
_CHUNK_BYTES = 1 << 20
_KEY = "\u0001array"


def loads(content: Content) -> Any:
    """The document, each array of numbers of 4 KB or more in it as an int64 or float64 array.

    NaN and infinities are read, as Python's own reader does.

    :raises ValueError: this is no JSON
    """
    arrays: list[NDArray[Any]] = []
    rest, end = bytearray(), 0
    for match in _LONG_ARRAY.finditer(content):
        rest += memoryview(content)[end : match.start()]
        rest += json.dumps({_KEY: len(arrays)}).encode()
        arrays.append(_numbers(content, match.start() + 1, match.end() - 1))
        end = match.end()
    if not arrays:
        return json.loads(content)
    rest += memoryview(content)[end:]

    def place(item: dict[str, Any]) -> Any:
        number = item.get(_KEY)
        if number is None:
            return item
        if type(number) is not int or not 0 <= number < len(arrays):
            raise ValueError(f"{_KEY!r} is no key that a document may have")
        return arrays[number]

    # within a text, the quotes of what stands for an array end the text: no such document is read wrongly
    return json.loads(rest, object_hook=place)


def _numbers(content: Content, start: int, end: int) -> NDArray[Any]:
    chunks = [np.asarray(chunk) for chunk in _chunks(content, start, end)]
    numbers = np.concatenate(chunks)
    if numbers.dtype.kind not in "if":
        raise ValueError("an array holds a whole number beyond 64 bits")
    return numbers


def _chunks(content: Content, start: int, end: int) -> Iterator[list[float]]:
    while start <= end:
        stop = end if end - start <= _CHUNK_BYTES else content.rfind(b",", start, start + _CHUNK_BYTES)
        if stop < 0:
            raise ValueError("an array holds a number of more than a megabyte")
        numbers = json.loads(b"[%b]" % bytes(memoryview(content)[start:stop]))
        if not numbers:
            raise ValueError("an array has a comma that no number follows")
        yield numbers
        start = stop + 1
