"""Submissions in flight, and the worker killed -9 at five seeded moments: all end, nothing is lost, nothing doubled.

    python -m benchmarks.restart [--submissions 100] [--seed 1]      (--submissions 1000 takes a quarter of an hour)

Everything is the product's own: `python -m worker` is what is killed and started again, Temporal has a SQLite file,
every image is really scanned (trivy and our own pass), mails go to an SMTP server that counts them by Message-ID, and
publications to a docker-registry. Each moment waits until the thing that it is named after is really under way, then a
seeded moment longer; which activities a kill has hit is asked of the server.

A mail may come twice with the same Message-ID where the worker died between the server's 250 and its own commit: such
copies are counted by themselves. Lost or doubled is what should not be: a run that does not end, a mail that never came
or came under two ids, a publication that is missing, stands twice, or has another digest than was approved.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client

from benchmarks.figures import note, show
from benchmarks.house import (
    GLANCE,
    TAG,
    House,
    environment_of,
    open_house,
    registry_server,
    settings_of,
    temporal_server,
    until,
)
from benchmarks.mailcount import MailCount, counting_server
from cli.servers import PythonService, RegistryServer
from desk.folder import SubmissionFolder
from models.images import ReleaseSet
from models.lifecycle import Stage
from models.notices import NoticeKind
from registry.manifests import ACCEPTED
from settings import Smtp

#: what every submission of one iteration mails: once to the publisher or to the moderator
NOTICES = (
    NoticeKind.SUBMISSION_RECEIVED,
    NoticeKind.READY_FOR_REVIEW,
    NoticeKind.IN_REVIEW,
    NoticeKind.APPROVED,
    NoticeKind.PUBLISHED,
)
#: submissions handed in, and decisions taken, at a time
_AT_ONCE = 8
#: the worker's supervisor waits as long before it starts it again
_PAUSE = 0.5
#: a kill comes at most so many seconds after its moment has come
_LATEST = 0.3
#: seconds after the last kill after which something is taken for stuck: a base, and more for each submission
PATIENCE, PATIENCE_EACH = 300.0, 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: after so large a share of all is at least at a stage, once something is seen under way."""

    name: str
    share: float
    of: Callable[["Progress"], int]
    under_way: Callable[["Progress"], bool]


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of submissions by stage, of notices by status, and how many scans have a work folder."""

    stages: Counter[str]
    notices: Counter[str]
    scans: int


def _recorded(now: Progress) -> int:
    return sum(count for stage, count in now.stages.items() if stage != Stage.ONBOARDING)


def _checked(now: Progress) -> int:
    return _recorded(now) - now.stages[Stage.CHECKING]


def _published(now: Progress) -> int:
    return now.stages[Stage.PUBLISHED]


MOMENTS = (
    Moment("records", 0.3, _recorded, lambda now: now.stages[Stage.ONBOARDING] > 0),
    Moment("scans", 0.3, _checked, lambda now: now.scans > 0),
    Moment("mails", 0.6, _checked, lambda now: now.notices["sending"] > 0),
    Moment("publications", 0.2, _published, lambda now: now.stages[Stage.PUBLISHING] > 0),
    Moment("all of it", 0.6, _published, lambda now: now.stages[Stage.PUBLISHING] > 0),
)


@dataclass(slots=True)
class Kill:
    """One kill -9: seconds after the beginning, what it hit, and when the worker was back."""

    name: str
    at: float
    back: float = 0.0
    hit: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Voyage:
    """What is under way, and what the kills have come to."""

    house: House
    worker: PythonService
    work_folder: Path
    count: int
    random: random.Random
    moments: Sequence[Moment] = MOMENTS
    began: float = field(default_factory=time.perf_counter)
    submissions: dict[str, str] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)

    async def run(self, folders: list[SubmissionFolder]) -> None:
        async with asyncio.TaskGroup() as tasks:
            killing = tasks.create_task(self._kill())
            await self._submit(folders)
            note(f"all {self.count} are handed in after {self._now:.0f} s")
            # all are in flight while records, scans and mails are hit: only then decisions are taken
            await until(self._may_decide)
            await self._approve()
            await killing

    @property
    def _now(self) -> float:
        return time.perf_counter() - self.began

    def progress(self) -> Progress:
        stages = dict(self.house.rows("SELECT stage, count(*) FROM submission GROUP BY stage"))
        notices = dict(self.house.rows("SELECT status, count(*) FROM notice GROUP BY status"))
        # each worker has a folder of its own there, in it one for each of its scans, and its lock
        scans = sum(not place.name.startswith(".") for place in self.work_folder.glob("*/*"))
        return Progress(Counter(stages), Counter(notices), scans)

    async def _submit(self, folders: list[SubmissionFolder]) -> None:
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(folder: SubmissionFolder) -> None:
            async with places:
                accepted = await self.house.submit(folder)
                self.submissions[accepted.submission] = folder.manifest.name

        await asyncio.gather(*(one(folder) for folder in folders))

    async def _approve(self) -> None:
        decided: set[str] = set()
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(submission: str, iteration: int, release: str) -> None:
            async with places:
                await self.house.approve(submission, iteration, release)

        async with asyncio.TaskGroup() as tasks:
            while len(decided) < self.count:
                for known in self.house.standing(list(self.submissions)):
                    if known.stage == Stage.READY and known.id not in decided:
                        decided.add(known.id)
                        tasks.create_task(one(known.id, known.iteration, known.release))
                await asyncio.sleep(10 * GLANCE)

    async def _kill(self) -> None:
        for moment in self.moments:
            await until(lambda: self._has_come(moment))  # noqa: B023 - awaited within the round
            await asyncio.sleep(self.random.uniform(0, _LATEST))
            self.worker.kill9()
            kill = Kill(moment.name, self._now)
            self.kills.append(kill)
            kill.hit = await running_activities(self.house.hub.client)
            await asyncio.sleep(_PAUSE)
            await self.worker.start()
            kill.back = self._now
            note(f"{kill.at:.0f} s: killed while {moment.name} ran; hit {_said(kill.hit)}; back at {kill.back:.0f} s")

    async def _has_come(self, moment: Moment) -> bool:
        now = self.progress()
        return moment.of(now) >= moment.share * self.count and moment.under_way(now)

    async def _may_decide(self) -> bool:
        early = [moment.name for moment in self.moments if moment.of is not _published]
        return [kill.name for kill in self.kills if kill.back][: len(early)] == early

    async def all_ended(self) -> bool:
        """Whether every submission is published and every mail has gone out."""
        now = self.progress()
        return _published(now) == self.count and not now.notices["queued"] + now.notices["sending"]


def _said(hit: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in hit.most_common()) or "nothing"


async def running_activities(client: Client) -> Counter[str]:
    """Activities that the server believes to be running, by type."""
    found: Counter[str] = Counter()
    places = asyncio.Semaphore(_AT_ONCE)

    async def look(workflow: str, run: str) -> None:
        async with places:
            told = await client.get_workflow_handle(workflow, run_id=run).describe()
        for pending in told.raw_description.pending_activities:
            if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED:
                found[pending.activity_type.name] += 1

    open_runs = [run async for run in client.list_workflows("ExecutionStatus = 'Running'")]
    await asyncio.gather(*(look(run.id, run.run_id) for run in open_runs))
    return found


# --- what has come of it ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Account:
    """Sentences about what is wrong, and the copies of mails that the window of SMTP allows."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    copies: int = 0
    mails: int = 0
    publications: int = 0


