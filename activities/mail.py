"""The mailroom's shift: drains the outbox, one mail after the other, and writes down what became of each."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from temporalio import activity

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.policy import PolicyInForce
from models.work import MailShift, MailsHandled
from notifications.composing import Envelope, compose
from notifications.delivery import SmtpSender, SmtpServer
from notifications.rendering import render
from notifications.retry import next_attempt
from store import notices, outbox
from store.database import Database

log = structlog.get_logger(__name__)

#: between two looks into an empty outbox, seconds
_GLANCE = 0.5
#: a mailroom that dies gives its claimed mails up after this many seconds
_LEASE = 120
_BATCH = 50


@dataclass(frozen=True, slots=True)
class MailActivities:
    database: Database
    policy: PolicyInForce
    server: SmtpServer
    desk: notices.MailDesk

    @activity.defn
    async def drain(self, shift: MailShift) -> MailsHandled:
        """At least once with the same Message-ID: a second copy only when we die between the 250 and our commit."""
        ends = asyncio.get_running_loop().time() + shift.seconds
        handled = MailsHandled()
        with translated():
            async with heartbeats() as progress, SmtpSender(self.server) as sender:
                while asyncio.get_running_loop().time() < ends and not activity.is_worker_shutdown():
                    claimed = await outbox.claim(
                        self.database, now=datetime.now(UTC), lease_seconds=_LEASE, batch=_BATCH
                    )
                    for letter in claimed:
                        handled = await self._deliver(letter, sender, handled, progress)
                    if not claimed:
                        await _rest()
        return handled

    async def _deliver(
        self, letter: outbox.Claimed, sender: SmtpSender, handled: MailsHandled, progress: Progress
    ) -> MailsHandled:
        raise NotImplementedError


async def _rest() -> None:
    """Until the next look, or until the worker is asked to end."""
    try:
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), _GLANCE)
    except TimeoutError:
        return
