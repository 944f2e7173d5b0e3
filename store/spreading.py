"""One row for each of many products, all of the same values: the database makes the rows, from one statement."""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, bindparam, func, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from store.database import put_rows, table_of

#: below this many, rows are written sooner than a statement is made
_FEW = 4
_LISTED = "listed"


async def spread(
    session: AsyncSession,
    table: type[SQLModel],
    groups: Sequence[tuple[Sequence[str], Mapping[str, Any]]],
    key: Sequence[str],
    keep: Sequence[str] = (),
) -> None:
    """Each group is (products, values): insert such a row for each of the products, or replace those with the same key,
    all columns but `keep`. All groups have the same columns."""
    few: list[dict[str, Any]] = []
    for products, values in groups:
        if len(products) < _FEW:
            few += [{"product": product, **values} for product in products]
            continue
        changed = tuple(name for name in values if name not in key and name not in keep)
        dialect = session.get_bind().dialect.name
        statement = _statement(dialect, table_of(table), tuple(values), tuple(key), changed)
        # neighbours in the index are written one after the other
        listed = json.dumps(sorted(products)) if dialect == "sqlite" else sorted(products)
        await session.exec(
            statement, params={_LISTED: listed} | {f"of_{name}": value for name, value in values.items()}
        )
    await put_rows(session, table, few, key, keep)


@functools.cache
def _statement(
    dialect: str, table: Table, names: tuple[str, ...], key: tuple[str, ...], changed: tuple[str, ...]
) -> Any:
    """Made once: building it takes longer than what it does."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    values = (bindparam(f"of_{name}", type_=table.c[name].type) for name in names)
    # SQLite takes what follows a bare SELECT for a join
    statement = insert(table).from_select(["product", *names], select(_products(dialect), *values).where(true()))
    told = {name: statement.excluded[name] for name in changed}
    return statement.on_conflict_do_update(index_elements=list(key), set_=told)


def _products(dialect: str) -> ColumnElement[Any]:
    if dialect == "sqlite":
        return func.json_each(bindparam(_LISTED)).table_valued("value").c.value
    return func.unnest(bindparam(_LISTED, type_=postgresql.ARRAY(Text))).column_valued("listed")
