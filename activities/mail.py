"""The mailroom's shift: drains the outbox, one mail after the other, and writes down what became of each."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage

import structlog
from temporalio import activity

from activities.errors import translated
from activities.heartbeats import Progress, heartbeats
from activities.policy import PolicyInForce
from models.work import MailsHandled, MailShift
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
    #: the address that mails come from
    sender: str

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
        now = datetime.now(UTC)
        mail, recipient = await self._write(letter)
        delivery = await sender.send(mail, recipient)
        progress.says(f"{handled.sent} sent, {handled.postponed} postponed, {handled.refused} refused")
        if delivery.accepted:
            await outbox.sent(self.database, letter.id, now, str(mail["Message-ID"]))
            return handled.model_copy(update={"sent": handled.sent + 1})
        error = f"{delivery.code} {delivery.reply}".strip()
        log.warning("mail not taken", notice=letter.id, kind=letter.row.kind, error=error, attempt=letter.attempt)
        if not delivery.transient:
            await outbox.refuse(self.database, letter.id, error)
            return handled.model_copy(update={"refused": handled.refused + 1})
        again = next_attempt(letter.attempt, now, self.policy.current().mail)
        if again is None:
            await outbox.give_up(self.database, letter.id, f"Given up after {letter.attempt} attempts: {error}")
            return handled.model_copy(update={"refused": handled.refused + 1})
        await outbox.postpone(self.database, letter.id, again, error)
        return handled.model_copy(update={"postponed": handled.postponed + 1})

    async def _write(self, letter: outbox.Claimed) -> tuple[EmailMessage, str]:
        """The mail of a notice, from the rows as they are now and the words of the moment that caused it."""
        async with self.database.transaction() as session:
            notice, address, name = await self.desk.notice(session, letter.row)
        envelope = Envelope(
            sender=self.sender,
            sender_name=self.desk.hub,
            to=address,
            to_name=name,
            message_id=outbox.message_id(letter.id, self.desk.mail_domain),
            thread=outbox.thread_id(letter.row.subject, self.desk.mail_domain),
            date=letter.row.queued_at,
            unsubscribe_url=notice.unsubscribe_url,
            unsubscribe_one_click=bool(notice.unsubscribe_url),
        )
        return compose(render(notice), envelope), address


async def _rest() -> None:
    """Until the next look, or until the worker is asked to end."""
    try:
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), _GLANCE)
    except TimeoutError:
        return
