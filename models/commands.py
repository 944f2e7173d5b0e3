"""Commands: what people and other processes tell a process. One frozen model each, named after the act.

A command comes as an update (console, command line) or as a signal of the same name; both feed one inbox and are judged
when the inbox is drained.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from models.base import Message

#: an id or a digest, as a message names it: what is neither, no database has to understand
Name = Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]

#: characters of a message to the other side; longer texts belong into an attachment or the documentation
LONGEST_TEXT = 4_000
#: characters of a finding's key
LONGEST_KEY = 8_000


class Command(Message):
    """`id` makes a repeated command harmless; `actor` is a person's id, whose roles are looked up, never believed.

    `iteration` and `release` say what the actor looked at: a decision about another iteration or digest is refused.
    """

    #: name of the update and of the signal
    act: ClassVar[str] = ""

    id: Name
    actor: Name
    iteration: int | None = None
    release: str = Field(default="", max_length=200)
    text: str = Field(default="", max_length=LONGEST_TEXT)

    @field_validator("text", mode="before")
    @classmethod
    def _sendable(cls, text: object) -> object:
        """Half a surrogate pair (bytes of a terminal that are not UTF-8) cannot be written as JSON."""
        return text.encode("utf-8", "replace").decode("utf-8") if isinstance(text, str) else text


class Approve(Command):
    """Fit: goes on to certification, or to publication."""

    act: ClassVar[str] = "approve"


class RequestChanges(Command):
    """Not fit yet: `text` is the one complete review; the findings go with it."""

    act: ClassVar[str] = "request_changes"


class Reject(Command):
    """Not fit at all; takes effect when a second approver confirms. `delayed` gives a last warning first."""

    act: ClassVar[str] = "reject"
    delayed: bool = False


class Confirm(Command):
    """The second approver agrees with the proposed decision."""

    act: ClassVar[str] = "confirm"


class Decline(Command):
    """The second approver does not agree: the proposal is dropped."""

    act: ClassVar[str] = "decline"


class Waive(Command):
    """A finding does not hold the item up. `waiver` is the digest of the stored waiver."""

    act: ClassVar[str] = "waive"
    finding: str = Field(max_length=LONGEST_KEY)
    waiver: Name


class AskWaiver(Command):
    """The publisher asks for a waiver of one finding."""

    act: ClassVar[str] = "ask_waiver"
    finding: str = Field(max_length=LONGEST_KEY)


class Resubmit(Command):
    """A mended submission: `content` is the digest of the stored content manifest. Starts the next iteration."""

    act: ClassVar[str] = "resubmit"
    content: Name


class Answer(Command):
    """The publisher answers in words; the moderator is at turn again."""

    act: ClassVar[str] = "answer"


class Withdraw(Command):
    act: ClassVar[str] = "withdraw"


class Appeal(Command):
    """Against a rejection; judged by somebody else than who rejected."""

    act: ClassVar[str] = "appeal"


class Revive(Command):
    """An expired submission goes on where it stopped."""

    act: ClassVar[str] = "revive"


class Supersede(Command):
    """A newer submission of the same product and track (`by`) takes the place of this one."""

    act: ClassVar[str] = "supersede"
    by: Name


class PauseClock(Command):
    act: ClassVar[str] = "pause"


class ResumeClock(Command):
    act: ClassVar[str] = "resume"


class Undo(Command):
    """Takes the latest decision back, until its effect is published or the other side has acted."""

    act: ClassVar[str] = "undo"


class Assign(Command):
    """`to` is a person's id; empty for nobody."""

    act: ClassVar[str] = "assign"
    to: Name | Literal[""] = ""


class Note(Command):
    """Private: the publisher never sees it."""

    act: ClassVar[str] = "note"


class Reply(Command):
    """Public: mailed to the publisher; whose turn it is stays as it was."""

    act: ClassVar[str] = "reply"


class PublishWithoutBadge(Command):
    """After a failed certification the publisher goes on without it."""

    act: ClassVar[str] = "publish_without_badge"


SUBMISSION_COMMANDS: tuple[type[Command], ...] = (
    Approve,
    RequestChanges,
    Reject,
    Confirm,
    Decline,
    Waive,
    AskWaiver,
    Resubmit,
    Answer,
    Withdraw,
    Appeal,
    Revive,
    Supersede,
    PauseClock,
    ResumeClock,
    Undo,
    Assign,
    Note,
    Reply,
    PublishWithoutBadge,
)


class Hold(Command):
    """Warning label on the listing, pulls go on. Takes effect when a second approver confirms."""

    act: ClassVar[str] = "hold"


class Revoke(Command):
    """The manifests leave the hub's registry. Takes effect when a second approver confirms."""

    act: ClassVar[str] = "revoke"


class Recover(Command):
    """A held or revoked listing comes back."""

    act: ClassVar[str] = "recover"


#: a waiver of a published product's finding is one of the product's own: its submission has ended
PRODUCT_COMMANDS: tuple[type[Command], ...] = (Hold, Revoke, Recover, Confirm, Decline, Undo, Waive, AskWaiver)


class ConfirmEmail(Command):
    """The mailed link was opened and its button pressed (a link alone never decides: mail scanners follow links)."""

    act: ClassVar[str] = "confirm_email"


class ApprovePublisher(Command):
    act: ClassVar[str] = "approve"


class AskInformation(Command):
    act: ClassVar[str] = "ask_information"


class GiveInformation(Command):
    """The publisher answers; `profile` is the digest of the stored, amended profile, empty when it did not change."""

    act: ClassVar[str] = "give_information"
    profile: Name | Literal[""] = ""


class DeclinePublisher(Command):
    act: ClassVar[str] = "decline"


class DeferPublisher(Command):
    act: ClassVar[str] = "defer"


class ChangeProfile(Command):
    """An approved publisher changes its profile; `profile` is the digest of the stored one."""

    act: ClassVar[str] = "change_profile"
    profile: Name


PUBLISHER_COMMANDS: tuple[type[Command], ...] = (
    ConfirmEmail,
    ApprovePublisher,
    AskInformation,
    GiveInformation,
    DeclinePublisher,
    DeferPublisher,
    ChangeProfile,
)

#: what the security team says to an update of advisories that concerns very many products
MASS_CHANGE_COMMANDS: tuple[type[Command], ...] = (Confirm, Decline)
