"""The one registry of search attributes: what ops can list runs by. They are not encrypted: ids and states only."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from models.lifecycle import SubmissionState

PUBLISHER = SearchAttributeKey.for_keyword("Publisher")
PRODUCT = SearchAttributeKey.for_keyword("Product")
STAGE = SearchAttributeKey.for_keyword("Stage")
ITERATION = SearchAttributeKey.for_int("Iteration")
DUE = SearchAttributeKey.for_datetime("Due")
OVERDUE = SearchAttributeKey.for_bool("Overdue")

#: what a server has to know before a workflow uses it: name -> type as the `temporal` command spells it
REGISTRY: dict[str, str] = {
    PUBLISHER.name: "Keyword",
    PRODUCT.name: "Keyword",
    STAGE.name: "Keyword",
    ITERATION.name: "Int",
    DUE.name: "Datetime",
    OVERDUE.name: "Bool",
}


def at_start(publisher: str, product: str = "") -> TypedSearchAttributes:
    """Who it is about; never changes, so it costs nothing later."""
    pairs: list[SearchAttributePair[Any]] = [SearchAttributePair(PUBLISHER, publisher)]
    if product:
        pairs.append(SearchAttributePair(PRODUCT, product))
    return TypedSearchAttributes(pairs)


def changes(before: SubmissionState | None, after: SubmissionState) -> list[SearchAttributeUpdate[Any]]:
    """Only what differs is written: every attribute costs bytes in the history."""
    updates: list[SearchAttributeUpdate[Any]] = []
    if before is None or before.stage is not after.stage:
        updates.append(STAGE.value_set(str(after.stage)))
    if after.iteration != (before.iteration if before else 1):
        updates.append(ITERATION.value_set(after.iteration))
    due = after.deadline.due if after.deadline else None
    if due != (before.deadline.due if before and before.deadline else None):
        updates.append(DUE.value_set(due) if due else DUE.value_unset())
    overdue = bool(after.deadline and after.deadline.overdue)
    if overdue != bool(before and before.deadline and before.deadline.overdue):
        updates.append(OVERDUE.value_set(overdue))
    return updates
