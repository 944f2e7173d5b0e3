"""Advisories on the command line: brought in by hand and from remembered sources, shown, and kept in a mirror."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Shell
from tests.scanning.websites import Website, website

CVE = "CVE-2024-0001"
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def osv(id_: str, fixed: str = "2.0", **fields: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, {"fixed": fixed}]
    affected = [{"package": {"ecosystem": "PyPI", "name": "left"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]
    return {"id": id_, "modified": "2024-01-01T00:00:00Z", "affected": affected, **fields}


NVD = {
    "vulnerabilities": [
        {
            "cve": {
                "id": CVE,
                "descriptions": [{"lang": "en", "value": "nginx can be made to wait."}],
                "metrics": {"cvssMetricV31": [{"source": "nvd@nist.gov", "cvssData": {"vectorString": VECTOR}}]},
                "configurations": [
                    {
                        "nodes": [
                            {
                                "operator": "OR",
                                "negate": False,
                                "cpeMatch": [
                                    {
                                        "vulnerable": True,
                                        "criteria": "cpe:2.3:a:f5:nginx:*:*:*:*:*:*:*:*",
                                        "versionStartIncluding": "1.0",
                                        "versionEndExcluding": "1.25",
                                    }
                                ],
                            }
                        ]
                    }
                ],
            }
        }
    ]
}
KEV = [{"cve": CVE, "added": "2024-02-01", "due": "2024-02-22", "ransomware": "Known"}]


def written(name: str, *records: object) -> str:
    """A file beside the hub's home, where the test runs."""
    Path(name).write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return name


@pytest.fixture
def site() -> Iterator[Website]:
    with website() as found:
        yield found


