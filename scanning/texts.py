"""Texts of images, made fit for reports: whatever a publisher sends, JSON, databases and terminals can take it."""

#: characters of one value that a report repeats
LONGEST = 4_096


def clean(text: str, most: int = LONGEST) -> str:
    """Control characters, line ends and half surrogates become visible escapes; a cut text ends in an ellipsis."""
    if len(text) > most:
        text = text[: most - 1] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def decoded(content: bytes) -> str:
    """UTF-8; a byte that is none becomes `\\xe9`, so that different names stay different."""
    return clean(content.decode("utf-8", "backslashreplace"))