async def account(voyage: Voyage, mails: MailCount, registry: RegistryServer) -> Account:
    """Ask the SMTP server, the registry and the database; none of them is believed about another."""
    found = Account()
    _runs(voyage, found)
    _mails(voyage, mails, found)
    await _publications(voyage, registry, found)
    return found


def _runs(voyage: Voyage, found: Account) -> None:
    for known in voyage.house.standing(list(voyage.submissions)):
        if known.stage != Stage.PUBLISHED:
            found.lost.append(f"submission {known.id} is {known.stage}")
    rows = voyage.house.rows(
        "SELECT subject, event, count(*) FROM event WHERE subject LIKE 'submission/%' GROUP BY 1, 2"
    )
    for subject, event, count in rows:
        if count > 1:
            found.doubled.append(f"{event} of {subject} stands {count} times in the audit trail")


def _mails(voyage: Voyage, mails: MailCount, found: Account) -> None:
    query = "SELECT subject, kind, message_id FROM notice WHERE subject LIKE 'submission/%'"
    sent: Counter[tuple[str, str]] = Counter()
    for subject, kind, message_id in voyage.house.rows(query):
        sent[subject, kind] += 1
        if not mails.arrived[message_id]:
            found.lost.append(f"mail {kind} of {subject} never came")
    for submission in voyage.submissions:
        for kind in NOTICES:
            count = sent[f"submission/{submission}", kind]
            if count != 1:
                wrong = found.doubled if count else found.lost
                wrong.append(f"{count} notices {kind} of submission {submission}")
    # whatever arrived and is no notice's was a mail of its own
    known = {message_id for (message_id,) in voyage.house.rows("SELECT message_id FROM notice")}
    found.doubled += [f"mail {stranger} is no notice's" for stranger in mails.arrived if stranger not in known]
    found.mails = len(mails.arrived)
    found.copies = sum(mails.arrived.values()) - len(mails.arrived)


