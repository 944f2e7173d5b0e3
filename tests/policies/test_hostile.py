"""Texts and images of strangers: whatever they hold, every rule answers, soon, and its answer can be written down."""

import socket
import time
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from models.base import canonical_json
from models.content import ContentManifest, Licence, RunsOn, Sla, Support, Tier
from models.findings import Finding, Verdict
from models.images import Healthcheck, ImageFacts, ImageSource, LayerFacts, SecretFact
from models.policy import Rules
from models.publishers import PublisherProfile
from policies import instructions
from policies.rulebook import AREAS
from policies.rules import LONGEST_EVIDENCE, LONGEST_KEY, LONGEST_LINE, MOST_FINDINGS
from tests.policies.cases import of_content, of_image, of_manifest, of_profile
from tests.policies.samples import MONDAY, facts, layer, manifest, tier

MILLION = 1_000_000
#: what breaks parsers, databases and terminals
TEXTS = [
    "",
    " ",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "\u202e\u2066",
    "\x1b[2J\x07",
    "\n" * 100,
    "{{7*7}}${7*7}<script>alert(1)</script>'; DROP TABLE x; --",
    "../../etc/passwd",
    "%s%n%x",
    "😀" * 200,
    "İ" * 300,
    "a. " * 300,
]
ANY = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(codec=None), max_size=60))
MANY = st.lists(ANY, max_size=4).map(tuple)


def answers(area: str, context: Any) -> tuple[Finding, ...]:
    """What an area finds; no rule of it breaks, and all that it says is bounded and can be stored."""
    checked = next(known for known in AREAS if known.name == area).run(context, Rules(), place="Standard linux/amd64")
    broken = [result for result in checked.results if result.verdict is Verdict.ERROR]
    assert broken == []
    for finding in checked.findings:
        assert finding.model_dump_json()
        assert canonical_json(finding)
        assert len(finding.key) <= LONGEST_KEY
        assert len(finding.where) <= LONGEST_LINE
        assert 0 < len(finding.evidence) <= LONGEST_EVIDENCE
    return checked.findings


sources = st.builds(ImageSource, repository=ANY, tags=MANY)
slas = st.builds(Sla, hours=ANY, time_zone=ANY, first_response_hours=st.integers(-(10**20), 10**20))
tiers = st.builds(Tier, name=ANY, description=ANY, installation=ANY, source=st.none() | sources, sla=st.none() | slas)
manifests = st.builds(
    ContentManifest,
    name=ANY,
    icon=ANY,
    short_description=ANY,
    category=ANY,
    search_tags=MANY,
    long_description=ANY,
    screenshots=MANY,
    support=st.builds(Support, link=ANY, email=ANY, website=ANY, self_help=ANY),
    tiers=st.lists(tiers, max_size=3).map(tuple),
    licences=st.lists(st.builds(Licence, title=ANY, url=ANY, text=ANY), max_size=3).map(tuple),
    platforms=MANY,
    documentation=ANY,
    release_notes=ANY,
    runs_on=st.sampled_from(RunsOn),
    wants_certification=st.booleans(),
)
layers = st.builds(
    LayerFacts,
    index=st.integers(0, 10),
    digest=ANY,
    diff_id=ANY,
    size=st.integers(0, 2**63),
    uncompressed=st.integers(0, 2**63),
    instruction=ANY,
    folders=st.lists(st.tuples(ANY, st.integers(0, 2**63)), max_size=3).map(tuple),
    setuid=MANY,
    deleted=st.lists(st.tuples(ANY, st.integers(0, 2**63)), max_size=3).map(tuple),
    secrets=st.lists(st.builds(SecretFact, rule=ANY, title=ANY, path=ANY), max_size=3).map(tuple),
)
images = st.builds(
    ImageFacts,
    platform=ANY,
    digest=ANY,
    config_digest=ANY,
    size=st.integers(0, 2**63),
    created=st.none() | st.datetimes() | st.just(MONDAY),
    author=ANY,
    user=ANY,
    entrypoint=MANY,
    cmd=MANY,
    env=MANY,
    ports=MANY,
    labels=st.dictionaries(ANY, ANY, max_size=3),
    healthcheck=st.none() | st.builds(Healthcheck, test=MANY),
    os_name=ANY,
    os_version=ANY,
    layers=st.lists(layers, max_size=3).map(tuple),
    empty_instructions=MANY,
)
profiles = st.builds(PublisherProfile, legal_name=ANY, website=ANY, phone=ANY, email=ANY, icon=ANY, country=ANY)


