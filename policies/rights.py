"""Who may do what: one table. Every command is judged by it when it is drained from the inbox."""

from models.commands import (
    MASS_CHANGE_COMMANDS,
    PRODUCT_COMMANDS,
    PUBLISHER_COMMANDS,
    SUBMISSION_COMMANDS,
    Command,
)
from models.errors import NotAllowed
from models.publishers import Role, Standing

_MODERATION = frozenset({Role.MODERATOR, Role.SECOND_APPROVER, Role.ADMIN})
_REVIEW = _MODERATION | {Role.REVIEWER}
_SECOND = frozenset({Role.SECOND_APPROVER, Role.ADMIN})
_PUBLISHER = frozenset({Role.PUBLISHER})
_OPS = frozenset({Role.OPS, Role.ADMIN})

#: whose decisions take effect without a second approver where the domain asks for none
DECIDES = _MODERATION | {Role.SECURITY}

#: act of a command -> roles of which one is enough. Source: domain.md, "People" and "Decisions".
SUBMISSION_RIGHTS: dict[str, frozenset[Role]] = {
    "approve": _MODERATION,
    "request_changes": _MODERATION,
    # a rejection is a proposal, and reviewers propose: it takes effect when a second approver confirms
    "reject": _REVIEW,
    "confirm": _SECOND,
    "decline": _SECOND,
    # a reviewer's waiver is a proposal as well (policies/decisions.py)
    "waive": _REVIEW | {Role.SECURITY},
    "ask_waiver": _PUBLISHER,
    "resubmit": _PUBLISHER,
    "answer": _PUBLISHER,
    "withdraw": _PUBLISHER,
    "appeal": _PUBLISHER,
    "revive": _PUBLISHER,
    # told by the product's own process, in the name of the publisher's member who submitted the newer one
    "supersede": _PUBLISHER,
    "pause": _OPS,
    "resume": _OPS,
    "undo": _MODERATION,
    "assign": _MODERATION,
    "note": _REVIEW | {Role.SECURITY, Role.OPS},
    "reply": _MODERATION,
    "publish_without_badge": _PUBLISHER,
}

PRODUCT_RIGHTS: dict[str, frozenset[Role]] = {
    "hold": _REVIEW | {Role.SECURITY},
    "revoke": _REVIEW | {Role.SECURITY},
    "recover": _MODERATION | {Role.SECURITY},
    "confirm": _SECOND,
    "decline": _SECOND,
    "undo": _MODERATION,
    # as in a submission: a reviewer's waiver is a proposal, as is that of what is critical
    "waive": _REVIEW | {Role.SECURITY},
    "ask_waiver": _PUBLISHER,
}

PUBLISHER_RIGHTS: dict[str, frozenset[Role]] = {
    "confirm_email": _PUBLISHER,
    "approve": _MODERATION,
    "ask_information": _MODERATION,
    "give_information": _PUBLISHER,
    "decline": _MODERATION,
    "defer": _MODERATION,
    "change_profile": _PUBLISHER,
}

#: no second approver: confirming it is what lets the clocks of the policy run
MASS_CHANGE_RIGHTS: dict[str, frozenset[Role]] = {
    "confirm": frozenset({Role.SECURITY}),
    "decline": frozenset({Role.SECURITY}),
}

#: who belongs to a publisher: no command of its process, but rows that are looked up when a command is judged
MEMBERSHIP_RIGHTS: dict[str, frozenset[Role]] = {
    "add_member": _PUBLISHER | {Role.ADMIN},
    "remove_member": _PUBLISHER | {Role.ADMIN},
}

#: classes of vulnerabilities: no command of a process, but rows that hold for every product
CLASSING_RIGHTS: dict[str, frozenset[Role]] = {
    "class": frozenset({Role.SECURITY}),
    "unclass": frozenset({Role.SECURITY}),
}


def may(rights: dict[str, frozenset[Role]], act: str, standing: Standing) -> bool:
    """Whether one of somebody's roles is enough for an act."""
    return not effective(standing).isdisjoint(rights[act])


def effective(standing: Standing) -> frozenset[Role]:
    """Staff who belong to the publisher act as its members only: neither proposer nor approver belongs to it."""
    return frozenset({Role.PUBLISHER}) if Role.PUBLISHER in standing.roles else frozenset(standing.roles)


def demand(rights: dict[str, frozenset[Role]], command: Command, standing: Standing) -> None:
    """Raise NotAllowed unless one of the actor's roles may give this command."""
    if not may(rights, command.act, standing):
        wanted = ", ".join(sorted(rights[command.act]))
        held = ", ".join(sorted(standing.roles)) or "none"
        raise NotAllowed(
            f"{command.act} is for: {wanted}; your roles here: {held}. Ask an admin if you should have one."
        )


def unguarded() -> set[str]:
    """Acts without a row in the tables above: empty, or a test fails."""
    tables = (
        (SUBMISSION_COMMANDS, SUBMISSION_RIGHTS),
        (PRODUCT_COMMANDS, PRODUCT_RIGHTS),
        (PUBLISHER_COMMANDS, PUBLISHER_RIGHTS),
        (MASS_CHANGE_COMMANDS, MASS_CHANGE_RIGHTS),
    )
    return {command.act for commands, rights in tables for command in commands if command.act not in rights}
