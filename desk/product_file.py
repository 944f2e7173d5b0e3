"""product.toml: read without being hurt by it, and made into a content manifest with every mistake named."""

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from models.content import ContentManifest
from models.errors import InvalidManifest, Problem

MANIFEST_FILE = "product.toml"

#: more names than these nobody reads; the rest is counted
MOST_PROBLEMS = 100
#: tomllib takes time with the square of a name's parts: 512 KiB of `a.a.a` would take hours
_DEEPEST_NAME = 32
_DEEP_NAME = re.compile(
    r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){%d}""" % _DEEPEST_NAME  # noqa: UP031
)
#: a product of many tiers has hundreds; tens of thousands are only there to be complained of one by one
_MOST_VALUES = 10_000
#: a whole number that every reader of JSON takes for the same one
_LARGEST = 2**53
_WHITE = "\n\r\t"
#: each round of validation mends what the one before it hid
_ROUNDS = 5


def parse(content: bytes) -> dict[str, Any]:
    """Errors: InvalidManifest when it is no TOML at all: then there is nothing to look at."""
    try:
        text = content.decode("utf-8")
        if _DEEP_NAME.search(text):
            problem = f"has a name of more than {_DEEPEST_NAME} parts: write tables instead."
        else:
            written = tomllib.loads(text)
            if _values(written) <= _MOST_VALUES:
                return written
            problem = f"has more than {_MOST_VALUES:,} values."
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start}): save it as UTF-8."
    except RecursionError:
        problem = "is nested too deeply."
    except ValueError as error:  # a TOMLDecodeError, or a number or date that Python cannot hold
        problem = f"is not TOML: {error}."
    raise InvalidManifest([Problem(MANIFEST_FILE, problem)])


def _values(written: dict[str, Any]) -> int:
    """How many there are; counting ends where there are too many."""
    count = 0
    waiting: list[Any] = [written]
    while waiting and count <= _MOST_VALUES:
        value = waiting.pop()
        members = value.values() if isinstance(value, dict) else value
        count += len(value)
        waiting += [member for member in members if isinstance(member, (dict, list))]
    return count


def manifest_of(written: dict[str, Any]) -> tuple[ContentManifest, list[Problem]]:
    """The manifest, and what is wrong by field. A field that is wrong holds a neutral value, so that the rules can
    look at the rest of it. Errors: InvalidManifest when not even that is possible.
    """
    problems = [*_unknown(written, ContentManifest, ()), *_unfit(written, ())]
    for _ in range(_ROUNDS):
        try:
            return ContentManifest.model_validate(written), problems
        except ValidationError as error:
            for mistake in error.errors(include_url=False, include_input=False):
                problems.append(Problem(_field(mistake["loc"]), _sentence(mistake["msg"])))
                try:
                    _neutralize(written, mistake["loc"])
                except (KeyError, IndexError, TypeError, AttributeError):
                    raise InvalidManifest(shortened(problems)) from error
    raise InvalidManifest(shortened(problems))


def shortened(problems: list[Problem]) -> list[Problem]:
    """One problem a field and message, and no more of them than anybody reads."""
    problems = list(dict.fromkeys(problems))
    if (more := len(problems) - MOST_PROBLEMS) > 0:
        problems[MOST_PROBLEMS:] = [Problem(MANIFEST_FILE, f"has {more:,} more problems.")]
    return problems


def _unknown(written: dict[str, Any], model: type[BaseModel], path: tuple[object, ...]) -> Iterator[Problem]:
    """Names that the model does not know: a typing mistake would otherwise go unseen."""
    for number, (name, value) in enumerate(written.items()):
        field = model.model_fields.get(name)
        if field is None:
            # the comparison is slow, and nobody mistypes a hundred names
            near = difflib.get_close_matches(name, model.model_fields, 1) if number < MOST_PROBLEMS else []
            advice = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(model.model_fields)}."
            yield Problem(_field((*path, name[:100])), f"is not known. {advice}")
        elif (inner := _model_in(field.annotation)) is not None:
            if isinstance(value, dict):
                yield from _unknown(value, inner, (*path, name))
            elif isinstance(value, list):
                for place, item in enumerate(value):
                    if isinstance(item, dict):
                        yield from _unknown(item, inner, (*path, name, place))


def _unfit(value: object, path: tuple[object, ...]) -> Iterator[Problem]:
    """Texts that cannot be shown, and numbers that cannot be stored."""
    match value:
        case str():
            odd = next((c for c in value if c not in _WHITE and unicodedata.category(c) in ("Cc", "Cs")), None)
            if odd is not None:
                yield Problem(_field(path), f"contains the control character U+{ord(odd):04X}: remove it.")
        case bool():
            return
        case int() if abs(value) > _LARGEST:
            yield Problem(_field(path), "is too large a number.")
        case dict():
            for name, member in value.items():
                yield from _unfit(member, (*path, name))
        case list():
            for place, member in enumerate(value):
                yield from _unfit(member, (*path, place))


def _neutralize(written: dict[str, Any], path: tuple[int | str, ...]) -> None:
    """Put a neutral value where a mistake is."""
    place: Any = written
    kind: Any = ContentManifest
    for part in path[:-1]:
        place = place[part]
        kind = _kind_of(kind, part)
    last = path[-1]
    model = _model_in(kind)
    if isinstance(last, str) and model is not None and not model.model_fields[last].is_required():
        del place[last]
    else:
        place[last] = _neutral(_kind_of(kind, last))


def _kind_of(kind: Any, part: int | str) -> Any:
    """The type of a field of a model, or of the elements of a tuple."""
    if isinstance(part, int):
        return get_args(kind)[0]
    model = _model_in(kind)
    return model.model_fields[part].annotation if model else None


def _neutral(kind: Any) -> Any:
    if (model := _model_in(kind)) is not None and kind is model:
        return {name: _neutral(field.annotation) for name, field in model.model_fields.items() if field.is_required()}
    return {str: "", int: 1}.get(kind, [])


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a field: its own, of an optional one, or of the elements of a tuple."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _field(path: tuple[object, ...]) -> str:
    return ".".join(str(part) for part in path) or MANIFEST_FILE


def _sentence(message: str) -> str:
    return "is missing." if message == "Field required" else message[0].lower() + message[1:].rstrip(".") + "."