@given(manifests)
def test_every_rule_of_the_manifest_answers(content: ContentManifest) -> None:
    answers("manifest", of_manifest(content))


@given(profiles)
def test_every_rule_of_the_profile_answers(profile: PublisherProfile) -> None:
    answers("profile", of_profile(**profile.model_dump()))


@given(manifests, profiles)
def test_every_rule_of_eligibility_answers(content: ContentManifest, profile: PublisherProfile) -> None:
    answers("eligibility", of_content(profile)._replace(manifest=content))


@settings(max_examples=100)
@given(images)
def test_every_rule_of_images_answers(image: ImageFacts) -> None:
    answers("image", of_image(image))


# --- large ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["x", ".", " ", "a. ", "\x00", "\ud800", "é", "=", "@"])
def test_a_million_characters_in_every_field_are_read_soon(letter: str) -> None:
    text = (letter * MILLION)[:MILLION]
    began = time.perf_counter()
    content = manifest(
        **dict.fromkeys(("name", "short_description", "category", "long_description", "documentation"), text),
        release_notes=text,
        search_tags=(text,),
        tiers=(tier(text, description=text, installation=text),),
        support=Support(link=text, email=text, website=text, self_help=text),
        licences=(Licence(title=text, url=text, text=text),),
        platforms=(text,),
    )
    assert answers("manifest", of_manifest(content))
    answers("eligibility", of_content()._replace(manifest=content))
    answers("profile", of_profile(legal_name=text, website=text, phone=text, email=text, country=text))
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize(
    "instruction",
    [
        "curl " * 819,
        "curl -a" * 585,
        "|1 " + "a=1 " * 1_000,
        "|1 " + "a.b_" * 1_000,
        "[" * 4_096,
        "[trusted=" * 455,
        "apt-get " * 512,
        "sh|" * 1_365,
        "sh -c " * 680,
        "password=" * 450,
        " " * 4_096,
        "x" * MILLION,
    ],
)
def test_instructions_that_were_made_to_be_slow_are_not(instruction: str) -> None:
    began = time.perf_counter()
    answers("image", of_image(empty_instructions=(instruction,) * 200, layers=(layer(instruction=instruction),)))
    assert time.perf_counter() - began < 5


def test_an_image_with_ten_thousand_of_everything_has_few_findings() -> None:
    many = range(10_000)
    secrets = tuple(SecretFact(rule="r", title="Key", path=f"k/{number}") for number in many)
    image = facts(
        env=tuple(f"V{number}_PASSWORD=x" for number in many),
        ports=("22/tcp",) * 10_000,
        labels={f"l{number}": "x" for number in many},
        layers=(layer(secrets=secrets, setuid=tuple(f"s/{number}" for number in many)),),
        empty_instructions=tuple(f"RUN |1 A{number}_TOKEN=x /bin/sh -c curl -k{number}" for number in many),
    )
    findings = answers("image", of_image(image))
    by_rule = {rule: sum(finding.rule == rule for finding in findings) for rule in {f.rule for f in findings}}
    assert max(by_rule.values()) == MOST_FINDINGS
    assert by_rule["image.secrets"] == MOST_FINDINGS


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "instruction",
    [
        "RUN |1 API_TOKEN=hunter2 /bin/sh -c apt-get update",
        "RUN /bin/sh -c DB_PASSWORD='hunter2' apt-get update",
        'RUN /bin/sh -c export PASSWORD="hunter2"; apt-get update',
        "RUN /bin/sh -c curl -k -H 'Authorization: Bearer hunter2' https://x && apt-get update",
        "RUN /bin/sh -c curl -k https://user:hunter2@x.example && apt-get update",
        "ADD https://user:hunter2@x.example/a /a",
    ],
)
def test_no_finding_repeats_a_secret(instruction: str) -> None:
    image = facts(
        env=("DB_PASSWORD=hunter2",),
        cmd=("supervisord", "--password=hunter2"),
        layers=(layer(), layer(1, instruction=instruction)),
    )
    findings = answers("image", of_image(image))
    assert {"image.password", "image.supervisor"} <= {finding.rule for finding in findings}
    assert len(findings) > 2
    assert "hunter2" not in "".join(finding.model_dump_json() for finding in findings)
    assert "hunter2" not in instructions.shown(instruction)


def test_no_rule_asks_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither links nor the servers of email addresses are ever looked up."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a rule asked the network")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    assert answers("profile", of_profile()) == ()
    assert answers("eligibility", of_content()) == ()
    assert answers("manifest", of_manifest()) == ()
    assert answers("image", of_image()) == ()
