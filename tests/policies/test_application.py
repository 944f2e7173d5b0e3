"""A publisher's application: the address first, then more information, approval, refusal or deferral."""

from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from models import commands as c
from models.errors import NotAllowed
from models.publishers import ApplicationState, Standing
from models.publishers import ApplicationStatus as A
from policies import application
from tests.policies.samples import DAY, MONDAY, PEOPLE, TERMS, command, standing


def applied() -> ApplicationState:
    return application.apply_for(ApplicationState(id="pub", profile="sha256:p", applied=MONDAY), TERMS).state


def says(state: ApplicationState, person: str, kind: type[c.Command], **fields: Any) -> application.Change:
    return application.tell(state, command(kind, person, **fields), standing(person, MONDAY + 4 * DAY), TERMS, MONDAY)


def confirmed() -> ApplicationState:
    return says(applied(), "pat", c.ConfirmEmail).state


def asked() -> ApplicationState:
    return says(confirmed(), "mo", c.AskInformation).state


def approved() -> ApplicationState:
    return says(confirmed(), "mo", c.ApprovePublisher).state


def test_the_address_is_confirmed_before_anybody_reviews() -> None:
    change = application.apply_for(ApplicationState(id="pub", profile="sha256:p", applied=MONDAY), TERMS)
    assert (change.state.status, change.state.revision) == (A.UNCONFIRMED, 1)
    assert [str(kind) for kind in change.notices] == ["confirm_email"]
    for kind in (c.ApprovePublisher, c.DeclinePublisher, c.DeferPublisher, c.AskInformation):
        with pytest.raises(NotAllowed, match=r"the application is unconfirmed\. Possible now: confirm_email"):
            says(change.state, "mo", kind)


def test_whoever_does_not_confirm_is_reminded_once() -> None:
    state = applied()
    assert state.remind_at == MONDAY + 2 * DAY
    reminded = application.remind(state)
    assert [str(kind) for kind in reminded.notices] == ["confirm_email"]
    assert reminded.state.revision == state.revision + 1
    assert application.remind(reminded.state).state is reminded.state


def test_a_confirmed_application_is_to_be_reviewed_within_working_days() -> None:
    change = says(applied(), "pat", c.ConfirmEmail)
    assert (change.state.status, change.state.due) == (A.SUBMITTED, MONDAY + 4 * DAY)
    assert [str(kind) for kind in change.notices] == ["application_received", "application_to_review"]
    assert [str(kind) for kind in application.remind(change.state).notices] == ["application_to_review"]
    with pytest.raises(NotAllowed, match="confirm_email does not apply"):
        says(change.state, "pat", c.ConfirmEmail)


def test_without_a_calendar_the_days_are_counted_as_they_are() -> None:
    told = command(c.ConfirmEmail, "pat")
    change = application.tell(applied(), told, Standing(roles=PEOPLE["pat"]), TERMS, MONDAY + DAY)
    assert change.state.due == MONDAY + 3 * DAY


def test_more_information_is_asked_for_answered_and_reviewed_again() -> None:
    asked_for = says(confirmed(), "mo", c.AskInformation, text="Which company?")
    assert (asked_for.state.status, [str(kind) for kind in asked_for.notices]) == (
        A.MORE_INFORMATION,
        ["application_question"],
    )
    assert (asked_for.state.remind_at, asked_for.state.due) == (MONDAY + 20 * DAY, MONDAY + 35 * DAY)
    assert [str(kind) for kind in application.remind(asked_for.state).notices] == ["application_question"]
    answered = says(asked_for.state, "pat", c.GiveInformation, profile="sha256:amended")
    assert (answered.state.status, answered.state.profile) == (A.SUBMITTED, "sha256:amended")
    assert (answered.state.due, [str(kind) for kind in answered.notices]) == (
        MONDAY + 4 * DAY,
        ["application_answered"],
    )


def test_an_answer_in_words_leaves_the_profile_as_it_is() -> None:
    assert says(asked(), "pat", c.GiveInformation).state.profile == "sha256:p"


@pytest.mark.parametrize("kind", [c.AskInformation, c.DeclinePublisher])
def test_what_the_other_side_has_to_act_on_is_not_empty(kind: type[c.Command]) -> None:
    with pytest.raises(NotAllowed, match="needs a text"):
        says(confirmed(), "mo", kind, text=" ")
    with pytest.raises(NotAllowed, match="needs a text"):
        says(asked(), "pat", c.GiveInformation, text="")


