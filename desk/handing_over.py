"""What has been stored is handed to its process: at the desk, and again by the reconciler where nobody took it."""

import asyncio
from dataclasses import dataclass

from temporalio.client import Client, RPCTimeoutOrCancelledError, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.policy import PolicyInForce
from desk.telling import NoAnswer, answered, translated_back
from models.addresses import MODERATION_QUEUE, product_address, publisher_address
from models.errors import NotAllowed, ToolFailed
from models.products import NewSubmission, Submitted
from models.publishers import PublisherStart
from models.work import ProductStart
from workflows import search_attributes
from workflows.product import ProductWorkflow
from workflows.publisher import PublisherWorkflow

#: starting a product and numbering a submission takes milliseconds; without a worker it never ends. Seconds.
_PATIENCE = 60.0


class NotBegun(ToolFailed):
    """The server is certain to have started nothing: the request itself was wrong, or not permitted."""


@dataclass(frozen=True, slots=True)
class HandingOver:
    """Idempotent: handed over twice, it is one submission, and one application."""

    client: Client
    policy: PolicyInForce

    async def submission(self, new: NewSubmission, name: str) -> Submitted:
        """One request starts the product's process where there is none and tells it of the submission.

        `name` is publisher/product, for ops. Errors: NotAllowed when it is refused, NotBegun, and NoAnswer when it may
        still be taken.
        """
        start = WithStartWorkflowOperation(
            ProductWorkflow.run,
            ProductStart(id=new.product, publisher=new.publisher),
            id=product_address(new.product),
            task_queue=MODERATION_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search_attributes.at_start(new.publisher, new.product),
            static_summary=f"Product {name}",
        )
        update = self.client.execute_update_with_start_workflow(
            ProductWorkflow.submit, new, start_workflow_operation=start, id=f"submit-{new.id}"
        )
        try:
            return await answered(self.client, update, _PATIENCE)
        except (WorkflowUpdateFailedError, RPCError, RPCTimeoutOrCancelledError, RuntimeError, NoAnswer) as error:
            await _looked_at(start)
            refusal = translated_back(error, product_address(new.product))
            if isinstance(refusal, NotAllowed):
                raise refusal from error
            if _nothing_began(error):
                said = f"The Temporal server does not take submissions: {str(error).rstrip('.')}."
                raise NotBegun(said) from error
            raise NoAnswer(str(refusal)) from error

    async def application(self, publisher: str, profile: str, slug: str) -> None:
        """Start the process of a publisher's application. `profile` is the digest of what was stored.

        Errors: NoAnswer, ToolFailed.
        """
        try:
            await self.client.start_workflow(
                PublisherWorkflow.run,
                PublisherStart(id=publisher, profile=profile, terms=self.policy.current().deadlines),
                id=publisher_address(publisher),
                task_queue=MODERATION_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=search_attributes.at_start(publisher),
                static_summary=f"Publisher {slug}",
            )
        except WorkflowAlreadyStartedError:
            return  # and has ended since
        except (RPCError, RuntimeError) as error:
            raise translated_back(error, publisher_address(publisher)) from error


async def _looked_at(start: WithStartWorkflowOperation[ProductWorkflow, None]) -> None:
    """The SDK keeps an error in the operation as well, and complains on the screen when nobody looks there."""
    look = asyncio.create_task(start.workflow_handle())
    await asyncio.sleep(0)
    look.cancel()
    await asyncio.gather(look, return_exceptions=True)


def _nothing_began(error: Exception) -> bool:
    return isinstance(error, RPCError) and error.status in (
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.UNAUTHENTICATED,
    )
