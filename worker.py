"""The composition root: settings -> collaborators -> activities -> workers. `python -m worker` runs one process."""

import argparse
import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from activities.alarms import AlarmActivities
from activities.examination import ExaminationActivities, Examiner
from activities.lookout import Lookout
from activities.mail import MailActivities
from activities.mass_changes import MassChangeActivities
from activities.onboarding import OnboardingActivities
from activities.people import PeopleActivities
from activities.policy import PolicyInForce
from activities.publication import HubRegistry, PublicationActivities
from activities.reconciling import ReconcileActivities
from activities.recording import RecordingActivities
from activities.rescanning import RescanActivities
from activities.scanning import ScanActivities
from activities.scratch import scratch
from activities.sources import Sources
from activities.watching import WatchActivities
from desk.handing_over import HandingOver
from desk.hub import connect, open_stores
from desk.logs import set_up_logs
from models.addresses import (
    ADVISORIES_SCHEDULE_ID,
    DIGEST_SCHEDULE_ID,
    MAIL_QUEUE,
    MAILROOM_ID,
    MODERATION_QUEUE,
    QUEUES,
    RECONCILE_SCHEDULE_ID,
    RESCAN_SCHEDULE_ID,
    SCANNING_QUEUE,
    new_id,
)
from models.errors import WharfingerError
from models.policy import Watch
from notifications.delivery import SmtpServer
from registry.access import Access, SourceRules
from registry.fetch import BlobCache
from scanning.advisories import AdvisoryStore
from settings import Settings
from store.blobs import Blobs
from store.database import Database
from store.notices import MailDesk
from store.secrets import Vault
from workflows.advisories import AdvisoryWorkflow, DigestWorkflow
from workflows.mailroom import MailroomWorkflow
from workflows.mass_change import MassChangeWorkflow
from workflows.product import ProductWorkflow
from workflows.publisher import PublisherWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.rescan import RescanWorkflow
from workflows.sandbox import RUNNER
from workflows.scan import ScanWorkflow
from workflows.submission import SubmissionWorkflow

log = structlog.get_logger(__name__)

WORKFLOWS = (
    SubmissionWorkflow,
    ScanWorkflow,
    ProductWorkflow,
    PublisherWorkflow,
    MailroomWorkflow,
    ReconcileWorkflow,
    AdvisoryWorkflow,
    DigestWorkflow,
    MassChangeWorkflow,
    RescanWorkflow,
)

#: the default is to abandon what runs at once; shorter than an orchestrator's kill
GRACE = timedelta(seconds=30)
#: of workflows kept in memory: about 100 KB each
CACHED_WORKFLOWS = 1_000
RECONCILE_EVERY = timedelta(minutes=15)
#: a withdrawn submission's scan, or a recalled publication, hears of it by the answer to its next heartbeat
HEARD_WITHIN = timedelta(seconds=10)


def _version() -> str:
    """What ops see on every task, of which program did it. Without it the SDK hashes every module, at every start."""
    try:
        return metadata.version("wharfinger")
    except metadata.PackageNotFoundError:
        return "checkout"


VERSION = _version()


