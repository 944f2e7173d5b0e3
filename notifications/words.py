"""Characters as a mail can carry them: no line break or trick of direction gets from a text into a mail's frame."""

import re
import textwrap
from datetime import datetime

#: columns of the text part; a quoted reply still fits a terminal
WIDTH = 76

# tabs and line feeds are text; of the rest nothing is visible, and some mail servers refuse a mail for them
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb]")
# overrides and embeddings reach beyond the text that they stand in: they could turn a line of ours around
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LINE_BREAKS = re.compile("\r\n|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """What can be written as UTF-8 and seen by people; line breaks become line feeds."""
    text = text.encode("utf-8", "replace").decode()  # half a surrogate pair has no UTF-8 form
    return _DIRECTIONS.sub("", _CONTROLS.sub("", _LINE_BREAKS.sub("\n", text)))


def one_line(text: str, longest: int) -> str:
    """At most `longest` characters on a single line: fit for a header."""
    line = _SPACES.sub(" ", clean(text)).strip()
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def moment(at: datetime) -> str:
    """Day of the week, day and minute, in UTC: nobody has to guess an order of numbers or a zone."""
    return f"{at:%A} {at.day} {at:%B %Y, %H:%M} UTC"


def day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y}"


def wrapped(text: str, indent: str = "", first: str | None = None) -> str:
    """Each line broken at spaces to the width; a long word (a digest, a link) stays whole, so that it can be copied.

    `indent` precedes every line, `first` the very first one in its stead.
    """
    lines: list[str] = []
    for line in text.split("\n"):
        start = indent if lines or first is None else first
        broken = textwrap.wrap(
            line,
            WIDTH,
            initial_indent=start,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines.extend(broken or [start.rstrip()])
    return "\n".join(lines)


def paragraphs(text: str) -> str:
    """A template's prose, wrapped: blank lines part paragraphs, "- " begins an item, four spaces keep a line whole."""
    done: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        parts: list[str] = []
        for line in block.split("\n"):
            if parts and not line.startswith(("- ", "    ")):
                parts[-1] += " " + line.strip()
            else:
                parts.append(line.rstrip())
        done.append("\n".join(part if part.startswith("    ") else _item(part) for part in parts))
    return "\n\n".join(done)


def _item(text: str) -> str:
    return wrapped(text[2:], "  ", "- ") if text.startswith("- ") else wrapped(text)


def without_gaps(text: str) -> str:
    """At most one blank line in a row, none at the ends: what an empty section of a template leaves behind."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