def export(*records: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for record in records:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return file.getvalue()


async def test_what_is_imported_is_counted_and_what_is_skipped_is_named(shell: Shell) -> None:
    places = [written("all.jsonl", osv("PYSEC-2024-1", aliases=[CVE]), {"no": "id"})]
    options = [*("--nvd", written("nvd.json", NVD)), *("--kev", written("kev.json", KEV))]
    told = await shell.json("advisories", "import", *places, *options)
    assert told["problems"] == ["all.jsonl, line 2: not an OSV record: KeyError: 'id'"]
    counted = {name: told[name] for name in ("added", "changed", "skipped", "scores", "exploited", "total")}
    assert counted == {"added": 2, "changed": 0, "skipped": 1, "scores": 0, "exploited": 1, "total": 2}
    said = (await shell("advisories", "import", *places)).stdout
    assert "0 added, 0 changed, 2 advisories in all." in said
    assert "all.jsonl, line 2" in said


async def test_what_has_the_form_of_another_kind_is_said_to_have_it(shell: Shell) -> None:
    told = await shell.json("advisories", "import", written("nvd.json", NVD))
    assert told["problems"] == ["nvd.json: it has NVD's form: import it as what it is (nvd)"]
    told = await shell.json("advisories", "import", "--nvd", written("osv.json", osv("PYSEC-2024-1")))
    assert "not a CVE of NVD's" in told["problems"][0]
    assert "no catalog" in await shell.refused("advisories", "import", "--kev", "nvd.json")
    assert "Say what to import" in await shell.refused("advisories", "import")


async def test_an_advisory_is_shown_with_all_that_is_known_of_its_cve(shell: Shell) -> None:
    places = [written("all.jsonl", osv("PYSEC-2024-1", aliases=[CVE, "GHSA-xxxx"]))]
    options = [*("--nvd", written("nvd.json", NVD)), *("--kev", written("kev.json", KEV))]
    await shell("advisories", "import", *places, *options)
    for name in (CVE, "PYSEC-2024-1", "GHSA-xxxx"):
        found = await shell.json("advisories", "show", name)
        assert found["cves"] == [CVE]
        assert found["exploited"] == {"added": "2024-02-01", "due": "2024-02-22", "ransomware": True}
        assert [(score["score"], score["source"]) for score in found["scores"]] == [(9.8, "NVD")]
    by_cve = await shell.json("advisories", "show", CVE)
    ranges = {one["affected"][0]["name"]: one["affected"][0]["versions"] for one in by_cve["records"]}
    assert ranges == {"f5:nginx": [">= 1.0, < 1.25"], "left": [">= 0, < 2.0"]}
    said = (await shell("advisories", "show", CVE)).stdout
    assert "Known to be exploited since 2024-02-01, also by ransomware, to be mended by 2024-02-22 (CISA)." in said
    assert "CPE f5:nginx: >= 1.0, < 1.25" in said
    assert "Nothing is known under CVE-1999-0001" in await shell.refused("advisories", "show", "CVE-1999-0001")


async def test_the_status_counts_by_ecosystem(shell: Shell) -> None:
    assert (await shell.json("advisories", "status"))["advisories"] == 0
    assert "No advisories yet" in (await shell("advisories", "status")).stdout
    await shell("advisories", "import", written("all.jsonl", osv("PYSEC-2024-1")), "--nvd", written("nvd.json", NVD))
    told = await shell.json("advisories", "status")
    assert [(one["ecosystem"], one["advisories"]) for one in told["ecosystems"]] == [("CPE", 1), ("PyPI", 1)]
    assert (told["advisories"], told["scored"], told["exploited"]) == (2, 1, 0)
    assert "2 advisories, snapshot sha256:" in (await shell("advisories", "status")).stdout


async def test_a_remembered_source_is_synchronized_until_it_is_removed(shell: Shell, site: Website) -> None:
    assert "No source is remembered" in await shell.refused("advisories", "sync")
    url = site.put("/PyPI/all.zip", export(osv("PYSEC-2024-1")), etag='"1"')
    [source] = await shell.json("advisories", "sources", "add", url)
    assert (source["kind"], source["location"], source["looked_at"]) == ("osv", url, "")
    await shell("advisories", "sources", "add", written("kev.json", KEV), "--kind", "kev")
    told = await shell.json("advisories", "sync")
    assert (told["added"], told["changed"], told["skipped"], told["mark"]) == (2, 0, 0, 2)
    again = await shell.json("advisories", "sync")
    assert (again["added"], again["mark"], again["snapshot"]) == (0, 2, told["snapshot"])
    await shell("advisories", "sources", "remove", "kev.json")
    [source] = await shell.json("advisories", "sources", "list")
    assert (source["location"], bool(source["looked_at"]), source["problem"]) == (url, True, "")
    await shell("advisories", "sources", "remove", url)
    assert await shell.json("advisories", "sources", "list") == []
    assert "is no source" in await shell.refused("advisories", "sources", "remove", url)


async def test_a_source_that_fails_keeps_no_other_from_being_imported_and_is_told(shell: Shell, site: Website) -> None:
    broken, good = site.address + "/gone.zip", site.put("/PyPI/all.zip", export(osv("PYSEC-2024-1")))
    await shell("advisories", "sources", "add", broken, good)
    told = await shell("advisories", "sync", "--json", status=1)
    problems = {one["location"]: one["problem"] for one in json.loads(told.stdout)["sources"]}
    assert problems == {broken: f"There is nothing at {broken}.", good: ""}
    assert (await shell.json("advisories", "status"))["advisories"] == 1
    assert f"There is nothing at {broken}." in (await shell("advisories", "sources", "list")).stdout
    assert "There is nothing at nowhere" in await shell.refused("advisories", "sources", "add", "nowhere")


async def test_a_mirror_is_brought_up_to_date_and_imported_from(shell: Shell, site: Website) -> None:
    site.put("/PyPI/all.zip", export(osv("PYSEC-2024-1"), osv("PYSEC-2024-2")), etag='"1"')
    site.put("/PyPI/modified_id.csv", b"2024-01-01T00:00:00Z,PYSEC-2024-2\n2024-01-01T00:00:00Z,PYSEC-2024-1\n")
    words = ("advisories", "mirror", "mirror", "--base", site.address, "--ecosystem", "PyPI")
    [one] = await shell.json(*words)
    assert (one["ecosystem"], one["records"], one["changed"], one["problem"]) == ("PyPI", 2, True, "")
    assert (await shell.json(*words))[0]["changed"] is False
    assert (await shell.json("advisories", "import", "mirror"))["added"] == 2
    site.put("/PyPI/all.zip", export(osv("PYSEC-2024-1"), osv("PYSEC-2024-2", "3.0")), etag='"2"')
    assert (await shell.json(*words))[0]["changed"] is True
    assert (await shell.json("advisories", "import", "mirror"))["changed"] == 1
    site.put("/PyPI/all.zip", b"half", etag='"3"')
    failed = await shell(*words, "--json", status=1)
    assert "cannot be read" in json.loads(failed.stdout)[0]["problem"]
    # what could be read before is still there
    assert (await shell.json("advisories", "import", "mirror"))["added"] == 0
    assert "no ecosystem" in await shell.refused("advisories", "mirror", "mirror", "--ecosystem", "../etc")