class Collaborators:
    """Everything that activities are made of; tests replace single activities, never what is in here."""

    def __init__(
        self, settings: Settings, client: Client, database: Database, blobs: Blobs, vault: Vault, work: Path
    ) -> None:
        """`work` is a folder of this worker's own, for images on their way to the scanner."""
        policy = PolicyInForce(settings.policy_place)
        limits = policy.current().limits
        rules = SourceRules(
            plain_http_hosts=settings.plain_http_hosts,
            allow_private_hosts=settings.allow_private_hosts,
            source_folders=settings.source_folders,
            limits=limits,
            work_folder=work,
        )
        sources = Sources(database, vault, rules, policy)
        examiner = Examiner(database, blobs, policy)
        advisories = AdvisoryStore(settings.advisories_place)
        self.people = PeopleActivities(database, policy)
        self.recording = RecordingActivities(database, blobs)
        self.onboarding = OnboardingActivities(database, blobs, sources, policy, examiner)
        self.examination = ExaminationActivities(examiner)
        self.scanning = ScanActivities(
            database=database,
            blobs=blobs,
            sources=sources,
            policy=policy,
            advisories=advisories,
            work=work,
            cache=BlobCache(settings.home / "blob-cache"),
            scanner_cache=settings.scanner_cache,
            scan_seconds=settings.scan_seconds,
        )
        lookout = Lookout(database, blobs, advisories, policy)
        hub = hub_registry(settings, rules)
        self.publication = PublicationActivities(database, blobs, sources, hub, lookout)
        self.watching = WatchActivities(client, lookout)
        self.rescanning = RescanActivities(lookout, hub, self.scanning.images)
        self.mail = MailActivities(
            database, policy, smtp_server(settings), mail_desk(settings), settings.sender_address
        )
        self.alarms = AlarmActivities(database)
        self.mass_changes = MassChangeActivities(database, policy)
        self.reconciling = ReconcileActivities(client, database, blobs, HandingOver(client, policy))

    def moderation(self) -> list[Any]:
        """Light activities, beside the workflows."""
        return [
            self.people.standing_of,
            self.people.may_submit,
            self.recording.record_submission,
            self.recording.record_product,
            self.recording.record_application,
            self.onboarding.onboard,
            self.examination.examine,
            self.scanning.images_to_scan,
            self.reconciling.reconcile,
            self.reconciling.archive,
            self.mass_changes.watch_terms,
            self.mass_changes.record_mass_change,
            self.alarms.advisories_unread,
        ]

    def heavy(self) -> list[Any]:
        """What moves images: on a queue of its own, so that a scan never holds up a decision."""
        return [
            self.scanning.scan_image,
            self.publication.publish,
            self.publication.apply_listing,
            self.watching.sync_advisories,
            self.watching.rematch,
            self.watching.tell_products,
            self.watching.dismiss_batch,
            self.watching.digest_notices,
            self.rescanning.rescan_plan,
            self.rescanning.rescan_image,
        ]


def hub_registry(settings: Settings, rules: SourceRules) -> HubRegistry:
    access = None
    if settings.hub_registry_username:
        access = Access(settings.hub_registry_username, settings.hub_registry_password.get_secret_value())
    return HubRegistry.at(settings.hub_registry_place, rules, access)


def smtp_server(settings: Settings) -> SmtpServer:
    smtp = settings.smtp
    return SmtpServer(
        host=smtp.host,
        port=smtp.port,
        tls=smtp.tls,
        username=smtp.username,
        password=smtp.password.get_secret_value(),
        timeout_seconds=smtp.timeout_seconds,
        ca_file=smtp.ca_file,
    )


def mail_desk(settings: Settings) -> MailDesk:
    return MailDesk(hub=settings.hub_name, base_url=settings.base_url, mail_domain=settings.mail_domain)


def workers(
    client: Client, settings: Settings, collaborators: Collaborators, queues: Sequence[str] = QUEUES
) -> list[Worker]:
    """One worker per queue; they share the process and the collaborators."""
    made: list[Worker] = []
    if MODERATION_QUEUE in queues:
        made.append(
            Worker(
                client,
                task_queue=MODERATION_QUEUE,
                workflows=WORKFLOWS,
                activities=collaborators.moderation(),
                workflow_runner=RUNNER,
                build_id=VERSION,
                max_cached_workflows=CACHED_WORKFLOWS,
                graceful_shutdown_timeout=GRACE,
            )
        )
    if SCANNING_QUEUE in queues:
        made.append(
            Worker(
                client,
                task_queue=SCANNING_QUEUE,
                activities=collaborators.heavy(),
                build_id=VERSION,
                max_concurrent_activities=settings.scans_at_once,
                max_heartbeat_throttle_interval=HEARD_WITHIN,
                graceful_shutdown_timeout=GRACE,
            )
        )
    if MAIL_QUEUE in queues:
        made.append(
            Worker(
                client,
                task_queue=MAIL_QUEUE,
                activities=[collaborators.mail.drain],
                build_id=VERSION,
                max_concurrent_activities=1,
                graceful_shutdown_timeout=GRACE,
            )
        )
    return made


