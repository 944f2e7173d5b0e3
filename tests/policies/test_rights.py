"""Who may do what: the whole table, written a second time in the words of the domain's people."""

import pytest

from models import commands as c
from models.errors import NotAllowed
from models.publishers import Role, Standing
from policies.rights import (
    MEMBERSHIP_RIGHTS,
    PRODUCT_RIGHTS,
    PUBLISHER_RIGHTS,
    SUBMISSION_RIGHTS,
    demand,
    may,
    unguarded,
)

R = Role
MODERATION = {R.MODERATOR, R.SECOND_APPROVER, R.ADMIN}
#: role -> acts on a submission, a product, a publisher
MATRIX: dict[Role, tuple[set[str], set[str], set[str]]] = {
    R.PUBLISHER: (
        {
            "ask_waiver",
            "resubmit",
            "answer",
            "withdraw",
            "appeal",
            "revive",
            "supersede",
            "publish_without_badge",
        },
        {"ask_waiver"},
        {"confirm_email", "give_information", "change_profile"},
    ),
    R.REVIEWER: ({"reject", "waive", "note"}, {"hold", "revoke", "waive"}, set()),
    R.MODERATOR: (
        {"approve", "request_changes", "reject", "waive", "undo", "assign", "note", "reply"},
        {"hold", "revoke", "recover", "undo", "waive"},
        {"approve", "ask_information", "decline", "defer"},
    ),
    R.SECOND_APPROVER: (
        {
            "approve",
            "request_changes",
            "reject",
            "waive",
            "undo",
            "assign",
            "note",
            "reply",
            "confirm",
            "decline",
        },
        {"hold", "revoke", "recover", "undo", "confirm", "decline", "waive"},
        {"approve", "ask_information", "decline", "defer"},
    ),
    R.ADMIN: (
        {
            "approve",
            "request_changes",
            "reject",
            "waive",
            "undo",
            "assign",
            "note",
            "reply",
            "confirm",
            "decline",
            "pause",
            "resume",
        },
        {"hold", "revoke", "recover", "undo", "confirm", "decline", "waive"},
        {"approve", "ask_information", "decline", "defer"},
    ),
    R.SECURITY: ({"waive", "note"}, {"hold", "revoke", "recover", "waive"}, set()),
    R.OPS: ({"pause", "resume", "note"}, set(), set()),
    R.CERTIFIER: (set(), set(), set()),
    R.SUPPORT: (set(), set(), set()),
}
TABLES = (
    (SUBMISSION_RIGHTS, c.SUBMISSION_COMMANDS),
    (PRODUCT_RIGHTS, c.PRODUCT_COMMANDS),
    (PUBLISHER_RIGHTS, c.PUBLISHER_COMMANDS),
)


def told(act: str) -> c.Command:
    kind = type("Told", (c.Command,), {"act": act, "__annotations__": {}, "__module__": __name__})
    made: c.Command = kind(id="x", actor="y")
    return made


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("number", range(3))
def test_every_role_may_do_exactly_what_the_domain_gives_it(role: Role, number: int) -> None:
    rights, commands = TABLES[number]
    allowed = MATRIX[role][number]
    for act in (command.act for command in commands):
        standing = Standing(roles=(role,))
        assert may(rights, act, standing) is (act in allowed), act
        if act in allowed:
            demand(rights, told(act), standing)
        else:
            with pytest.raises(NotAllowed, match=f"{act} is for: .*your roles here: {role}"):
                demand(rights, told(act), standing)


def test_every_act_of_every_command_has_a_row() -> None:
    assert unguarded() == set()
    for rights, commands in TABLES:
        assert set(rights) == {command.act for command in commands}
        assert all(rights.values())


def test_members_are_changed_by_members_and_admins() -> None:
    allowed = {role for role in Role if may(MEMBERSHIP_RIGHTS, "add_member", Standing(roles=(role,)))}
    assert allowed == {R.PUBLISHER, R.ADMIN}
    assert MEMBERSHIP_RIGHTS["remove_member"] == allowed


def test_whoever_is_nobody_here_may_do_nothing() -> None:
    for rights, commands in TABLES:
        for command in commands:
            with pytest.raises(NotAllowed, match=r"your roles here: none\. Ask an admin"):
                demand(rights, told(command.act), Standing())


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.PUBLISHER])
def test_staff_who_belong_to_the_publisher_may_do_what_its_members_may(role: Role) -> None:
    both, member = Standing(roles=(role, R.PUBLISHER)), Standing(roles=(R.PUBLISHER,))
    for rights, _ in TABLES:
        assert {act for act in rights if may(rights, act, both)} == {act for act in rights if may(rights, act, member)}


def test_several_roles_add_up() -> None:
    both = Standing(roles=(R.OPS, R.SECURITY))
    acts = {act for act in SUBMISSION_RIGHTS if may(SUBMISSION_RIGHTS, act, both)}
    assert acts == MATRIX[R.OPS][0] | MATRIX[R.SECURITY][0]


def test_the_second_approvers_of_harmful_decisions_are_few() -> None:
    for rights in (SUBMISSION_RIGHTS, PRODUCT_RIGHTS):
        assert rights["confirm"] == rights["decline"] == {R.SECOND_APPROVER, R.ADMIN}
