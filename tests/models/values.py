"""Values of every message, made from the types of its fields."""

import types
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import hypothesis.strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import models.commands
import models.content
import models.events
import models.findings
import models.images
import models.lifecycle
import models.notices
import models.products
import models.publishers
import models.recording
import models.reports
import models.scans
import models.work
from models.base import Message

MODULES = (
    models.commands,
    models.content,
    models.events,
    models.findings,
    models.images,
    models.lifecycle,
    models.notices,
    models.products,
    models.publishers,
    models.recording,
    models.reports,
    models.scans,
    models.work,
)


def all_messages() -> list[type[Message]]:
    """Every concrete message of the room, by name."""
    found = {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Message) and kind.__module__ == module.__name__
    }
    abstract = {Message, models.recording.Recording}
    return sorted(found - abstract, key=lambda kind: (kind.__module__, kind.__name__))


def messages(kind: type[BaseModel], *, only_required: bool = False) -> st.SearchStrategy[Any]:
    """Any message of a kind; optional fields are sometimes left out."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in kind.model_fields.items():
        if field.is_required():
            required[name] = _of_field(field)
        elif not only_required and not _is_section(field.annotation):
            optional[name] = _of_field(field)
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: kind(**fields))


def _of_field(field: FieldInfo) -> st.SearchStrategy[Any]:
    formed = _of_pattern(field.metadata)
    return _of(field.annotation) if formed is None else formed


def _of_pattern(constraints: Iterable[Any]) -> st.SearchStrategy[Any] | None:
    """Texts of the form that a field asks for."""
    for constraint in constraints:
        if isinstance(constraint, FieldInfo):
            return _of_pattern(constraint.metadata)
        if pattern := getattr(constraint, "pattern", None):
            return st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
    return None


def _is_section(annotation: Any) -> bool:
    """A table of the policy: its numbers depend on one another, so only its defaults are taken."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, Message)


def _of(annotation: Any) -> st.SearchStrategy[Any]:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        formed = _of_pattern(inner[1:])
        return _of(inner[0]) if formed is None else formed
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, types.UnionType):
        return st.one_of(*(_of(kind) for kind in inner))
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(_of(inner[0]), max_size=2).map(tuple)
        return st.tuples(*(_of(kind) for kind in inner))
    if origin is dict:
        return st.dictionaries(_of(inner[0]), _of(inner[1]), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return st.sampled_from(list(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return st.deferred(lambda: st.just(annotation()) if _is_section(annotation) else messages(annotation))
    return _PLAIN[annotation]


_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    datetime: st.integers(0, 10**9).map(lambda seconds: _BEGINNING + timedelta(seconds=seconds)),
    date: st.dates(),
    timedelta: st.integers(-(10**8), 10**8).map(lambda seconds: timedelta(seconds=seconds)),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**6), max_value=10**6),
    type(None): st.none(),
}