async def _publications(voyage: Voyage, registry: RegistryServer, found: Account) -> None:
    """By the registry's own catalog: one repository for each product, in it one tag, at the approved digest."""
    rows = voyage.house.rows("SELECT submission, images FROM publication")
    published = Counter(submission for submission, _ in rows)
    expected: dict[str, str] = {}
    for submission, images in rows:
        release = next(known.release for known in voyage.house.standing([submission]))
        pinned = await voyage.house.hub.blobs.get_message(ReleaseSet, release)
        for image in json.loads(images):
            repository = image["reference"].partition("/")[2].rpartition(":")[0]
            expected[repository] = pinned.tiers[0].tags[0].digest
    for submission in voyage.submissions:
        if published[submission] != 1:
            found.lost.append(f"submission {submission} has {published[submission]} publications")
    async with httpx.AsyncClient(base_url=f"{registry.url}/v2/", trust_env=False, timeout=60) as client:
        catalog = await _catalog(client)
        found.doubled += [f"repository {name} is nobody's" for name in catalog if name not in expected]
        for name, digest in expected.items():
            if name not in catalog:
                found.lost.append(f"repository {name} is missing")
                continue
            tags = (await client.get(f"{name}/tags/list")).json()["tags"]
            head = await client.head(f"{name}/manifests/{TAG}", headers={"Accept": ACCEPTED})
            if tags != [TAG]:
                found.doubled.append(f"repository {name} has the tags {tags}")
            if head.headers.get("Docker-Content-Digest") != digest:
                found.lost.append(f"{name}:{TAG} is not {digest}")
    found.publications = len(expected)


async def _catalog(client: httpx.AsyncClient) -> set[str]:
    """Every repository, page by page."""
    found: list[str] = []
    while True:
        last = {"last": found[-1]} if found else {}
        page = (await client.get("_catalog", params={"n": 100, **last})).raise_for_status().json()["repositories"]
        if not page:
            return set(found)
        found += page


async def run(submissions: int, kills: int, seed: int) -> int:
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wharfinger-restart-")))
        place.chmod(0o711)  # trivy runs as nobody where we are root
        mails = await stack.enter_async_context(counting_server())
        temporal = await stack.enter_async_context(temporal_server(place, in_memory=False))
        registry = await stack.enter_async_context(registry_server(place))
        settings = settings_of(place, temporal, registry, Smtp(port=mails.port))
        house = await stack.enter_async_context(open_house(settings, place / "sources"))
        worker = PythonService(
            "worker", place / "worker", "worker", ready=_is_polling, environment=environment_of(settings)
        )
        await stack.enter_async_context(worker)
        await house.settle()
        note(f"{submissions} images are built")
        folders = await asyncio.to_thread(house.prepare, submissions)
        chance = random.Random(seed)  # noqa: S311 - no secret
        voyage = Voyage(house, worker, settings.work_folder, submissions, chance, MOMENTS[:kills])
        await voyage.run(folders)
        patience = PATIENCE + PATIENCE_EACH * submissions
        try:
            async with asyncio.timeout(patience):
                await until(voyage.all_ended)
        except TimeoutError:
            note(f"not all have ended {patience:.0f} s after the last kill")
        seconds = time.perf_counter() - voyage.began
        found = await account(voyage, mails, registry)
    _show(voyage, found, seconds, seed)
    return 1 if found.lost or found.doubled else 0


async def _is_polling(service: PythonService) -> bool:
    return service.has_logged("worker ready")


def _show(voyage: Voyage, found: Account, seconds: float, seed: int) -> None:
    last = voyage.kills[-1].back if voyage.kills else 0.0
    show(
        f"Restart: {voyage.count} submissions, the worker killed -9 {len(voyage.kills)} times (seed {seed})",
        ("killed while these ran", "at, s", "back after, s", "activities hit"),
        [(kill.name, round(kill.at), round(kill.back - kill.at, 1), _said(kill.hit)) for kill in voyage.kills],
        {
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "seconds": round(seconds, 1),
            "seconds_after_last_kill": round(seconds - last, 1),
            "mail_copies": found.copies,
            "submissions": voyage.count,
        },
        (
            f"All ended after {seconds:.0f} s, {seconds - last:.0f} s after the worker was back for the last time.",
            f"{found.mails} mails and {found.publications} publications; lost {len(found.lost)}, doubled "
            f"{len(found.doubled)}; {found.copies} second copies of a mail with the same Message-ID.",
            *found.lost[:10],
            *found.doubled[:10],
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restart", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--submissions", type=int, default=100, help="in flight")
    parser.add_argument("--kills", type=int, default=len(MOMENTS), help=f"only the first ones of {len(MOMENTS)}")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    given = parser.parse_args()
    raise SystemExit(asyncio.run(run(given.submissions, given.kills, given.seed)))


if __name__ == "__main__":
    main()
