"""Whatever images and advisories say, every report keeps to the standard of its form."""

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any

import hypothesis.strategies as st
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from pydantic_sarif.model import (  # type: ignore[import-untyped]
    StaticAnalysisResultsFormatSarifVersion210JsonSchema,
)
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from models.base import digest_of
from models.findings import Severity
from models.images import ImageFacts, LayerFacts
from models.scans import Classing, Component, ComponentState, ImageReport, KnownExploited, Score, Vulnerability
from scanning.reports import Form, write
from scanning.reports.scanned import Scanned
from tests.scanning.scans import AT, report
from tests.scanning.test_report_forms import Reader

LAYERS = tuple(digest_of(str(number).encode()) for number in range(2))
#: control characters, half surrogates, markup, formulas, quotes, and other peoples' letters
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(codec=None, categories=["Cs", "Cc", "Cf", "Zl", "Lu"]), max_size=6),
    st.sampled_from(["=1+1", "</td><script>", "javascript:alert(1)", "https://é.example/ \\|<>", "\x00", "{{x}}"]),
)
PURLS = st.one_of(TEXTS, st.builds("pkg:deb/debian/{}@{}".format, TEXTS, TEXTS))
SCORES = st.builds(
    Score,
    score=st.floats(0, 10).map(lambda value: round(value, 1)),
    vector=TEXTS,
    source=TEXTS,
    version=st.sampled_from(["2", "3.0", "3.1", "4.0"]),
)
COMPONENTS = st.builds(
    Component,
    purl=PURLS,
    ecosystem=TEXTS,
    name=TEXTS,
    version=TEXTS,
    source_name=TEXTS,
    source_version=TEXTS,
    layer=st.sampled_from([*LAYERS, ""]),
    state=st.sampled_from(ComponentState),
    evidence=TEXTS,
    confidence=st.sampled_from([1.0, 0.9]),
    cpe=st.one_of(st.just(""), st.just("cpe:2.3:a:f5:nginx:1.18.0:*:*:*:*:*:*:*"), TEXTS),
    path=TEXTS,
)
VULNERABILITIES = st.builds(
    Vulnerability,
    id=TEXTS,
    advisory=TEXTS,
    aliases=st.lists(TEXTS, max_size=2).map(tuple),
    purl=PURLS,
    component=TEXTS,
    version=TEXTS,
    layer=st.sampled_from([*LAYERS, ""]),
    score=st.none() | SCORES,
    severity=st.sampled_from(Severity),
    classing=st.none() | st.builds(Classing, severity=st.sampled_from(Severity), reason=TEXTS, at=st.just(AT)),
    exploited=st.none() | st.just(KnownExploited(added=date(2024, 1, 1), due=date(2024, 2, 1), ransomware=True)),
    inherited=st.booleans(),
    fixed_version=TEXTS,
    summary=TEXTS,
    url=TEXTS,
)


@st.composite
def scans(draw: st.DrawFn) -> Scanned:
    layers = tuple(
        LayerFacts(index=index, digest=layer, diff_id=layer, size=1, uncompressed=1, instruction=draw(TEXTS))
        for index, layer in enumerate(LAYERS)
    )
    facts = ImageFacts(
        platform="linux/amd64",
        digest=digest_of(b"image"),
        config_digest=digest_of(b"config"),
        size=1,
        os_name=draw(TEXTS),
        os_version=draw(TEXTS),
        layers=layers,
        created=draw(st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))),  # noqa: DTZ001 - the strategy adds it
    )
    components = tuple(draw(st.lists(COMPONENTS, max_size=3)))
    found = [
        one.model_copy(update={"purl": each.purl, "version": each.version, "layer": each.layer})
        for one, each in zip(draw(st.lists(VULNERABILITIES, max_size=3)), components, strict=False)
    ]
    found += draw(st.lists(VULNERABILITIES, max_size=2))
    made: ImageReport = report(facts=facts, base=None, components=components, vulnerabilities=tuple(found))
    return Scanned(image=draw(TEXTS), digest=digest_of(b"index"), reports=(made,))


CYCLONEDX = JsonStrictValidator(SchemaVersion.V1_6)


def said(scanned: Scanned, form: Form) -> Any:
    return json.loads(write(scanned, form))


@given(scans())
@settings(max_examples=40, deadline=None)
def test_json_forms_are_valid_whatever_is_in_them(scanned: Scanned) -> None:
    written = write(scanned, Form.CYCLONEDX).decode()
    error = CYCLONEDX.validate_str(written)
    assert error is None, str(error)[:1000]
    refs = [one["bom-ref"] for one in (*json.loads(written)["components"], *json.loads(written)["vulnerabilities"])]
    assert len(refs) == len(set(refs))
    StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(said(scanned, Form.SARIF))
    spdx = JsonLikeDictParser().parse(said(scanned, Form.SPDX))  # type: ignore[no-untyped-call]
    assert [message.validation_message for message in validate_full_spdx_document(spdx)] == []
    assert said(scanned, Form.JSON)["schema"] == "wharfinger-scan/1"


@given(scans())
@settings(max_examples=40, deadline=None)
def test_tables_and_pages_are_whole_whatever_is_in_them(scanned: Scanned) -> None:
    text = write(scanned, Form.CSV).decode()
    lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) == 1 + len(scanned.reports[0].vulnerabilities)
    for line in lines[1:]:
        assert all(cell.isprintable() and cell[:1] not in ("=", "+", "-", "@") for cell in line)
    reader = Reader()
    reader.feed(write(scanned, Form.HTML).decode())
    reader.close()
    assert reader.open == []
    assert "script" not in reader.tags
    assert all(link.startswith(("https://", "http://")) for link in reader.links)
