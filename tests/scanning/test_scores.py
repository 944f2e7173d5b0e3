"""CVSS vectors have the scores that the world publishes, and scores the classes of the policy."""

import gzip
import json
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.findings import Severity
from models.policy import SeverityClasses
from models.scans import Score
from scanning.scores import best, score_of, severity_of
from tests.scanning.real_data import real


@pytest.mark.parametrize(
    ("vector", "version", "score"),
    [
        # FIRST's user guides, and what NVD says of the CVE named
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C", "2", 10.0),
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", "2", 7.8),
        ("AV:L/AC:H/Au:N/C:C/I:C/A:C", "2", 6.2),
        ("AV:N/AC:L/Au:N/C:P/I:N/A:N", "2", 5.0),  # CVE-2014-0160
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "3.0", 7.5),
        ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", "3.0", 9.9),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", "3.1", 10.0),  # CVE-2021-44228
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "3.1", 9.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "3.1", 7.5),  # CVE-2022-0778
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "3.1", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N", "3.1", 5.3),
        ("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "3.1", 1.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "3.1", 0.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", "4.0", 10.0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "4.0", 9.3),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N", "4.0", 8.7),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", "4.0", 0.0),
    ],
)
def test_a_vector_has_its_published_score(vector: str, version: str, score: float) -> None:
    assert score_of(vector, "NVD") == Score(score=score, vector=vector, source="NVD", version=version)


@pytest.mark.parametrize(
    ("base", "more"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "/E:U/RL:O/RC:U/CR:L/IR:L/AR:L"),
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C", "/E:U/RL:OF/RC:UC"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N", "/E:U"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N", "/E:P/CR:L/MAV:P/S:N/AU:N/U:Clear"),
    ],
)
def test_it_is_the_base_score_whatever_else_the_vector_tells(base: str, more: str) -> None:
    whole, alone = score_of(base + more, "NVD"), score_of(base, "NVD")
    assert whole is not None
    assert alone is not None
    assert (whole.score, whole.vector) == (alone.score, base + more)


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "high",
        "9.8",
        "CVSS:3.1/",
        "CVSS:3.1/AV:N",
        "CVSS:3.9/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
        "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N/E:Z",
        "CVSS:4.1/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H",
        "CVSS:5.0/AV:N",
        "AV:N/AC:L/Au:N/C:C/I:C",
        "AV:N/" * 20_000,
    ],
)
def test_a_vector_that_cannot_be_read_has_no_score(vector: str) -> None:
    assert score_of(vector, "NVD") is None


@given(
    text=st.text(max_size=30)
    | st.lists(
        st.sampled_from(("CVSS:3.1", "CVSS:4.0", "AV:N", "AC:L", "E:U", "Au:N", "C:H", ":", "é", "")), max_size=12
    ).map("/".join)
)
def test_any_text_has_a_score_or_none(text: str) -> None:
    found = score_of(text, "NVD")
    assert found is None or 0 <= found.score <= 10


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (10.0, Severity.CRITICAL),
        (7.0, Severity.CRITICAL),
        (6.9, Severity.MAJOR),
        (4.0, Severity.MAJOR),
        (3.9, Severity.MINOR),
        (0.1, Severity.MINOR),
        (0.0, Severity.MINOR),
        (None, Severity.UNKNOWN),
    ],
)
def test_a_score_is_classed_as_the_policy_says(score: float | None, severity: Severity) -> None:
    said = None if score is None else Score(score=score, vector="", source="NVD", version="3.1")
    assert severity_of(said, SeverityClasses()) is severity


def test_the_borders_are_the_policys() -> None:
    strict = SeverityClasses(critical=Decimal("9.0"), major=Decimal("6.9"), minor=Decimal("1.0"))
    classes = [
        severity_of(Score(score=score, vector="", source="NVD", version="3.1"), strict)
        for score in (9.0, 8.9, 6.9, 6.8)
    ]
    assert classes == [Severity.CRITICAL, Severity.MAJOR, Severity.MAJOR, Severity.MINOR]


def test_the_newest_3_x_counts_then_4_0_then_2_and_of_equals_the_highest() -> None:
    def of(version: str, score: float) -> Score:
        return Score(score=score, vector="", source="NVD", version=version)

    assert best([]) is None
    assert best([None, None]) is None
    assert best([None, of("2", 9.0)]) == of("2", 9.0)
    assert best([of("2", 9.0), of("4.0", 1.0)]) == of("4.0", 1.0)
    assert best([of("4.0", 9.0), of("3.0", 1.0)]) == of("3.0", 1.0)
    assert best([of("3.0", 9.0), of("3.1", 1.0), None, of("3.1", 2.0)]) == of("3.1", 2.0)


def test_real_vectors_have_the_scores_that_their_sources_publish() -> None:
    """CISA's list. Where a vector tells more than the base, the published score does too; of the 37,047 others 125
    differ: GitHub rounds 3.1 its own way, a few sources write another vector than they meant."""
    published = json.loads(gzip.decompress(real("cvss-2024-10.json.gz").read_bytes()))
    counts: Counter[str] = Counter()
    for source, vector, score in (said for scores in published.values() for said in scores):
        found = score_of(vector, source or "unnamed")
        assert found is not None, vector
        if not any(metric in vector for metric in ("/E:", "/RL:", "/RC:")):
            difference = abs(Decimal(str(found.score)) - Decimal(str(score)))
            counts["same" if not difference else "a tenth" if difference <= Decimal("0.1") else "other"] += 1
    assert counts.total() > 35_000
    assert counts["same"] > 0.995 * counts.total()
    assert counts["other"] < 30
