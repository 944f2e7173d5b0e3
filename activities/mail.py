"""The mailroom's shift: drains the outbox, one mail after the other, and writes down what became of each."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Literal

import structlog
from temporalio import activity

from activities.errors import translated
from activities.heartbeats import heartbeats
from activities.policy import PolicyInForce
from models.notices import NoticeKind
from models.work import MailsHandled, MailShift
from notifications.composing import Envelope, UnusableAddress, address, compose
from notifications.delivery import Delivery, SmtpSender, SmtpServer
from notifications.rendering import render
from notifications.retry import next_attempt
from store import notices, outbox
from store.database import Database

log = structlog.get_logger(__name__)

#: between two looks into an empty outbox, seconds
_GLANCE = 0.5
_BATCH = 20
#: for which a batch is worked on, seconds; its lease lasts until the sending that has begun by then must have ended
_BATCH_SECONDS = 30
#: characters of an error that the delivery log keeps
_LONGEST_ERROR = 1_000

_WITH_A_NEW_LINK = frozenset({NoticeKind.CONFIRM_EMAIL, NoticeKind.SUBSCRIPTION_CONFIRM})

_Outcome = Literal["sent", "postponed", "refused"]


@dataclass(frozen=True, slots=True)
class MailActivities:
    database: Database
    policy: PolicyInForce
    server: SmtpServer
    desk: notices.MailDesk
    #: the address that mails come from
    sender: str

    def __post_init__(self) -> None:
        """Raises UnusableAddress: a wrong sender is a setting's mistake, found at the start, and no recipient's."""
        address(self.sender, self.desk.hub)

    @activity.defn
    async def drain(self, shift: MailShift) -> MailsHandled:
        """At least once with the same Message-ID: a second copy only when we die between the 250 and our commit."""
        clock = asyncio.get_running_loop().time
        ends = clock() + shift.seconds
        handled = MailsHandled()
        with translated():
            async with heartbeats() as progress, SmtpSender(self.server) as sender:
                while clock() < ends and not activity.is_worker_shutdown():
                    # taken before the claim, so that it never ends after the lease does
                    until = min(ends, clock() + _BATCH_SECONDS)
                    letters = await self._claim()
                    if not letters:
                        await _rest()
                    while letters and clock() < until and not activity.is_worker_shutdown():
                        outcome = await self._deliver(letters.pop(0), sender)
                        handled = handled.model_copy(update={outcome: getattr(handled, outcome) + 1})
                        progress.says(f"{handled.sent} sent, {handled.postponed} postponed, {handled.refused} refused")
                    # what there was no time for: for the next batch, or for another mailroom
                    await outbox.release(self.database, letters, datetime.now(UTC))
        return handled

    async def _claim(self) -> list[outbox.Claimed]:
        lease = self.server.longest_seconds + _BATCH_SECONDS
        return await outbox.claim(self.database, now=datetime.now(UTC), lease_seconds=lease, batch=_BATCH)

    async def _deliver(self, letter: outbox.Claimed, sender: SmtpSender) -> _Outcome:
        delivery, message_id = await self._hand_over(letter, sender)
        now = datetime.now(UTC)
        if delivery.accepted:
            await outbox.sent(self.database, letter.id, now, message_id)
            return "sent"
        error = f"{delivery.code or ''} {delivery.reply}".strip()
        log.warning("mail not taken", notice=letter.id, kind=letter.row.kind, error=error, attempt=letter.attempt)
        if not delivery.transient:
            await outbox.refuse(self.database, letter.id, error)
            return "refused"
        again = next_attempt(letter.attempt, now, self.policy.current().mail)
        if again is None:
            await outbox.give_up(self.database, letter.id, f"Given up after {letter.attempt} attempts: {error}")
            return "refused"
        await outbox.postpone(self.database, letter.id, again, error)
        return "postponed"

    async def _hand_over(self, letter: outbox.Claimed, sender: SmtpSender) -> tuple[Delivery, str]:
        """What the server said, and the Message-ID."""
        try:
            mail, recipient = await self._write(letter)
        except (UnusableAddress, notices.SubscriptionEnded) as error:
            return Delivery(False, False, 0, str(error)), ""
        except Exception as error:
            # one notice that cannot be written must not hold up all the others; a mended program writes it later
            log.exception("mail cannot be written", notice=letter.id, kind=letter.row.kind)
            reply = f"The hub cannot write this mail: {type(error).__name__}: {error}"
            return Delivery(False, True, 0, reply[:_LONGEST_ERROR]), ""
        return await sender.send(mail, recipient), str(mail["Message-ID"])

    async def _write(self, letter: outbox.Claimed) -> tuple[EmailMessage, str]:
        """The mail of a notice, from the rows as they are now and the words of the moment that caused it."""
        # a link is made while its mail is written; all other mails leave the one writer of SQLite alone
        links = letter.row.kind in _WITH_A_NEW_LINK
        async with self.database.transaction() if links else self.database.session() as session:
            notice, to, name = await notices.build_notice(
                session,
                letter.row,
                hub=self.desk.hub,
                base_url=self.desk.base_url,
                term=timedelta(days=self.policy.current().mail.confirmation_days),
            )
        envelope = Envelope(
            sender=self.sender,
            sender_name=self.desk.hub,
            to=to,
            to_name=name,
            message_id=outbox.message_id(letter.id, self.desk.mail_domain),
            thread=outbox.thread_id(letter.row.subject, self.desk.mail_domain),
            date=letter.row.queued_at,
            unsubscribe_url=notice.unsubscribe_url,
            unsubscribe_one_click=bool(notice.unsubscribe_url),
        )
        return compose(render(notice), envelope), to


async def _rest() -> None:
    """Until the next look, or until the worker is asked to end."""
    try:
        await asyncio.wait_for(activity.wait_for_worker_shutdown(), _GLANCE)
    except TimeoutError:
        return
