"""Column types that behave the same on SQLite and PostgreSQL."""

import re
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

W = TypeVar("W", bound=StrEnum)


class Word(TypeDecorator[W], Generic[W]):
    """A string column that holds an enumeration's values (never the members' names) and reads back its members."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[W]) -> None:
        super().__init__(length=40)
        self.words = words

    def process_bind_param(self, value: W | str | None, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> W | None:
        return None if value is None else self.words(value)


class Prose(TypeDecorator[str]):
    """Text that people or images brought in. NUL and half surrogate pairs become U+FFFD: PostgreSQL refuses them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class Json(TypeDecorator[Any]):
    """JSON, and JSONB on PostgreSQL; strings as in Prose."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return _all_storable(value)


def storable(text: str) -> str:
    """The text without what PostgreSQL refuses; almost always the very same string."""
    return _UNSTORABLE.sub("\ufffd", text)


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _all_storable(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(key): _all_storable(member) for key, member in value.items()}
        case list() | tuple():
            return [_all_storable(member) for member in value]
        case _:
            return value
