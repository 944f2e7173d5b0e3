"""policy.toml, read: every mistake is named with what is allowed instead."""

import difflib
import tomllib
from typing import Any

from pydantic import BaseModel, ValidationError

from models.errors import InvalidPolicy
from models.policy import HubPolicy


def parse_policy(text: str) -> HubPolicy:
    """Errors: InvalidPolicy, one line for each mistake."""
    try:
        written = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidPolicy(f"policy.toml is not TOML: {error}.") from error
    try:
        return HubPolicy.model_validate(written)
    except ValidationError as error:
        lines = [_line(text, mistake) for mistake in error.errors(include_url=False)]
        raise InvalidPolicy("policy.toml is wrong:\n" + "\n".join(f"  {line}" for line in lines)) from error


def _line(text: str, mistake: Any) -> str:
    """`deadlines.reply_working_days (line 7): ...`"""
    path = [str(part) for part in mistake["loc"]]
    number = _line_number(text, path)
    place = ".".join(path) + (f" (line {number})" if number else "")
    if mistake["type"] == "extra_forbidden":
        known = _names(path[:-1])
        near = difflib.get_close_matches(path[-1], known, 1)
        advice = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."
        return f"{place} is not known. {advice}"
    given = f" (given: {mistake['input']!r})" if path and not isinstance(mistake["input"], dict) else ""
    return f"{place}: {mistake['msg']}{given}"


def _names(path: list[str]) -> list[str]:
    """Keys that stand in a table of policy.toml."""
    model: type[BaseModel] = HubPolicy
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return sorted(model.model_fields)


def _line_number(text: str, path: list[str]) -> int:
    """Where a key stands in its table; 0 when it is written in a way that this does not see."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line.startswith("["):
            table = line.strip("[] ")
            if path == [table]:
                return number
        elif "=" in line and [*filter(None, table.split(".")), line.partition("=")[0].strip()] == path[: len(path)]:
            return number
    return 0