@pytest.mark.parametrize("kind", [c.ApprovePublisher, c.DeferPublisher])
def test_what_speaks_for_itself_needs_no_text(kind: type[c.Command]) -> None:
    assert says(confirmed(), "mo", kind, text="").state.revision == confirmed().revision + 1


def test_a_deferred_application_is_brought_back_to_mind_and_can_be_decided() -> None:
    change = says(confirmed(), "mo", c.DeferPublisher)
    assert (change.state.status, [str(kind) for kind in change.notices]) == (A.DEFERRED, ["application_deferred"])
    assert (change.state.remind_at, change.state.due) == (MONDAY + 10 * DAY, MONDAY + 14 * DAY)
    assert [str(kind) for kind in application.remind(change.state).notices] == ["application_to_review"]
    for kind, status in (
        (c.ApprovePublisher, A.APPROVED),
        (c.DeclinePublisher, A.DECLINED),
        (c.AskInformation, A.MORE_INFORMATION),
    ):
        assert says(change.state, "mo", kind).state.status is status
    with pytest.raises(NotAllowed, match="defer does not apply"):
        says(change.state, "mo", c.DeferPublisher)


def test_an_approved_publisher_may_change_its_profile_and_nobody_waits() -> None:
    state = approved()
    assert (state.status, state.due, state.remind_at) == (A.APPROVED, None, None)
    changed = says(state, "pat", c.ChangeProfile, profile="sha256:new")
    assert (changed.state.profile, changed.state.status, changed.notices) == ("sha256:new", A.APPROVED, ())


def test_a_declined_application_has_ended() -> None:
    state = says(confirmed(), "mo", c.DeclinePublisher).state
    for kind in c.PUBLISHER_COMMANDS:
        person = "pat" if kind in (c.ConfirmEmail, c.GiveInformation, c.ChangeProfile) else "mo"
        fields = {"profile": "sha256:x"} if kind is c.ChangeProfile else {}
        with pytest.raises(NotAllowed, match=r"the application is declined\. Possible now: nothing"):
            says(state, person, kind, **fields)


def test_a_moderator_who_belongs_to_the_publisher_does_not_decide() -> None:
    for kind in (c.ApprovePublisher, c.DeclinePublisher, c.AskInformation, c.DeferPublisher):
        with pytest.raises(NotAllowed, match="is for: admin, moderator, second_approver"):
            says(confirmed(), "dora", kind)


def test_the_same_command_again_changes_nothing() -> None:
    told = command(c.ApprovePublisher, "mo")
    once = application.tell(confirmed(), told, standing("mo"), TERMS, MONDAY)
    assert application.tell(once.state, told, standing("mo"), TERMS, MONDAY) == application.Change(once.state)


def test_every_act_has_its_statuses() -> None:
    assert set(application.STATUSES) == {kind.act for kind in c.PUBLISHER_COMMANDS}


@given(
    st.lists(
        st.tuples(st.sampled_from(c.PUBLISHER_COMMANDS), st.sampled_from(["pat", "mo", "sam", "dora", "olga"])),
        max_size=25,
    )
)
def test_whatever_is_said_whoever_is_at_turn_has_a_term_and_a_way_on(
    said: list[tuple[type[c.Command], str]],
) -> None:
    state = applied()
    for kind, person in said:
        before = state
        fields = {"profile": "sha256:x"} if kind is c.ChangeProfile else {}
        try:
            state = says(before, person, kind, **fields).state
        except NotAllowed:
            continue
        assert state.revision == before.revision + 1
        waits = state.status in (A.SUBMITTED, A.MORE_INFORMATION, A.DEFERRED)
        assert (state.due is not None) is waits
        assert (state.remind_at is not None) is waits
        possible = {act for act, statuses in application.STATUSES.items() if state.status in statuses}
        assert bool(possible) is (state.status is not A.DECLINED)
        assert state.due is None or state.due > MONDAY - timedelta(days=1)


def test_the_snapshot_says_where_it_stands() -> None:
    snapshot = application.snapshot_of(asked())
    assert (snapshot.id, snapshot.status, snapshot.profile) == ("pub", A.MORE_INFORMATION, "sha256:p")
    assert snapshot.due == MONDAY + 35 * DAY
