"""VEX documents: ours are valid and come back as they were, others' are understood, broken ones refused."""

import json
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from vexipy.document import Document

from models.errors import InvalidManifest
from models.findings import VexJustification, VexState
from models.vex import VexDocument, VexStatement
from scanning.reports import Form, vex_documents
from scanning.reports import write as write_report
from scanning.reports.vex_documents import VexForm
from tests.scanning.scans import DIGEST, IMAGE, scanned

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
IMAGE_PURL = "pkg:oci/shop?repository_url=registry.example%2Fteam%2Fshop"
OPENSSL = "pkg:deb/debian/libssl3@3.0.9-1"


def statement(state: VexState, **more: Any) -> VexStatement:
    said: dict[str, Any] = {
        "vulnerability": "CVE-2023-0001",
        "products": (IMAGE_PURL,),
        "components": (OPENSSL,),
        "state": state,
        "words": "Nothing calls it.",
        "author": "Harbour Works",
        "at": AT,
    }
    return VexStatement.model_validate(said | more)


def document(*statements: VexStatement) -> VexDocument:
    return VexDocument(
        id="https://harbour.example/vex/1", author="Harbour Works", at=AT, version=3, statements=statements
    )


EVERY = document(
    *(
        statement(
            VexState.NOT_AFFECTED,
            vulnerability=f"CVE-2024-{number}",
            justification=justification,
            expires=datetime(2026, 6, 1, tzinfo=UTC),
        )
        for number, justification in enumerate(VexJustification)
    ),
    statement(VexState.AFFECTED, words="Update."),
    statement(VexState.FIXED, components=()),
    statement(VexState.UNDER_INVESTIGATION, aliases=("GHSA-1111-2222-3333",)),
)


def read(said: Any) -> tuple[VexStatement, ...]:
    return vex_documents.read(json.dumps(said).encode()).statements


@pytest.mark.parametrize("form", VexForm)
def test_what_is_written_comes_back(form: VexForm) -> None:
    written = vex_documents.write(EVERY, form)
    assert written == vex_documents.write(EVERY, form)
    assert set(vex_documents.read(written).statements) == set(EVERY.statements)


def test_our_openvex_is_read_by_another_program() -> None:
    written = vex_documents.write(EVERY, VexForm.OPENVEX)
    theirs = Document.from_json(written.decode())
    assert len(theirs.statements) == len(EVERY.statements)
    assert [one.status.value for one in theirs.statements] == [str(one.state) for one in EVERY.statements]
    assert {str(one.justification.value) for one in theirs.statements if one.justification} == set(VexJustification)


def test_our_cyclonedx_is_valid() -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(vex_documents.write(EVERY, VexForm.CYCLONEDX).decode()) is None


def test_what_a_report_says_in_cyclonedx_is_vex_as_well() -> None:
    found = vex_documents.read(write_report(scanned(), Form.CYCLONEDX)).statements
    assert {one.vulnerability for one in found} == {"CVE-2021-33203"}
    assert {one.components for one in found} == {("pkg:pypi/django@3.2.0",)}
    assert {one.justification for one in found} == {VexJustification.COMPONENT_NOT_PRESENT}
    assert all(IMAGE in one.products and DIGEST in one.products for one in found)


def test_an_openvex_document_of_somebody_else_is_understood() -> None:
    (first, second, third) = read(
        {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "@id": "https://example.org/vex",
            "author": "Somebody",
            "timestamp": "2024-01-01T00:00:00Z",
            "version": 1,
            "statements": [
                {
                    "vulnerability": {"name": "CVE-2023-1", "aliases": ["GHSA-x"]},
                    "products": [
                        {
                            "@id": "urn:app",
                            "identifiers": {"purl": IMAGE_PURL},
                            "hashes": {"sha-256": "ab"},
                            "subcomponents": [{"@id": OPENSSL}],
                        },
                        {"@id": "pkg:deb/debian/curl@1"},
                    ],
                    "status": "not_affected",
                    "impact_statement": "No.",
                },
                {
                    "vulnerability": {"@id": "https://nvd.nist.gov/vuln/detail/CVE-2023-2"},
                    "timestamp": "2024-02-01T00:00:00+02:00",
                    "status": "under_investigation",
                },
            ],
        }
    )
    assert first.products == ("urn:app", IMAGE_PURL, "sha256:ab")
    assert (first.components, first.words, first.author) == ((OPENSSL,), "No.", "Somebody")
    assert second.products == ("pkg:deb/debian/curl@1",)
    assert second.components == ()
    assert (third.products, third.at) == ((), datetime(2024, 1, 31, 22, tzinfo=UTC))


