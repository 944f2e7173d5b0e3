"""Long JSON documents, one record at a time: a list of objects, or an object with one under `vulnerabilities`."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Protocol

_CHUNK = 2**18
_SPACE = " \t\r\n"
#: the key under which NVD's and CISA's documents have their records
_RECORDS = "vulnerabilities"


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Text:
    """What is read of a document, and where in it we are. Errors: ValueError, RecursionError."""

    def __init__(self, file: Readable, largest: int) -> None:
        self._file = file
        self._largest = largest
        self._characters = codecs.getincrementaldecoder("utf-8")()
        self._reader = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._ended = False

    def next_sign(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more()

    def skip(self, expected: str) -> None:
        if self.next_sign() != expected:
            raise ValueError(f"expected {expected!r}")
        self._at += 1

    def value(self) -> tuple[Any, str]:
        """The next value, and its text."""
        if not self.next_sign():
            raise ValueError("it ends too early")
        while True:
            try:
                value, end = self._reader.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if self._ended:
                    raise
            else:
                # a number at the end of what was read may go on
                if end < len(self._text) or self._ended:
                    text, self._at = self._text[self._at : end], end
                    return value, text
            if len(self._text) - self._at > self._largest:
                raise ValueError(f"a value in it is larger than {self._largest:,} bytes")
            self._more()

    def _more(self) -> None:
        """As much again as is waiting: a value is tried a few times, however long it is."""
        rest = self._text[self._at :]
        content = self._file.read(max(_CHUNK, len(rest)))
        self._text, self._at = rest + self._characters.decode(content, final=not content), 0
        self._ended = not content


def objects_in(file: Readable, largest: int) -> Iterator[tuple[Any, str]]:
    """Each record with its text; of an object that has no list of records, itself. A list of anything but objects is
    no list of records. `largest` is the bytes of the longest value. Errors: ValueError, RecursionError."""
    text = _Text(file, largest)
    if text.next_sign() == "[":
        yield from _of_list(text)
    else:
        yield from _of_object(text, largest)
    if text.next_sign():
        raise ValueError("there is more behind it")


def _of_list(text: _Text) -> Iterator[tuple[Any, str]]:
    text.skip("[")
    while (sign := text.next_sign()) != "]":
        if sign != "{":
            raise ValueError("it is a list of something else than records")
        yield text.value()
        if text.next_sign() != "]":
            text.skip(",")
    text.skip("]")


def _of_object(text: _Text, largest: int) -> Iterator[tuple[Any, str]]:
    found: dict[str, Any] = {}
    size, has_list = 0, False
    text.skip("{")
    while text.next_sign() != "}":
        key, _ = text.value()
        if not isinstance(key, str):
            raise ValueError("a key is no text")
        text.skip(":")
        if key == _RECORDS and text.next_sign() == "[":
            has_list = True
            yield from _of_list(text)
        else:
            found[key], said = text.value()
            size += len(said)
        if size > largest:
            raise ValueError(f"it is larger than {largest:,} bytes")
        if text.next_sign() != "}":
            text.skip(",")
    text.skip("}")
    if not has_list:
        yield found, json.dumps(found)
