"""OSV records become facts in one form, or are refused with a reason."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanning.osv import (
    Advisory,
    InvalidAdvisory,
    affected_from_json,
    affected_to_json,
    by_name,
    by_scope,
    from_json,
    normal_ecosystem,
    normal_name,
    parse_record,
    to_json,
)
from scanning.versions import Affected, Range
from tests.scanning.real_data import real

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

RECORD: dict[str, Any] = {
    "schema_version": "1.6.0",
    "id": "PYSEC-2021-1",
    "modified": "2021-07-15T02:22:07Z",
    "aliases": ["GHSA-rxjp-mfm9-w4wr", "CVE-2021-31542"],
    "summary": "A path\n  leads   outside",
    "details": "A long story.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "Zope.Interface_x"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "3.0"}, {"fixed": "3.1"}]},
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.2.21"}]},
                {"type": "GIT", "repo": "https://g", "events": [{"introduced": "a1b2c3"}]},
            ],
            "versions": ["3.0", "2.2"],
        }
    ],
    "severity": [{"type": "CVSS_V3", "score": VECTOR}],
    "references": [{"type": "WEB", "url": "https://web"}, {"type": "ADVISORY", "url": "https://advisory/1"}],
}


def record(**changes: Any) -> dict[str, Any]:
    return {**RECORD, **changes}


def test_a_record_is_read_into_facts() -> None:
    assert parse_record(RECORD) == Advisory(
        id="PYSEC-2021-1",
        modified="2021-07-15T02:22:07.000000+00:00",
        withdrawn=False,
        aliases=("CVE-2021-31542", "GHSA-rxjp-mfm9-w4wr"),
        upstream=(),
        summary="A path leads outside",
        url="https://advisory/1",
        severity=(("CVSS_V3", VECTOR),),
        affected=(
            Affected(
                "PyPI",
                "zope-interface-x",
                (
                    Range((("fixed", "2.2.21"), ("introduced", "0"))),
                    Range((("fixed", "3.1"), ("introduced", "3.0"))),
                ),
                ("2.2", "3.0"),
            ),
        ),
    )


def test_what_is_written_in_another_order_is_the_same_advisory() -> None:
    entry = RECORD["affected"][0]
    ranges = [{**said, "events": said["events"][::-1]} for said in entry["ranges"][::-1]]
    turned = record(
        aliases=RECORD["aliases"][::-1],
        affected=[{**entry, "ranges": ranges, "versions": entry["versions"][::-1] * 2}],
    )
    assert parse_record(turned) == parse_record(RECORD)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("2024-11-21T14:22:40Z", "2024-11-21T14:22:40.000000+00:00"),
        ("2024-11-21T14:22:40.256677Z", "2024-11-21T14:22:40.256677+00:00"),
        ("2024-11-21T14:22:40.256677123Z", "2024-11-21T14:22:40.256677+00:00"),
        ("2024-11-21T15:22:40.2+01:00", "2024-11-21T14:22:40.200000+00:00"),
        ("2024-11-21T14:22:40", "2024-11-21T14:22:40.000000+00:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000+00:00"),
        (None, ""),
    ],
)
def test_times_are_brought_to_one_form_that_sorts(written: str | None, means: str) -> None:
    assert parse_record(record(modified=written)).modified == means


def test_what_is_withdrawn_is_known_to_be() -> None:
    assert parse_record(record(withdrawn="2024-01-01T00:00:00Z")).withdrawn


def test_a_record_is_about_the_cve_in_its_id_and_aliases() -> None:
    assert parse_record(RECORD).cves == ("CVE-2021-31542",)
    for id_ in ("CVE-2024-1234", "DEBIAN-CVE-2024-1234", "UBUNTU-CVE-2024-1234", "CURL-CVE-2024-1234"):
        assert parse_record(record(id=id_, aliases=[])).cves == ("CVE-2024-1234",)
    assert parse_record(record(id="CVE-2024-1234", aliases=["CVE-2024-1234", "CVE-2024-99999"])).cves == (
        "CVE-2024-1234",
        "CVE-2024-99999",
    )
    assert parse_record(record(id="DSA-5001-1", aliases=[], upstream=["CVE-2024-1234"])).cves == ()
    assert parse_record(record(id="XCVE-2024-1234", aliases=["CVE-2024-123"])).cves == ()


def test_the_summary_is_one_line_of_what_can_be_shown() -> None:
    assert parse_record(record(summary="", details="A \x1b[31mred\x07 story.\n\nIts second part.")).summary == (
        "A [31mred story. Its second part."
    )
    long = parse_record(record(summary="word " * 100)).summary
    assert len(long) <= 200
    assert long.endswith("word…")


def test_a_link_is_one_that_a_browser_follows() -> None:
    for url in ("javascript:alert(1)", "https://a b", "https://a\x1b", "https://" + "a" * 3000, None):
        said = parse_record(record(references=[{"type": "ADVISORY", "url": url}]))
        assert said.url == "https://osv.dev/vulnerability/PYSEC-2021-1"


def test_severities_of_the_packages_count_and_one_without_a_vector_does_not() -> None:
    entry = {**RECORD["affected"][0], "severity": [{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}]}
    said = parse_record(record(affected=[entry], severity=[{"type": "CVSS_V3", "score": VECTOR}, {"type": "CVSS_V4"}]))
    assert said.severity == (("CVSS_V2", "AV:N/AC:L/Au:N/C:P/I:P/A:P"), ("CVSS_V3", VECTOR))


def test_names_have_one_spelling() -> None:
    assert normal_name("PyPI", "Zope.Interface__X") == "zope-interface-x"
    assert normal_name("NuGet", "Newtonsoft.Json") == "newtonsoft.json"
    assert normal_name("Go", "github.com/BurntSushi/toml") == "github.com/BurntSushi/toml"
    assert normal_ecosystem("Ubuntu:22.04:LTS") == "Ubuntu:22.04"
    assert normal_ecosystem("Ubuntu:Pro:22.04:LTS") == "Ubuntu:Pro:22.04"
    assert normal_ecosystem("Debian:12") == "Debian:12"


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "PYSEC-2021-1",
        7,
        {},
        {"id": ""},
        {"id": None},
        {"id": "PYSEC 2021"},
        {"id": "PYSEC-2021-1\x1b[2J"},
        {"id": "P" * 201},
        {"id": ["PYSEC-2021-1"]},
        {"id": "PYSEC-\ud800"},
        record(aliases="CVE-2021-31542"),
        record(aliases={"CVE-2021-31542": 1}),
        record(aliases=[7]),
        record(modified="yesterday"),
        record(modified=20240101),
        record(modified="0001-01-01T00:00:00+14:00"),
        record(summary=["text"]),
        record(summary="a lone \udc80"),
        record(affected={"package": {}}),
        record(affected=["PyPI"]),
        record(affected=[{"package": "PyPI"}]),
        record(affected=[{"package": {"ecosystem": "PyPI"}}]),
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": "1.0"}]),
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": [1.0]}]),
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": [{"events": "0"}]}]),
        record(affected=[{"package": {"ecosystem": "PyPI", "name": "x"}, "ranges": [{"events": [{"fixed": 2}]}]}]),
        record(severity=[VECTOR]),
        record(references=["https://web"]),
    ],
    ids=lambda wrong: str(wrong)[-60:].encode("ascii", "backslashreplace").decode(),
)
def test_what_is_no_record_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidAdvisory, match="not an OSV record"):
        parse_record(wrong)


def test_what_a_record_may_leave_out_it_may_leave_out() -> None:
    for field in ("modified", "aliases", "summary", "details", "affected", "severity", "references", "schema_version"):
        assert parse_record({**{name: value for name, value in RECORD.items() if name != field}}).id == "PYSEC-2021-1"
        assert parse_record(record(**{field: None})).id == "PYSEC-2021-1"
    assert parse_record(record(affected=[{"ranges": [{"type": "GIT"}]}])).affected == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("package", "type", "url")), inner),
    max_leaves=6,
)


@given(field=st.sampled_from([*RECORD, "withdrawn", "upstream"]), value=json_values)
def test_a_field_of_any_shape_is_read_or_refused(field: str, value: object) -> None:
    try:
        said = parse_record(record(**{field: value}))
    except InvalidAdvisory:
        return
    to_json(said).encode()


def test_what_the_store_keeps_is_read_back_as_it_was() -> None:
    said = parse_record(record(upstream=["CVE-2020-1234"]))
    for (ecosystem, name), entries in by_name(said).items():
        kept = tuple(affected_from_json(ecosystem, name, affected_to_json(entries)))
        assert from_json(said.id, said.modified, to_json(said), kept) == said


def test_a_record_under_a_bare_cve_id_is_taken_apart_by_ecosystem() -> None:
    """Debian, Alpine and others write under the CVE's own id, each about its own packages."""
    packages = [("Alpine:v3.10", "nginx"), ("Alpine:v3.11", "nginx"), ("Alpine:v3.11", "nginx-mod")]
    affected = [{"package": {"ecosystem": ecosystem, "name": name}} for ecosystem, name in packages]
    said = by_scope(parse_record(record(id="CVE-2019-9511", affected=affected)))
    assert {scope: [entry.name for entry in part.affected] for scope, part in said.items()} == {
        "Alpine:v3.10": ["nginx"],
        "Alpine:v3.11": ["nginx", "nginx-mod"],
    }
    assert list(by_scope(parse_record(record(id="ALPINE-CVE-2019-9511", affected=affected)))) == [""]


@pytest.mark.parametrize("export", ["pypi", "go", "npm-2021", "debian-12", "alpine-2020"])
def test_every_real_record_is_read(export: str) -> None:
    with gzip.open(real(f"osv/{export}.osv.jsonl.gz")) as file:
        read = [parse_record(json.loads(line)) for line in file]
    assert len(read) > 200
    assert all(said.url.startswith("https://") for said in read[:50])
