"""What the demo has to have shown: each proof is asked of a real server or of stored bytes, never of the story."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message as Mail
from pathlib import Path

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from cli.demo import content
from cli.demo.images import PLATFORMS, TIERS
from desk.hub import Hub
from models.images import ReleaseSet
from models.notices import NoticeKind as N
from models.reports import Comparison, IterationReport
from models.scans import ImageReport
from models.tables import NoticeStatus
from store import listings, outbox
from store.views import IterationView, SubmissionView
from worker import WORKFLOWS

#: iteration 1 has at least this many CVEs, in at least this many layers
LEAST_CVES, LEAST_LAYERS = 10, 2
_SKOPEO_SECONDS = 120

_ADA, _MO = content.APPLICANT, content.MODERATOR
#: every notice of the journey: kind and reader, once each
EXPECTED_NOTICES = Counter(
    {
        (N.CONFIRM_EMAIL, _ADA): 1,
        (N.APPLICATION_RECEIVED, _ADA): 1,
        (N.APPLICATION_TO_REVIEW, _MO): 1,
        (N.APPLICATION_APPROVED, _ADA): 1,
        (N.SUBMISSION_RECEIVED, _ADA): 2,
        (N.READY_FOR_REVIEW, _MO): 2,
        (N.IN_REVIEW, _ADA): 2,
        (N.CHANGES_REQUESTED, _ADA): 1,
        (N.APPROVED, _ADA): 1,
        (N.PUBLISHED, _ADA): 1,
    }
)


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that has to hold. `detail` says what was seen, or what is wrong."""

    title: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the proofs look."""

    hub: Hub
    view: SubmissionView
    mailbox: Path

    async def proofs(self) -> list[Proof]:
        """All of them, each tried, however many fail."""
        return [await self._tried(title, look) for title, look in self._looks()]

    def _looks(self) -> Iterator[tuple[str, Callable[[], Awaitable[str]]]]:
        yield "skopeo reads exactly the approved digests from the hub", self._registry
        yield "the first iteration's vulnerabilities are found by layer", self._first_scan
        yield "the second iteration lacks what was mended", self._second_scan
        yield "the stored reports name scanner and advisory snapshot", self._scanner
        yield "the second review shows what changed", self._difference
        yield "the mailbox holds every expected notice, each once", self._mails
        yield "the catalog shows two tiers and two platforms", self._catalog
        yield "every history replays", self._replay

    async def _tried(self, title: str, look: Callable[[], Awaitable[str]]) -> Proof:
        try:
            return Proof(title, True, await look())
        except Refuted as wrong:
            return Proof(title, False, str(wrong))

    # --- registry ---------------------------------------------------------------------------------------------------

    async def _registry(self) -> str:
        if shutil.which("skopeo") is None:
            raise Refuted("skopeo is not installed: scripts/apt.sh demo")
        release = await self.hub.blobs.get_message(ReleaseSet, self.view.release)
        async with self.hub.database.session() as session:
            listing = await listings.get(session, self.view.publisher_slug, self.view.product_slug)
        references = {(image["tier"], image["reference"].rpartition(":")[2]): image for image in listing.images}
        read = 0
        for tier in release.tiers:
            for tag in tier.tags:
                place = references[tier.tier, tag.tag]["reference"]
                approved = {"": tag.digest} | {image.platform: image.digest for image in tag.platforms}
                for platform, digest in approved.items():
                    found = await asyncio.to_thread(_digest_by_skopeo, place, platform)
                    _require(found == digest, f"{place} {platform} is {found}, approved was {digest}")
                    read += 1
        _require(read == len(TIERS) * (1 + len(PLATFORMS)), f"only {read} references were published")
        return f"{read} references: {len(TIERS)} indexes, {len(TIERS) * len(PLATFORMS)} images"

    # --- scans ------------------------------------------------------------------------------------------------------

    async def _first_scan(self) -> str:
        cves, layers = await self._found(self._iteration(1))
        _require(len(cves) >= LEAST_CVES, f"only {len(cves)} CVEs, at least {LEAST_CVES} were expected")
        _require(len(layers) >= LEAST_LAYERS, f"only in {len(layers)} layers, at least {LEAST_LAYERS} were expected")
        return f"{len(cves)} CVEs in {len(layers)} layers"

    async def _second_scan(self) -> str:
        before, _ = await self._found(self._iteration(1))
        after, _ = await self._found(self._iteration(2))
        _require(not before & after, f"still there: {', '.join(sorted(before & after)[:5])}")
        return f"{len(before)} mended, {len(after)} left"

    async def _found(self, iteration: IterationView) -> tuple[set[str], set[str]]:
        """CVEs, and the layers that bring them."""
        found = [vulnerability for report in await self._reports(iteration) for vulnerability in report.vulnerabilities]
        cves = {vulnerability.id for vulnerability in found if vulnerability.id.startswith("CVE-")}
        return cves, {vulnerability.layer for vulnerability in found} - {""}

    async def _reports(self, iteration: IterationView) -> list[ImageReport]:
        reports = [await self.hub.blobs.get_message(ImageReport, digest) for digest in iteration.image_reports]
        _require(
            len(reports) == len(TIERS) * len(PLATFORMS),
            f"{len(reports)} images were scanned, not one for each tier and platform",
        )
        return reports

    async def _scanner(self) -> str:
        scanners = {
            report.scanner.model_copy(update={"at": self.view.submitted_at})
            for iteration in self.view.iterations
            for report in await self._reports(iteration)
        }
        for scanner in scanners:
            _require(bool(scanner.name and scanner.version), "a report does not name its scanner")
            _require(scanner.advisory_snapshot.startswith("sha256:"), "a report does not name its advisories")
        named = {f"{scanner.name} {scanner.version}" for scanner in scanners}
        return f"{', '.join(sorted(named))}; advisories {', '.join({s.advisory_snapshot[:19] for s in scanners})}"

    async def _difference(self) -> str:
        second = self._iteration(2)
        _require(bool(second.difference), "no difference is stored")
        comparison = await self.hub.blobs.get_message(Comparison, second.difference)
        if comparison.previous is None:
            raise Refuted("it is not compared with the first iteration")
        _require(comparison.previous.iteration == 1, f"it is compared with iteration {comparison.previous.iteration}")
        _require(comparison.approved is None, "something was approved before, it says")
        difference = comparison.previous.differences
        _require(not difference.empty, "the stored difference is empty")
        report = await self.hub.blobs.get_message(IterationReport, second.report)
        return (
            f"{len(difference.mended_vulnerabilities)} vulnerabilities and {len(difference.mended_findings)} findings "
            f"mended, {len(difference.components)} components changed; verdict now: {report.verdict}"
        )

    def _iteration(self, number: int) -> IterationView:
        found = next((iteration for iteration in self.view.iterations if iteration.number == number), None)
        if found is None:
            raise Refuted(f"iteration {number} is not stored")
        return found

    # --- mails ------------------------------------------------------------------------------------------------------

    async def _mails(self) -> str:
        async with self.hub.database.session() as session:
            log = (await outbox.deliveries(session, size=500)).items
        unsent = [line for line in log if line.status is not NoticeStatus.SENT]
        _require(not unsent, f"not sent: {', '.join(f'{line.kind} ({line.last_error})' for line in unsent)}")
        queued = Counter((N(line.kind), line.address) for line in log)
        _require(queued == EXPECTED_NOTICES, _differ(queued))
        arrived = Counter(str(mail["Message-ID"]).strip() for mail in await asyncio.to_thread(_mails_in, self.mailbox))
        lost = [line.kind for line in log if arrived[line.message_id] != 1]
        _require(not lost, f"not in the mailbox exactly once: {', '.join(lost)}")
        return f"{len(log)} notices of {len({line.kind for line in log})} kinds"

    async def _catalog(self) -> str:
        async with self.hub.database.session() as session:
            listing = await listings.get(session, self.view.publisher_slug, self.view.product_slug)
        tiers = {tier["name"] for tier in listing.manifest["tiers"]}
        platforms = {platform for image in listing.images for platform in image["platforms"]}
        _require(tiers == set(TIERS), f"tiers: {', '.join(sorted(tiers))}")
        _require(platforms == set(PLATFORMS), f"platforms: {', '.join(sorted(platforms))}")
        _require("source" not in json.dumps(listing.manifest), "the catalog shows a source")
        return f"{', '.join(sorted(tiers))} for {', '.join(sorted(platforms))}"

    async def _replay(self) -> str:
        replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
        replayed = 0
        async for execution in self.hub.client.list_workflows():
            history = await self.hub.client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
            result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
            _require(result.replay_failure is None, f"{execution.id}: {result.replay_failure}")
            replayed += 1
        _require(replayed >= 5, f"only {replayed} histories were found")
        return f"{replayed} histories"


class Refuted(Exception):
    """A proof that does not hold; the message is what was seen instead."""


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refuted(otherwise)


def _differ(queued: Counter[tuple[N, str]]) -> str:
    missing, unexpected = EXPECTED_NOTICES - queued, queued - EXPECTED_NOTICES
    said = [f"missing: {kind} to {to}" for kind, to in missing] + [
        f"unexpected: {kind} to {to}" for kind, to in unexpected
    ]
    return "; ".join(said)


def _digest_by_skopeo(reference: str, platform: str) -> str:
    """Of the manifest that skopeo gets: the tag's own, or the one that somebody on this platform pulls."""
    place = reference if reference.startswith("oci:") else f"docker://{reference}"
    tls = [] if place.startswith("oci:") else ["--tls-verify=false"]
    if not platform:
        return "sha256:" + hashlib.sha256(_skopeo("inspect", "--raw", *tls, place)).hexdigest()
    architecture = platform.split("/")[1]
    with tempfile.TemporaryDirectory(prefix="wharfinger-demo-") as pulled:
        source_tls = ["--src-tls-verify=false"] if tls else []
        _skopeo("--override-arch", architecture, "copy", "--quiet", *source_tls, place, f"oci:{pulled}:pulled")
        index = json.loads((Path(pulled) / "index.json").read_bytes())
        return str(index["manifests"][0]["digest"])


def _skopeo(*arguments: str) -> bytes:
    done = subprocess.run(
        ["skopeo", *arguments], capture_output=True, check=False, timeout=_SKOPEO_SECONDS, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise Refuted(f"skopeo {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout


def _mails_in(mailbox: Path) -> list[Mail]:
    """As the mail server has written them: one file each, in the folders of a maildir."""
    files = [path for folder in ("new", "cur") for path in sorted((mailbox / folder).glob("*")) if path.is_file()]
    return [message_from_bytes(path.read_bytes()) for path in files]