def test_the_first_openvex_is_understood() -> None:
    (one,) = read(
        {
            "@context": "https://openvex.dev/ns",
            "statements": [
                {
                    "vulnerability": "CVE-2023-1",
                    "products": ["pkg:oci/shop"],
                    "subcomponents": [OPENSSL],
                    "status": "fixed",
                }
            ],
        }
    )
    assert (one.vulnerability, one.products, one.components) == ("CVE-2023-1", ("pkg:oci/shop",), (OPENSSL,))


def cyclonedx(analysis: Any, affects: Any, **more: Any) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {
            "timestamp": "2024-01-01T00:00:00Z",
            "component": {"type": "application", "name": "shop", "bom-ref": "shop"},
        },
        "components": [{"type": "library", "bom-ref": "lib", "name": "libssl3", "purl": OPENSSL}],
        "vulnerabilities": [{"id": "CVE-2023-1", "analysis": analysis, "affects": affects}],
        **more,
    }


@pytest.mark.parametrize(
    ("ref", "components"),
    [
        ("lib", (OPENSSL,)),
        ("urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1#lib", (OPENSSL,)),
        ("urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1#pkg%3Adeb%2Fdebian%2Fcurl", ("pkg:deb/debian/curl",)),
        (OPENSSL, (OPENSSL,)),
    ],
)
def test_a_cyclonedx_reference_leads_to_a_package(ref: str, components: tuple[str, ...]) -> None:
    (one,) = read(cyclonedx({"state": "false_positive", "justification": "protected_by_compiler"}, [{"ref": ref}]))
    assert (one.components, one.products) == (components, ())
    assert (one.state, one.justification) == (
        VexState.NOT_AFFECTED,
        VexJustification.INLINE_MITIGATIONS_ALREADY_EXIST,
    )


def test_vulnerabilities_without_an_analysis_and_components_without_a_purl_excuse_nothing() -> None:
    assert read(cyclonedx(None, [{"ref": "lib"}])) == ()
    nameless = [{"type": "library", "bom-ref": "lib", "name": "libssl3"}]
    container = {"component": {"type": "container", "name": IMAGE, "version": DIGEST}}
    (one,) = read(cyclonedx({"state": "resolved"}, [{"ref": "lib"}], components=nameless, metadata=container))
    assert one.components == ("component libssl3",)
    assert one.products == (IMAGE, DIGEST, f"{IMAGE}:{DIGEST}")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ([], "document"),
        ({"@context": "https://example.org"}, "document"),
        ({"@context": "https://openvex.dev/ns/v0.2.0"}, "statements"),
        ({"@context": "https://openvex.dev/ns", "statements": [3]}, "statements[0]"),
        ({"@context": "https://openvex.dev/ns", "statements": [{"status": "fixed"}]}, "statements[0].vulnerability"),
        (
            {"@context": "https://openvex.dev/ns", "statements": [{"vulnerability": "CVE-1", "status": "fine"}]},
            "statements[0].status",
        ),
        (
            {
                "@context": "https://openvex.dev/ns",
                "statements": [{"vulnerability": "CVE-1", "status": "fixed", "justification": "so it is"}],
            },
            "statements[0].justification",
        ),
        (cyclonedx({"state": "fine"}, []), "vulnerabilities[0].analysis.state"),
        (cyclonedx({"state": "resolved"}, [{"ref": "nowhere"}]), "vulnerabilities[0].affects"),
    ],
)
def test_what_cannot_be_read_is_refused_by_field(said: Any, field: str) -> None:
    with pytest.raises(InvalidManifest) as refused:
        read(said)
    assert [problem.field for problem in refused.value.problems] == [field]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b'{"a": 1' + b" " * 65 * 2**20 + b"}"])
def test_what_is_no_document_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidManifest, match="document"):
        vex_documents.read(content)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = ("@id", "author", "timestamp", "version", "statements", "metadata", "components", "vulnerabilities")


@given(
    st.sampled_from([{"@context": "https://openvex.dev/ns"}, {"bomFormat": "CycloneDX"}]),
    st.dictionaries(st.sampled_from(_FIELDS), ANYTHING | st.lists(ANYTHING, max_size=3)),
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["vulnerability", "status", "products", "justification", "status_notes", "id", "analysis", "affects"]
            ),
            ANYTHING | st.sampled_from(["fixed", "affected", {"state": "resolved"}, [{"ref": "pkg:a/b"}]]),
        ),
        max_size=3,
    ),
)
def test_whatever_a_document_says_it_is_read_or_refused(
    form: dict[str, Any], fields: dict[str, Any], statements: list[Any]
) -> None:
    for name in ("statements", "vulnerabilities"):
        said = {**form, **fields, name: statements}
        try:
            found = vex_documents.read(json.dumps(said).encode())
        except InvalidManifest:
            continue
        for form_ in VexForm:
            vex_documents.write(found, form_)
