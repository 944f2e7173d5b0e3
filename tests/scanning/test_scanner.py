"""The scanner as a whole: from an image's bytes to a report that says what, where, and by whose knowledge."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.errors import ImageTooLarge, MalformedImage, ToolFailed
from models.findings import Severity
from models.policy import ImageLimits, SeverityClasses
from models.scans import ComponentState, ImageReport
from registry.building import ImageBuilder
from scanning.advisories import AdvisoryStore
from scanning.scanner import Scanner
from tests.parts.presence import needs
from tests.scanning.conftest import Laboratory
from tests.scanning.images import (
    KEY,
    STATUS,
    changed,
    debian,
    dpkg,
    jar,
    layout_of,
    pom,
    recompressed,
    shop,
    tar_with,
    wheel,
    zstandard_,
)

pytestmark = needs("trivy")


def running_below(folder: Path) -> list[str]:
    """Processes that name the folder in their command."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


async def test_a_report_says_what_was_found_in_which_layer_by_which_instruction(laboratory: Laboratory) -> None:
    report = await laboratory.scan(shop())
    facts = report.facts
    assert (facts.platform, facts.os_name, facts.os_version, facts.user) == ("linux/amd64", "debian", "12", "10001")
    assert [layer.instruction for layer in facts.layers] == [
        "ADD rootfs.tar.xz /",
        "RUN pip install django jinja2",
        "COPY app /app",
        "RUN apt-get upgrade",
        "RUN pip install -U django",
    ]
    present = {(one.name, one.version) for one in report.components if one.state is ComponentState.PRESENT}
    assert present == {
        ("bash", "1:5.2.15-2+b2"),
        ("libssl3", "3.0.15-1"),
        ("libc6", "2.36-9"),
        ("Django", "3.2.25"),
        ("Jinja2", "2.10"),
        ("lodash", "4.17.15"),
    }
    jinja = [found for found in report.vulnerabilities if found.component == "Jinja2"]
    assert {"CVE-2019-10906", "CVE-2020-28493"} <= {found.id for found in jinja}
    assert {found.instruction for found in jinja} == {"RUN pip install django jinja2"}
    assert {found.layer for found in jinja} == {facts.layers[1].diff_id}
    assert all(found.fixed_version for found in jinja)


async def test_what_a_later_layer_deletes_or_mends_still_ships_and_counts(laboratory: Laboratory) -> None:
    report = await laboratory.scan(shop())
    removed = {one.name: one for one in report.components if one.state is ComponentState.REMOVED}
    assert {(one.name, one.version) for one in removed.values()} == {
        ("Django", "3.2.0"),
        ("libssl3", "3.0.9-1"),
        ("perl-base", "5.36.0-7"),
    }
    assert removed["libssl3"].ecosystem == "Debian:12"
    assert (removed["libssl3"].source_name, removed["libssl3"].source_version) == ("openssl", "3.0.9-1")
    assert removed["libssl3"].purl == "pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12"
    assert removed["libssl3"].layer == report.facts.layers[0].diff_id
    assert removed["Django"].purl == "pkg:pypi/django@3.2.0"
    versions = {found.version for found in report.vulnerabilities if found.component == "Django"}
    assert "3.2.0" in versions
    assert any(path.endswith("Django-3.2.0.dist-info") for path, _ in report.facts.layers[3].deleted)


async def test_secrets_are_facts_of_their_layer_also_when_they_were_deleted(laboratory: Laboratory) -> None:
    report = await laboratory.scan(shop())
    (secret,) = report.facts.layers[2].secrets
    assert (secret.rule, secret.path) == ("private-key", "app/key.pem")
    text = report.model_dump_json()
    assert not any(line.decode() in text for line in KEY.splitlines() if b"-----" not in line)


async def test_the_same_image_has_the_same_report_but_for_the_time(laboratory: Laboratory) -> None:
    scanner, layout = laboratory.scanner(), laboratory.layout(shop())
    first = await scanner.scan(layout, "linux/amd64", lambda _: None)
    second = await scanner.scan(layout, "linux/amd64", lambda _: None)
    assert first.model_dump(exclude={"scanner"}) == second.model_dump(exclude={"scanner"})
    order = [(one.ecosystem, one.name, one.version) for one in first.components]
    assert order == sorted(order)
    assert ImageReport.model_validate_json(first.model_dump_json()) == first


async def test_a_report_names_who_looked_when_and_with_what_knowledge(laboratory: Laboratory, tmp_path: Path) -> None:
    report = await laboratory.scan(shop())
    scanner = report.scanner
    assert scanner.name == "wharfinger"
    assert scanner.version == await laboratory.scanner().version()
    assert "trivy 0." in scanner.version
    assert scanner.advisory_snapshot == laboratory.advisories.snapshot()
    assert timedelta() <= datetime.now(UTC) - scanner.at < timedelta(minutes=1)
    ignorant = Laboratory(tmp_path / "other", AdvisoryStore(tmp_path / "empty.sqlite"))
    other = await ignorant.scan(shop())
    assert other.vulnerabilities == ()
    assert other.components == report.components
    assert other.scanner.advisory_snapshot != scanner.advisory_snapshot


