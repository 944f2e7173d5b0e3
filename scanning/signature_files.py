"""Signatures of products: what their own binaries say of themselves. Data, one file a product, in `signatures/`.

Every text of a signature is a regular expression over bytes that spans a digit, a dot and a digit: that is what the
search looks for first (scanning/identify.py), and a test holds every file to it.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "signatures"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One text that tells of the product; its group `version` is the version, a group `update` the CPE's update.

    `needs` are texts of which the same file has every one as well, `unless` texts of which it has none.
    """

    text: bytes
    confidence: float
    needs: tuple[bytes, ...] = ()
    unless: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes of a real file, and the versions that they tell of. `source` says whose."""

    content: bytes
    versions: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Signature:
    """`cpes` are (vendor, product) as NVD names it, today's first. `file`: the name of a file of text that it is in."""

    name: str
    cpes: tuple[tuple[str, str], ...]
    patterns: tuple[Pattern, ...]
    cases: tuple[Case, ...]
    file: str = ""

    def cpe(self, version: str, update: str = "") -> str:
        """The formatted string of CPE 2.3."""
        return "cpe:2.3:a:" + ":".join((*self.cpes[0], _quoted(version), _quoted(update) or "*")) + ":*:*:*:*:*:*"


@cache
def signatures() -> tuple[Signature, ...]:
    """All of them, in the order of their names."""
    return tuple(_signature(tomllib.loads(path.read_text(encoding="utf-8"))) for path in sorted(_FOLDER.glob("*.toml")))


def _signature(said: dict[str, Any]) -> Signature:
    return Signature(
        name=said["name"],
        cpes=tuple((one["vendor"], one["product"]) for one in said["cpe"]),
        patterns=tuple(
            Pattern(
                text=one["text"].encode("latin-1"),
                confidence=float(one["confidence"]),
                needs=tuple(text.encode("latin-1") for text in one.get("needs", ())),
                unless=tuple(text.encode("latin-1") for text in one.get("unless", ())),
            )
            for one in said["pattern"]
        ),
        cases=tuple(
            Case(one["content"].encode("latin-1"), tuple(one["versions"]), one["source"]) for one in said["case"]
        ),
        file=said.get("file", ""),
    )


def _quoted(text: str) -> str:
    """A value of a CPE name: all but letters, digits, `_`, `.` and `-` has a backslash before it."""
    return re.sub(r"[^\w.\-]", r"\\\g<0>", text.lower(), flags=re.ASCII)
