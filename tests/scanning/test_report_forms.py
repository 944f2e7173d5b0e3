"""Reports as other programs read them: each is valid by its own standard, and says all that the scan knows."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from pydantic_sarif.model import (  # type: ignore[import-untyped]
    StaticAnalysisResultsFormatSarifVersion210JsonSchema,
)
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from scanning.reports import Form, document, write
from scanning.reports.scanned import Scanned
from scanning.reports.spreadsheet import COLUMNS
from scripts.write_schemas import PAGE, page
from tests.parts.presence import needs, program
from tests.scanning.scans import DIGEST, HOSTILE, IMAGE, VECTOR, bare, scanned

Makes = Callable[[], Scanned]
EVERY = pytest.mark.parametrize("makes", [scanned, bare, lambda: scanned("linux/arm/v7")])


def read(makes: Makes, form: Form) -> Any:
    return json.loads(write(makes(), form))


@pytest.mark.parametrize("form", Form)
@EVERY
def test_the_same_scan_is_the_same_file_and_no_secret_is_repeated(makes: Makes, form: Form) -> None:
    written = write(makes(), form)
    assert written == write(makes(), form)
    written.decode("utf-8")
    if form is not Form.JSON:  # the hub's own has the image's configuration and history as they are
        assert b"hunter2" not in written


# --- our own --------------------------------------------------------------------------------------------------------


def test_the_schema_in_the_docs_is_that_of_the_reports() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scripts.write_schemas"


@EVERY
def test_our_own_report_keeps_to_its_schema_and_is_complete(makes: Makes) -> None:
    said = read(makes, Form.JSON)
    validator = jsonschema.Draft202012Validator(document.schema(), format_checker=jsonschema.FormatChecker())
    assert list(validator.iter_errors(said)) == []
    assert said["schema"] == "wharfinger-scan/1"
    made = makes()
    assert [one.model_dump(mode="json") for one in document.ScanDocument.model_validate(said).platforms] == [
        one.model_dump(mode="json") for one in made.reports
    ]
    for platform in said["platforms"]:
        assert {"base", "components", "vulnerabilities", "facts", "scanner"} <= platform.keys()
        for found in platform["vulnerabilities"]:
            assert {"exploited", "classing", "inherited", "fixed_version"} <= found.keys()


# --- CycloneDX ------------------------------------------------------------------------------------------------------


@EVERY
def test_cyclonedx_is_valid(makes: Makes) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(write(makes(), Form.CYCLONEDX).decode()) is None
    said = read(makes, Form.CYCLONEDX)
    refs = [component["bom-ref"] for component in (said["metadata"]["component"], *said["components"])]
    refs += [vulnerability["bom-ref"] for vulnerability in said["vulnerabilities"]]
    assert len(refs) == len(set(refs))
    assert {affected["ref"] for one in said["vulnerabilities"] for affected in one["affects"]} <= set(refs)
    assert {ref for one in said["dependencies"] for ref in (one["ref"], *one["dependsOn"])} <= set(refs)


def properties(said: dict[str, Any]) -> dict[str, str]:
    return {each["name"].removeprefix("wharfinger:"): each["value"] for each in said["properties"]}


def test_cyclonedx_says_where_a_component_is_and_how_sure_that_is() -> None:
    said = read(lambda: scanned("linux/amd64"), Form.CYCLONEDX)
    components = {component["name"]: component for component in said["components"]}
    assert said["metadata"]["component"]["name"] == IMAGE
    assert properties(components["libssl3"])["source"] == "openssl 3.0.9-1"
    assert properties(components["Django"])["state"] == "removed"
    assert properties(components["Django"])["layer"] == "1"
    nginx = components["nginx"]
    assert nginx["cpe"] == "cpe:2.3:a:f5:nginx:1.18.0:*:*:*:*:*:*:*"
    (identity,) = nginx["evidence"]["identity"]
    assert (identity["field"], identity["confidence"]) == ("cpe", 0.95)
    assert identity["methods"][0]["technique"] == "binary-analysis"
    assert nginx["evidence"]["occurrences"] == [{"location": "opt/web/server of ours"}]
    platform = properties(components["linux/amd64"])
    assert platform["base:rebuild:mends"] == "1 of 2"
    assert platform["layer:0"].endswith("ADD rootfs.tar /")


def test_cyclonedx_says_of_a_vulnerability_what_it_affects_how_bad_it_is_and_what_its_publisher_says() -> None:
    said = read(scanned, Form.CYCLONEDX)
    found = {one["id"]: one for one in said["vulnerabilities"]}
    assert len(found) == len(said["vulnerabilities"]) == 6
    worst = found["CVE-2023-0001"]
    assert worst["ratings"] == [
        {"source": {"name": "NVD"}, "score": 9.8, "severity": "critical", "method": "CVSSv31", "vector": VECTOR}
    ]
    assert len(worst["affects"]) == 2
    assert worst["affects"][0]["versions"] == [{"version": "3.0.9-1", "status": "affected"}]
    assert worst["recommendation"] == "update libssl3 to 3.0.11-1 or later"
    assert {one["id"] for one in worst["references"]} == {"OSV-CVE-2023-0001", "GHSA-1111-2222-3333"}
    marks = properties(worst)
    assert (marks["class"], marks["inherited"], marks["known-exploited"]) == ("critical", "true", "2023-05-01")
    assert [rating["method"] for rating in found["CVE-2019-10906"]["ratings"]] == ["other", "CVSSv2"]
    assert found["CVE-2019-10906"]["ratings"][1]["severity"] == "medium"
    assert found["CVE-2023-0002"]["ratings"] == [{"severity": "unknown"}]
    waived = found["CVE-2021-33203"]
    assert waived["analysis"]["state"] == "not_affected"
    assert waived["analysis"]["justification"] == "code_not_present"
    assert waived["analysis"]["detail"] == "A later layer deletes it."
    assert waived["affects"][0]["versions"][0]["status"] == "unaffected"
    assert properties(waived)["vex:justification"] == "component_not_present"
    assert properties(waived)["state"] == "removed"
    assert "analysis" not in worst


# --- SPDX -----------------------------------------------------------------------------------------------------------


@needs("trivy")
@pytest.mark.parametrize("form", [Form.CYCLONEDX, Form.SPDX])
def test_another_scanner_reads_packages_and_system_out_of_it(form: Form, tmp_path: Path) -> None:
    path = tmp_path / "sbom.json"
    path.write_bytes(write(scanned("linux/amd64"), form))
    quietly = ("--quiet", "--skip-version-check", "--disable-telemetry", "--offline-scan", "--cache-dir", str(tmp_path))
    wanted = ("--scanners", "license", "--format", "json", "--list-all-pkgs")
    done = subprocess.run(
        [program("trivy") or "trivy", "sbom", *quietly, *wanted, path], check=True, capture_output=True
    )
    said = json.loads(done.stdout)
    assert said["Metadata"]["OS"] == {"Family": "debian", "Name": "12"}
    found = {package["Name"]: package for result in said["Results"] for package in result.get("Packages", ())}
    assert {"libssl3", "django", "jinja2"} <= {name.lower() for name in found}
    libssl = found["libssl3"]
    assert (libssl["SrcName"], libssl["SrcVersion"], libssl["SrcRelease"]) == ("openssl", "3.0.9", "1")


@EVERY
def test_spdx_is_valid(makes: Makes) -> None:
    said = read(makes, Form.SPDX)
    parsed = JsonLikeDictParser().parse(said)  # type: ignore[no-untyped-call]
    messages = validate_full_spdx_document(parsed)
    assert [message.validation_message for message in messages] == []


def test_spdx_has_every_component_with_its_names_and_place() -> None:
    said = read(scanned, Form.SPDX)
    packages = {package["SPDXID"]: package for package in said["packages"]}
    assert len(packages) == 1 + 2 * (1 + 1 + 5)
    system = packages["SPDXRef-OperatingSystem-1"]
    assert (system["name"], system["versionInfo"]) == ("debian", "12")
    contains = {(one["spdxElementId"], one["relatedSpdxElement"]) for one in said["relationships"]}
    assert ("SPDXRef-image", "SPDXRef-platform-1") in contains
    assert ("SPDXRef-platform-1", "SPDXRef-platform-1-package-3") in contains
    nginx = packages["SPDXRef-platform-0-package-3"]
    assert [one["referenceType"] for one in nginx["externalRefs"]] == ["purl", "cpe23Type"]
    assert "layer 2" in nginx["comment"]
    assert "confidence 0.95" in nginx["comment"]
    assert "openssl 3.0.9-1" in packages["SPDXRef-platform-0-package-0"]["sourceInfo"]
    assert "shipped all the same" in packages["SPDXRef-platform-0-package-2"]["comment"]
    assert said["creationInfo"]["created"] == "2026-03-02T09:30:15Z"


# --- SARIF ----------------------------------------------------------------------------------------------------------


@EVERY
def test_sarif_is_valid(makes: Makes) -> None:
    said = read(makes, Form.SARIF)
    StaticAnalysisResultsFormatSarifVersion210JsonSchema.model_validate(said)
    (run,) = said["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii()
        assert not uri.startswith("/")
        assert not set(uri) & set(' "<>\\')


def test_sarif_has_a_rule_for_each_vulnerability_and_a_result_for_each_place() -> None:
    (run,) = read(scanned, Form.SARIF)["runs"]
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert len(rules) == 6
    assert len(run["results"]) == 12
    assert {name: rule["properties"]["security-severity"] for name, rule in rules.items()} == {
        "CVE-2023-0001": "9.8",
        "CVE-2019-10906": "7.0",  # classed by the security team
        "CVE-2021-33203": "4.9",
        "CVE-2023-0002": "4.0",
        "CVE-2024-0666": "4.0",
        "CVE-2021-23017": "0.1",
    }
    assert "known-exploited" in rules["CVE-2023-0001"]["properties"]["tags"]
    assert "helpUri" not in rules["CVE-2024-0666"]
    first = run["results"][0]
    # known to be exploited
    assert (first["ruleId"], first["level"]) == ("CVE-2023-0001", "error")
    suppressed = [result for result in run["results"] if "suppressions" in result]
    assert {result["ruleId"] for result in suppressed} == {"CVE-2021-33203"}
    assert suppressed[0]["suppressions"][0]["justification"].endswith("A later layer deletes it.")
    assert len({result["partialFingerprints"]["wharfinger/v1"] for result in run["results"]}) == 12


# --- CSV ------------------------------------------------------------------------------------------------------------


def test_csv_is_a_line_for_each_place_and_calculates_nothing() -> None:
    text = write(scanned(), Form.CSV).decode()
    assert text.endswith("\r\n")
    assert text.count("\r\n") == 13
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(lines) == 12
    first = next(line for line in lines if line["vulnerability"] == "CVE-2023-0001")
    assert first["known exploited"] == "2023-05-01"
    assert (first["class"], first["score"], first["inherited"], first["layer"]) == ("critical", "9.8", "yes", "0")
    waived = next(line for line in lines if line["vulnerability"] == "CVE-2021-33203")
    assert (waived["vex"], waived["vex justification"]) == ("not_affected", "component_not_present")
    hostile = next(line for line in lines if line["vulnerability"] == "CVE-2024-0666")
    assert hostile["component"].startswith("'=HYPERLINK(")
    for line in lines:
        for name, value in line.items():
            assert value[:1] not in ("=", "+", "-", "@", "\t", "\r"), name
            assert value.isprintable(), name


def test_csv_of_nothing_is_its_header() -> None:
    assert write(bare(), Form.CSV).decode().rstrip("\r\n") == ",".join(COLUMNS)


# --- HTML -----------------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """What a browser makes of the page: every tag is closed, and nothing is fetched or run."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attributes:
            assert not name.startswith("on")
            if name in ("href", "src", "srcset", "action"):
                self.links.append(value or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text


@EVERY
def test_the_page_is_well_formed_fetches_nothing_and_runs_nothing(makes: Makes) -> None:
    page = write(makes(), Form.HTML).decode()
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    assert reader.tags.isdisjoint({"script", "img", "link", "iframe", "object", "form", "base"})
    assert all(link.startswith("https://nvd.nist.gov/") for link in reader.links)
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_the_page_shows_what_was_found() -> None:
    reader = Reader()
    reader.feed(write(scanned(), Form.HTML).decode())
    said = " ".join(reader.text.split())
    assert f"Scan of {IMAGE}" in said
    assert DIGEST in said
    assert "Rebuild on registry.example/library/debian:12: that mends 1 of 2 inherited vulnerabilities." in said
    assert "known to be exploited since 2023-05-01, by ransomware" in said
    assert "identified by content, 95%" in said
    assert "classed by the security team: Everybody is sandboxed by it." in said
    assert "not_affected, component_not_present A later layer deletes it." in said
    assert "deleted by a later layer; ships all the same" in said
    assert "1 component of a kind that no advisories here are about: =HYPERLINK" in said
    assert "<script>alert(1)</script>" in said
    assert HOSTILE.partition("</td>")[0] in said


def test_the_page_of_nothing_says_so() -> None:
    reader = Reader()
    reader.feed(write(bare(), Form.HTML).decode())
    said = " ".join(reader.text.split())
    for words in ("It has no layers.", "No known vulnerabilities.", "No components were found.", "no distribution"):
        assert words in said
