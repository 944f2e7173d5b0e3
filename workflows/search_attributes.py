"""The one registry of search attributes: what ops can list runs by. They are not encrypted: ids and states only."""

from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from models.lifecycle import Stage, SubmissionState
    from models.products import ListingStatus, ProductState
    from models.publishers import ApplicationState
    from policies import clocks

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
    """Who it is about; never changes, so it costs nothing later.

    A submission's product is its parent: `ParentWorkflowId = "product/<id>"`. One without a stage yet is onboarding.
    """
    pairs: list[SearchAttributePair[Any]] = [SearchAttributePair(PUBLISHER, publisher)]
    if product:
        pairs.append(SearchAttributePair(PRODUCT, product))
    return TypedSearchAttributes(pairs)


def of_submission(before: SubmissionState, after: SubmissionState) -> list[SearchAttributeUpdate[Any]]:
    """Only what differs is written: every attribute costs bytes in the history."""
    deadline, deadline_before = after.deadline, before.deadline
    due = deadline.due if deadline else None
    due_before = deadline_before.due if deadline_before else None
    if after.closed or after.stage is Stage.PUBLISHING:
        due = due_before  # it ends in a moment: nobody lists it by its due date any more
    updates = _stage_and_due(before.stage, after.stage, due_before, due)
    if after.iteration != before.iteration:
        updates.append(ITERATION.value_set(after.iteration))
    overdue = bool(deadline and deadline.overdue)
    if overdue != bool(deadline_before and deadline_before.overdue):
        updates.append(OVERDUE.value_set(overdue))
    return updates


def of_product(before: ProductState, after: ProductState) -> list[SearchAttributeUpdate[Any]]:
    """Due is when a hold turns into a revocation, or when the first clock of its vulnerabilities ends."""
    return _stage_and_due(before.status, after.status, _due_of(before), _due_of(after))


def _due_of(state: ProductState) -> datetime | None:
    return clocks.next_due(state.exposures) if state.status is ListingStatus.PUBLISHED else state.hold_until


def of_application(before: ApplicationState, after: ApplicationState) -> list[SearchAttributeUpdate[Any]]:
    stage_before = before.status if before.revision else ""
    return _stage_and_due(stage_before, after.status, before.due, after.due)


def _stage_and_due(
    stage_before: str, stage: str, due_before: datetime | None, due: datetime | None
) -> list[SearchAttributeUpdate[Any]]:
    updates: list[SearchAttributeUpdate[Any]] = []
    if stage != stage_before:
        updates.append(STAGE.value_set(str(stage)))
    if due != due_before:
        updates.append(DUE.value_set(due) if due else DUE.value_unset())
    return updates
