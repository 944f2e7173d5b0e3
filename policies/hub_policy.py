"""policy.toml, read: every mistake is named with what is allowed instead."""

import difflib
import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from models.errors import InvalidPolicy
from models.findings import READABLE
from models.policy import HubPolicy, Rules
from policies import rulebook, working_days

_TABLE = re.compile(r"\[\s*([A-Za-z0-9_.\s\"'-]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"([A-Za-z0-9_.\s\"'-]+?)\s*=")
#: of a value that is repeated to whoever wrote it, characters
_LONGEST_VALUE = 80


class _Mistake(NamedTuple):
    path: tuple[str, ...]
    says: str


def parse_policy(text: str) -> HubPolicy:
    """Errors: InvalidPolicy, one line for each mistake."""
    try:
        written = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a TOMLDecodeError, or a number that Python cannot hold
        raise InvalidPolicy(f"policy.toml is not TOML: {error}.") from error
    try:
        policy = HubPolicy.model_validate(written, extra="forbid")
    except ValidationError as error:
        raise _wrong(text, (_of_form(mistake) for mistake in error.errors(include_url=False))) from error
    if mistakes := [*_rules(policy.rules), *_holidays(policy.deadlines.holidays)]:
        raise _wrong(text, mistakes)
    return policy


def _wrong(text: str, mistakes: "Iterator[_Mistake] | list[_Mistake]") -> InvalidPolicy:
    """`deadlines.reply_working_days (line 7): ...`"""
    lines = []
    for path, says in mistakes:
        number = _line_number(text, path)
        lines.append(f"  {'.'.join(path)}{f' (line {number})' if number else ''}{says}")
    return InvalidPolicy("policy.toml is wrong:\n" + "\n".join(lines))


def _of_form(mistake: Any) -> _Mistake:
    path = tuple(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return _Mistake(path, f" is not known. {_advice(path[-1], _names(path[:-1]))}")
    given = "" if isinstance(mistake["input"], dict) else f" (given: {repr(mistake['input'])[:_LONGEST_VALUE]})"
    return _Mistake(path, f": {mistake['msg'].removeprefix('Value error, ')}{given}")


def _advice(name: str, known: "list[str] | tuple[str, ...]") -> str:
    near = difflib.get_close_matches(name[:_LONGEST_VALUE], known, 1)
    return f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."


def _rules(rules: Rules) -> Iterator[_Mistake]:
    """A switch that names no rule would be one that nobody misses until it matters."""
    known = rulebook.known_ids()
    for switch in type(rules).model_fields:
        for name in getattr(rules, switch):
            if name in rulebook.FIXED and (switch != "off" or name == READABLE):
                yield _Mistake(("rules", switch), f": {name} cannot be switched here: {rulebook.FIXED[name]}.")
            elif name not in known and name not in rulebook.FIXED:
                yield _Mistake(("rules", switch), f": there is no rule {name}. {_advice(name, known)}")
    for name in set(rules.requirement) & set(rules.guideline):
        yield _Mistake(("rules", "guideline"), f": {name} cannot be both a requirement and a guideline.")


def _holidays(country: str) -> Iterator[_Mistake]:
    if country and not working_days.knows(country):
        says = f": no country with known holidays (given: {country[:_LONGEST_VALUE]!r}); write DE, GB, US and so on."
        yield _Mistake(("deadlines", "holidays"), says)


def _names(path: tuple[str, ...]) -> list[str]:
    """Keys that stand in a table of policy.toml."""
    model: type[BaseModel] = HubPolicy
    for part in path:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return sorted(model.model_fields)


def _line_number(text: str, path: tuple[str, ...]) -> int:
    """Where a key stands, or the table of a mistake that is about all of it; 0 when neither is seen."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _TABLE.fullmatch(line.strip()):
            table = _parts(found[1])
            if path == table:
                return number
        elif found := _KEY.match(line.strip()):
            key = (*table, *_parts(found[1]))
            if key == path[: len(key)]:
                return number
    return 0


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip(" \t\"'") for part in name.split("."))
