"""Takes a case for a signature out of a real file, to be added to `scanning/signatures/<product>.toml`.

    python -m scripts.signature_case PRODUCT FILE PATH SOURCE [EXPRESSION...]

PATH is where the package has the file, SOURCE the package with its version. With expressions (over bytes), the case is
of a file that mentions the product without being it: what they match, and no version.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from scanning.identify import Identifier
from scanning.signature_files import Pattern, Signature, signatures

#: bytes that a case keeps on both sides of what matched
_AROUND = 8
#: bytes of a needed text that a case keeps after it
_AFTER = 24


def case(product: str, content: bytes, path: str, source: str, expressions: list[str]) -> str:
    """The case as TOML. Errors: ValueError when the file tells of nothing, or an expression matches nothing."""
    (signature,) = [one for one in signatures() if one.name == product]
    versions: list[str] = []
    if expressions:
        pieces = [_matched(expression.encode("latin-1"), content) for expression in expressions]
    else:
        versions = [one.version for one in Identifier.load().identify(path, [content]) if one.product == product]
        pieces = list(_told(signature, content, path, versions))
    texts = ", ".join(_quoted(piece) for _, piece in sorted(set(pieces)))
    said = ", ".join(f'"{version}"' for version in versions)
    return f'\n[[case]]\ncontent = [{texts}]\nversions = [{said}]\npath = "{path}"\nsource = "{source}"\n'


def _told(signature: Signature, content: bytes, path: str, versions: list[str]) -> Iterator[tuple[int, bytes]]:
    """Of the first pattern that tells of these versions: each of its texts, and what it needs."""
    name = path.rpartition("/")[2]
    for pattern in signature.patterns:
        here = pattern.file in ("", name) and all(one in content for one in pattern.needs)
        matches = [match for match in re.finditer(pattern.text, content) if _version(pattern, match) in versions]
        if not here or any(one in content for one in pattern.unless) or not matches:
            continue
        for match in {match[0]: match for match in reversed(matches)}.values():
            yield _around(match, content)
        for one in pattern.needs:
            yield _matched(re.escape(one) + rb"[^\0]{0,%d}" % _AFTER, content)
        return
    raise ValueError(f"{path} tells of no {signature.name}")


def _version(pattern: Pattern, match: re.Match[bytes]) -> str:
    return pattern.version.format_map({name: (said or b"").decode() for name, said in match.groupdict().items()})


def _matched(expression: bytes, content: bytes) -> tuple[int, bytes]:
    if (match := re.search(expression, content)) is None:
        raise ValueError(f"{expression!r} is not in the file")
    return _around(match, content)


def _around(match: re.Match[bytes], content: bytes) -> tuple[int, bytes]:
    begin = max(0, match.start() - _AROUND)
    return begin, content[begin : match.end() + _AROUND]


def _quoted(piece: bytes) -> str:
    """A basic string of TOML, all but printable ASCII escaped."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\u{byte:04x}" for byte in piece)
    return '"' + "".join(plain) + '"'


def main(arguments: list[str]) -> int:
    if len(arguments) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    product, file, path, source, *expressions = arguments
    try:
        print(case(product, Path(file).read_bytes(), path, source, expressions), end="")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