async def test_classes_are_those_of_the_policy_and_other_classes_are_another_scanner(laboratory: Laboratory) -> None:
    strict = SeverityClasses(critical=Decimal("0.3"), major=Decimal("0.2"), minor=Decimal("0.1"))
    layout = laboratory.layout(shop())
    report = await laboratory.scanner(severity=strict).scan(layout, "linux/amd64", lambda _: None)
    assert {found.severity for found in report.vulnerabilities if found.score} == {Severity.CRITICAL}
    assert report.scanner.version != await laboratory.scanner().version()


async def test_every_platform_is_scanned_as_itself(laboratory: Laboratory) -> None:
    reports = [
        await laboratory.scan(shop(platform), name=platform.replace("/", "-"))
        for platform in ("linux/amd64", "linux/arm64/v8")
    ]
    assert [report.facts.platform for report in reports] == ["linux/amd64", "linux/arm64/v8"]
    assert reports[0].facts.digest != reports[1].facts.digest
    assert reports[0].vulnerabilities == reports[1].vulnerabilities
    with pytest.raises(MalformedImage, match="is for linux/arm64, not for linux/s390x"):
        await laboratory.scanner().scan(laboratory.folder / "linux-arm64-v8", "linux/s390x", lambda _: None)


async def test_layers_of_every_compression_have_the_same_report(laboratory: Laboratory) -> None:
    gzip_, zstd = laboratory.layout(shop(), "gzip"), laboratory.layout(shop(), "zstd")
    recompressed(zstd, *[zstandard_] * 5)
    scanner = laboratory.scanner()
    one, two = [await scanner.scan(layout, "linux/amd64", lambda _: None) for layout in (gzip_, zstd)]
    assert one.components == two.components
    assert one.vulnerabilities == two.vulnerabilities


