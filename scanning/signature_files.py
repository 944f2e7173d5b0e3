"""Signatures of products: what their own binaries say of themselves. Data, one file a product, in `signatures/`.

The text of a pattern is a regular expression over bytes that spans a digit, a dot and a digit: that is what the search
looks for first (scanning/identify.py). How a file is written is told in docs/extend.md; a test holds each to its cases.
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
    """One text that tells of the product, in the order in which they are believed.

    `mark` is a part of the text that never changes, by which it is found fast; without one, the text begins with a
    version that stands by itself and ends with a NUL. `version` and `cpe` (its version and update) are made of the
    expression's groups. `needs` are bytes of which the same file has all, `unless` bytes of which it has none. `alone`:
    it is believed where the file has but one such version, besides those that are another product's.
    """

    text: bytes
    confidence: float
    mark: bytes = b""
    needs: tuple[bytes, ...] = ()
    unless: tuple[bytes, ...] = ()
    alone: bool = False
    #: name of the file of text that it is of, instead of binaries
    file: str = ""
    version: str = "{version}"
    cpe: tuple[str, str] = ("{version}", "")


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes of a real file, and the versions that they tell of. `source` is the package whose file it is."""

    content: bytes
    versions: tuple[str, ...]
    path: str
    source: str


@dataclass(frozen=True, slots=True)
class Signature:
    """`vendor` and `product` as NVD names them today; their older names are known to scanning/cpe.py."""

    name: str
    vendor: str
    product: str
    patterns: tuple[Pattern, ...]
    cases: tuple[Case, ...]

    def cpe(self, version: str, update: str = "") -> str:
        """The formatted string of CPE 2.3."""
        fields = (self.vendor, self.product, _quoted(version), _quoted(update) or "*")
        return f"cpe:2.3:a:{':'.join(fields)}:*:*:*:*:*:*"


@cache
def signatures() -> tuple[Signature, ...]:
    """All of them, in the order of their names."""
    return tuple(_signature(tomllib.loads(path.read_text(encoding="utf-8"))) for path in sorted(_FOLDER.glob("*.toml")))


def _signature(said: dict[str, Any]) -> Signature:
    vendor, product = said["cpe"]
    return Signature(
        name=said["name"],
        vendor=vendor,
        product=product,
        patterns=tuple(_pattern(one) for one in said["pattern"]),
        cases=tuple(_case(one) for one in said.get("case", ())),
    )


def _pattern(said: dict[str, Any]) -> Pattern:
    version, update = said.get("cpe", ("{version}", ""))
    return Pattern(
        text=said["text"].encode("latin-1"),
        confidence=float(said["confidence"]),
        mark=said.get("mark", "").encode("latin-1"),
        needs=tuple(text.encode("latin-1") for text in said.get("needs", ())),
        unless=tuple(text.encode("latin-1") for text in said.get("unless", ())),
        alone=said.get("alone", False),
        file=said.get("file", ""),
        version=said.get("version", "{version}"),
        cpe=(version, update),
    )


def _case(said: dict[str, Any]) -> Case:
    """`content` are pieces of a file, in their order."""
    return Case("\0".join(said["content"]).encode("latin-1"), tuple(said["versions"]), said["path"], said["source"])


def _quoted(text: str) -> str:
    """A value of a CPE name: all but letters, digits, `_`, `.` and `-` has a backslash before it."""
    return re.sub(r"[^\w.\-]", r"\\\g<0>", text.lower(), flags=re.ASCII)
