"""Messages: written without their defaults, read again as they were, and the same bytes everywhere."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from models.base import Message, canonical_json, digest_of
from models.content import ContentManifest, Price
from models.lifecycle import Deadline, DeadlineKind, Outcome, Proposal, ProposedAct, Snapshot, Stage, Turn, Undoable
from models.policy import Deadlines, HubPolicy
from models.recording import Entry, SubmissionRecording
from policies import words
from tests.models.values import all_messages, messages
from tests.policies.samples import MONDAY, facts, manifest, publishing, ready, release_set, waiting

every_message = pytest.mark.parametrize("kind", all_messages(), ids=lambda kind: kind.__name__)


def travelled(message: Message) -> Message:
    """As Temporal's pydantic converter writes and reads it."""
    read: Message = TypeAdapter(type(message)).validate_json(to_json(message))
    return read


@every_message
@settings(max_examples=15)
@given(data=st.data())
def test_a_message_is_read_as_it_was_written(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    assert travelled(message) == message
    assert kind.model_validate(message.model_dump()) == message
    assert kind.model_validate(json.loads(canonical_json(message))) == message


@every_message
@settings(max_examples=15)
@given(data=st.data())
def test_what_holds_its_default_is_not_written(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    written = json.loads(to_json(message))
    for name, field in kind.model_fields.items():
        if field.is_required():
            assert name in written
        else:
            holds_default = getattr(message, name) == field.get_default(call_default_factory=True)
            assert (name in written) is not holds_default, name


@every_message
@settings(max_examples=3)
@given(data=st.data())
def test_what_a_newer_worker_wrote_is_read_by_an_older_one(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    newer = json.loads(to_json(message)) | {"added_later": {"x": [1, 2]}}
    assert TypeAdapter(kind).validate_json(json.dumps(newer)) == message


@every_message
@settings(max_examples=3)
@given(data=st.data())
def test_what_an_older_worker_wrote_lacks_nothing(kind: type[Message], data: st.DataObject) -> None:
    """A field without default would make every history of an older version unreadable."""
    bare = data.draw(messages(kind, only_required=True))
    assert travelled(bare) == bare


@every_message
def test_a_message_is_frozen(kind: type[Message]) -> None:
    message: Any = kind.model_construct()
    with pytest.raises(ValidationError, match="frozen"):
        message.anything = 1


@settings(max_examples=30)
@given(st.data(), st.sampled_from(all_messages()))
def test_equal_messages_have_equal_digests_and_others_have_others(data: st.DataObject, kind: type[Message]) -> None:
    one, other = data.draw(messages(kind)), data.draw(messages(kind))
    assert canonical_json(travelled(one)) == canonical_json(one)
    assert (canonical_json(one) == canonical_json(other)) is (one == other)


# --- literal digests: stored blobs and approvals refer to them for years --------------------------------------------


def test_the_digest_of_bytes_is_ocis() -> None:
    assert digest_of(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_canonical_json_is_sorted_and_has_no_white_space() -> None:
    price = Price(amount="9.90", period="month")
    assert canonical_json(price) == b'{"amount":"9.90","period":"month"}'
    assert canonical_json(Deadline(kind=DeadlineKind.REPLY, due=MONDAY)) == (
        b'{"due":"2024-03-04T09:00:00Z","kind":"reply"}'
    )
    assert canonical_json(Entry(event="é", at=MONDAY)) == '{"at":"2024-03-04T09:00:00Z","event":"é"}'.encode()


def test_digests_are_the_same_on_every_machine_and_after_every_release() -> None:
    # the sample's pictures are encoded anew on every machine
    assert (
        manifest(icon="sha256:icon", screenshots=("sha256:shot",)).digest
        == "sha256:c6c1db2fcf3e75d6e64de82a3bf9376bd3d2e4aa0339cf6c1b85773674090567"
    )
    assert release_set().digest == "sha256:a3a1152de011a1f2c2f339283cd616759e30b38447d80b69ab51cfb8ee4eb484"
    assert (
        digest_of(canonical_json(facts())) == "sha256:b1aee3cd431e6ceecf2a5c37aa909069acd9e58e12351de1f291cec6cd37f8ac"
    )


def test_the_digest_of_the_policy_changes_with_its_numbers_only() -> None:
    assert HubPolicy().digest == HubPolicy.model_validate(HubPolicy().model_dump(mode="json")).digest
    assert HubPolicy(deadlines=Deadlines(dormant_days=366)).digest != HubPolicy().digest


def test_half_a_surrogate_pair_has_a_digest_too() -> None:
    odd = manifest(name="Led\ud800ger")
    assert b'"name":"Led?ger"' in canonical_json(odd)
    assert ContentManifest.model_validate(json.loads(canonical_json(odd))).name == "Led?ger"


# --- the budget of a history ----------------------------------------------------------------------------------------


def test_what_is_recorded_of_a_step_is_small() -> None:
    for story in (ready("image.non-root:Standard linux/amd64"), waiting(), publishing()):
        entry = Entry(event="Examined", at=MONDAY, actor="0123456789ab", command="approve-0123456789ab")
        recording = SubmissionRecording(snapshot=words.snapshot_of(story.state), entries=(entry,))
        assert len(to_json(recording)) < 750, to_json(recording)


def test_a_snapshot_writes_only_what_there_is() -> None:
    bare = Snapshot(id="sub", revision=1, stage=Stage.CHECKING, turn=Turn.HUB, iteration=1)
    assert json.loads(to_json(bare)) == {
        "id": "sub",
        "revision": 1,
        "stage": "checking",
        "turn": "hub",
        "iteration": 1,
    }


def test_messages_within_messages_leave_their_defaults_out_as_well() -> None:
    proposal = Proposal(act=ProposedAct.REJECT, actor="mo", text="No.", suspended=Deadline(kind="reply", due=MONDAY))
    undo = Undoable(act="x", actor="mo", at=MONDAY, stage=Stage.READY, turn=Turn.MODERATOR, outcome=Outcome(waived=1))
    assert json.loads(to_json(proposal))["suspended"] == {"kind": "reply", "due": "2024-03-04T09:00:00Z"}
    assert json.loads(to_json(undo))["outcome"] == {"waived": 1}