async def start_standing_processes(client: Client, watch: Watch) -> None:
    """The mailroom and the schedules: one each per hub, however many workers start them. `watch` is of the policy."""
    await client.start_workflow(
        MailroomWorkflow.run,
        id=MAILROOM_ID,
        task_queue=MODERATION_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary="Drains the outbox",
    )
    for id_, story, spec in (
        (RECONCILE_SCHEDULE_ID, ReconcileWorkflow, _every(RECONCILE_EVERY)),
        (ADVISORIES_SCHEDULE_ID, AdvisoryWorkflow, _every(timedelta(minutes=watch.sync_minutes))),
        (DIGEST_SCHEDULE_ID, DigestWorkflow, _daily(watch.digest_hour)),
        (RESCAN_SCHEDULE_ID, RescanWorkflow, _daily(watch.rescan_hour)),
    ):
        await _schedule(client, id_, story, spec)


def _every(interval: timedelta) -> ScheduleSpec:
    return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)])


def _daily(hour: int) -> ScheduleSpec:
    """At a full hour, UTC."""
    return ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=(ScheduleRange(hour),))])


async def _schedule(client: Client, id_: str, story: type, spec: ScheduleSpec) -> None:
    """Made, or what an older version or another policy has made becomes this one; a pause of the operators stays."""
    action = ScheduleActionStartWorkflow(story.__name__, id=id_, task_queue=MODERATION_QUEUE)
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP)
    try:
        await client.create_schedule(id_, Schedule(action=action, spec=spec, policy=policy))
    except ScheduleAlreadyRunningError:

        def brought_up(known: ScheduleUpdateInput) -> ScheduleUpdate:
            state = known.description.schedule.state
            return ScheduleUpdate(schedule=Schedule(action=action, spec=spec, policy=policy, state=state))

        await client.get_schedule_handle(id_).update(brought_up)


@asynccontextmanager
async def running(settings: Settings, queues: Sequence[str] = QUEUES) -> AsyncIterator[Client]:
    """Workers for the queues, polling; they finish what they can when the block ends."""
    # histories name the worker in every other event: four letters and not thirty are a kilobyte of each submission's
    name = new_id()[:4]
    client = await connect(settings.temporal, identity=name)
    log.info("this worker in histories", name=name, pid=os.getpid(), version=VERSION)
    with scratch(settings.work_folder) as work:
        async with open_stores(settings) as (database, blobs, vault), AsyncExitStack() as stack:
            await database.migrate()
            collaborators = Collaborators(settings, client, database, blobs, vault, work)
            for worker in workers(client, settings, collaborators, queues):
                await stack.enter_async_context(worker)
            yield client


def settle_memory() -> None:
    """What a worker has loaded stays for good: the collector need not look through it again with every thousand objects
    that a submission makes. A tenth of a worker's time went there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def _serve(settings: Settings, queues: Sequence[str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, queues) as client:
        await start_standing_processes(client, PolicyInForce(settings.policy_place).current().watch)
        settle_memory()
        log.info("worker ready", queues=list(queues), pid=os.getpid())
        await stop.wait()
        log.info("worker ends: finishing what runs", seconds=GRACE.total_seconds())


def main(arguments: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """One worker process until SIGTERM; its status. Without settings it reads those of the environment."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Runs Wharfinger's workflows and activities.")
    parser.add_argument("--queues", default=",".join(QUEUES), help=f"comma-separated, of: {', '.join(QUEUES)}")
    queues = parser.parse_args(arguments).queues.split(",")
    if unknown := set(queues) - set(QUEUES):
        parser.error(f"no such queue: {', '.join(sorted(unknown))}")
    settings = settings or Settings()
    set_up_logs(settings.log_format, settings.log_level)
    try:
        asyncio.run(_serve(settings, queues))
    except WharfingerError as error:
        sys.stderr.write(f"worker: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
