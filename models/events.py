"""What happens to a submission by itself: the ends of its stages' work and the strokes of its clock."""

from typing import Any

from pydantic import field_serializer

from models.base import Message
from models.lifecycle import Outcome
from models.policy import Deadlines


class Onboarded(Message):
    """The sources are pinned. `terms` is the slice of the policy in force, frozen for this iteration.

    `refused` carries what the publisher has to mend when nothing could be pinned; then `release` is empty.
    """

    terms: Deadlines
    policy: str
    release: str = ""
    refused: Outcome | None = None

    @field_serializer("terms")
    def _terms_without_defaults(self, terms: Deadlines) -> dict[str, Any]:
        """As every message: a default of the code is never changed, since histories rely on it; policy.toml is."""
        return terms.model_dump(mode="json", exclude_defaults=True)


class Examined(Message):
    """All checks of the iteration are done. `refused`: the image itself cannot be read, so nobody need review it."""

    outcome: Outcome
    refused: bool = False


class ClockStruck(Message):
    """A moment of the deadline has come: its reminder or its end."""


class Certified(Message):
    passed: bool


class Published(Message):
    """The product has published the release set of this submission."""

    release: str = ""


class PublicationFailed(Message):
    """Publication cannot succeed by trying again: the reason, for ops and the publisher."""

    reason: str


MachineEvent = Onboarded | Examined | ClockStruck | Certified | Published | PublicationFailed
