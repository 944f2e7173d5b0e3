"""What a process tells the store after every change: snapshot, events and notices, written in one transaction."""

from datetime import datetime
from typing import Generic, TypeVar

from models.base import Message
from models.lifecycle import Snapshot
from models.notices import NoticeKind
from models.products import ProductSnapshot
from models.publishers import ApplicationSnapshot
from models.watching import MassChangeSnapshot


class Entry(Message):
    """One event of the audit trail. `event` is the act of a command or the name of what happened by itself."""

    event: str
    at: datetime
    #: person's id; empty for the hub itself
    actor: str = ""
    #: id of the command
    command: str = ""
    text: str = ""
    notices: tuple[NoticeKind, ...] = ()
    #: digest of a stored waiver that takes effect with this entry
    waiver: str = ""
    #: why a signalled command was refused; empty when it was not
    refused: str = ""
    #: a note: the publisher never sees it
    private: bool = False


S = TypeVar("S", Snapshot, ApplicationSnapshot, ProductSnapshot, MassChangeSnapshot)


class Recording(Message, Generic[S]):
    """Idempotent by (subject, revision): written again, it changes nothing and doubles no notice."""

    snapshot: S
    entries: tuple[Entry, ...] = ()


class SubmissionRecording(Recording[Snapshot]):
    """`as_before`: content, release set and number are those that were recorded before, and are left out here: digests
    are most of a snapshot's bytes.
    """

    as_before: bool = False


class ApplicationRecording(Recording[ApplicationSnapshot]):
    pass


class ProductRecording(Recording[ProductSnapshot]):
    pass


class MassChangeRecording(Recording[MassChangeSnapshot]):
    pass