async def test_relative_folders_are_those_of_our_own_work_folder(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(laboratory.folder)
    layout_of(shop(), Path("here/layout"))
    scanner = Scanner(laboratory.advisories, SeverityClasses(), ImageLimits(), Path("work"), Path("cache"), 60)
    report = await scanner.scan(Path("here/layout"), "linux/amd64", lambda _: None)
    assert report.components
    assert Path("cache/0").is_dir()
    assert list(Path("work").iterdir()) == []


async def test_an_image_without_anything_known_in_it_has_an_empty_report(laboratory: Laboratory) -> None:
    report = await laboratory.scan(ImageBuilder().layer({"server": b"\x7fELF"}, "COPY server /"))
    assert (report.components, report.vulnerabilities, report.facts.os_name) == ((), (), "")
    assert len(report.facts.layers) == 1


async def test_an_image_without_layers_has_a_report(laboratory: Laboratory) -> None:
    report = await laboratory.scan(ImageBuilder())
    assert (report.facts.layers, report.components) == ((), ())


async def test_the_words_of_its_progress_come_in_order(laboratory: Laboratory) -> None:
    said: list[str] = []
    await laboratory.scan(shop(), said.append)
    assert said[0] == "reading layer 1 of 5"
    assert said[-1] == "matching advisories"


async def test_a_secret_in_the_configuration_has_a_place_too(laboratory: Laboratory) -> None:
    builder = ImageBuilder(env=("AWS_ACCESS_KEY_ID=AKIAQYLPMN5HHHFPZAM2",)).layer(debian())
    report = await laboratory.scan(builder)
    assert [secret.rule for secret in report.facts.layers[-1].secrets] == ["aws-access-key-id"]


@pytest.mark.parametrize("tar", [b"no archive" * 100, tar_with()[:100]])
async def test_what_our_own_pass_says_of_an_image_comes_before_trivys_failure(
    laboratory: Laboratory, tar: bytes
) -> None:
    with pytest.raises(MalformedImage, match="Layer 0 "):
        await laboratory.scan(ImageBuilder().raw_layer(tar))
    assert list(laboratory.work.iterdir()) == []


async def test_a_layer_that_lies_about_its_content_is_refused(laboratory: Laboratory) -> None:
    def lie(manifest: dict[str, Any], config: dict[str, Any]) -> None:
        config["rootfs"]["diff_ids"][1] = config["rootfs"]["diff_ids"][0]

    layout = changed(laboratory.layout(shop()), lie)
    with pytest.raises(MalformedImage, match="does not unpack to"):
        await laboratory.scanner().scan(layout, "linux/amd64", lambda _: None)
    assert list(laboratory.work.iterdir()) == []


async def test_an_image_over_a_limit_is_refused_and_trivy_ended(laboratory: Laboratory) -> None:
    layout = laboratory.layout(shop())
    few_files, few_bytes = laboratory.scanner(files=3), laboratory.scanner(uncompressed_bytes=20_000)
    for scanner in (few_files, few_bytes, laboratory.scanner(layers=2)):
        with pytest.raises(ImageTooLarge):
            await scanner.scan(layout, "linux/amd64", lambda _: None)
    assert running_below(laboratory.folder) == []


async def test_a_scan_that_takes_too_long_is_the_hubs_failure_and_leaves_nothing(laboratory: Laboratory) -> None:
    with pytest.raises(ToolFailed, match=r"did not end within|were not read within"):
        await laboratory.scanner(seconds=0.001).scan(laboratory.layout(shop()), "linux/amd64", lambda _: None)
    assert list(laboratory.work.iterdir()) == []
    assert running_below(laboratory.folder) == []


async def test_java_archives_are_components_too_and_the_inner_ones_with_them(laboratory: Laboratory) -> None:
    inner = jar({"META-INF/maven/org.yaml/snakeyaml/pom.properties": pom("org.yaml", "snakeyaml", "1.26")})
    fat = jar(
        {
            "META-INF/maven/com.example/shop/pom.properties": pom("com.example", "shop", "1.0"),
            "BOOT-INF/lib/snakeyaml-1.26.jar": inner,
        }
    )
    builder = ImageBuilder().layer({"app/old.jar": inner, "app/shop.jar": fat}, "COPY").whiteout(["app/old.jar"])
    report = await laboratory.scan(builder.layer({"app/log.jar": jar({"META-INF/maven/x": b""})}))
    assert [(one.purl, one.ecosystem, one.state, one.path) for one in report.components] == [
        ("pkg:maven/com.example/shop@1.0", "Maven", ComponentState.PRESENT, "app/shop.jar"),
        ("pkg:maven/org.yaml/snakeyaml@1.26", "Maven", ComponentState.PRESENT, "app/shop.jar"),
    ]
    gone = await laboratory.scan(builder.whiteout(["app/shop.jar"]), name="gone")
    assert {one.state for one in gone.components} == {ComponentState.REMOVED}


async def test_the_file_that_told_of_a_package_is_named(laboratory: Laboratory) -> None:
    report = await laboratory.scan(shop())
    paths = {one.name: one.path for one in report.components if one.state is ComponentState.PRESENT}
    assert paths["bash"] == STATUS
    assert paths["lodash"] == "app/node_modules/lodash/package.json"


async def test_a_work_folder_that_vanishes_is_nothing_of_the_publishers(laboratory: Laboratory) -> None:
    layout = laboratory.layout(shop())
    for blob in (layout / "blobs" / "sha256").iterdir():
        if blob.stat().st_size < 400:
            blob.unlink()
    with pytest.raises(ToolFailed, match="no longer in the work folder"):
        await laboratory.scanner().scan(layout, "linux/amd64", lambda _: None)


async def test_a_cancelled_scan_leaves_no_process_and_no_file(laboratory: Laboratory) -> None:
    builder = shop()
    for number in range(30):
        builder.layer({f"data/{number}": bytes([number]) * 2**20})
    layout = laboratory.layout(builder)
    scan = asyncio.create_task(laboratory.scanner().scan(layout, "linux/amd64", lambda _: None))
    deadline = time.monotonic() + 20
    while not running_below(laboratory.folder) and not scan.done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    assert not scan.done()
    scan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scan
    assert list(laboratory.work.iterdir()) == []
    assert running_below(laboratory.folder) == []


async def test_a_new_layer_on_top_finds_the_lower_ones_in_the_cache(laboratory: Laboratory) -> None:
    before = await laboratory.scan(shop(), name="before")
    after = await laboratory.scan(shop().layer(wheel("urllib3", "1.24"), "RUN pip install urllib3"), name="after")
    new = {one.name for one in after.components} - {one.name for one in before.components}
    assert new == {"urllib3"}
    assert [layer.diff_id for layer in after.facts.layers[:5]] == [layer.diff_id for layer in before.facts.layers]


async def test_names_from_strangers_can_be_stored_and_shown(laboratory: Laboratory) -> None:
    strange = {
        STATUS: dpkg("bash 1:5.2.15-2") + b"\nPackage: \x1b[31mred\xff\nStatus: install ok installed\nVersion: 1\n",
        "app/package.json": json.dumps({"name": "a\u0000\ud800b", "version": "\n1"}).encode(),
    }
    report = await laboratory.scan(ImageBuilder().layer({**debian(), **strange}).whiteout(["app"]))
    text = report.model_dump_json()
    assert ImageReport.model_validate_json(text) == report
    assert "\\u0000" not in text
    assert "\x1b" not in text
