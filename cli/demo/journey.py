"""The demo's main job: one submission from a publisher's application to the catalog, on real servers.

Every step is what a person does at the command line or in the browser; the hub's processes do the rest by themselves.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx

from cli.demo import content
from cli.demo.images import CARELESS, MENDED, Recipe, build
from cli.demo.screen import Screen
from cli.demo.source import SourceRegistry
from desk import publishers, submissions
from desk.folder import read_folder
from desk.hub import Hub
from models.addresses import new_id
from models.commands import Approve, ApprovePublisher, Command, RequestChanges
from models.errors import InvalidManifest, ToolFailed
from models.lifecycle import CLOSED_STAGES, Stage
from models.publishers import ApplicationStatus, Role
from notifications.mailbox import read_mailbox
from scanning.advisories import AdvisoryStore
from scanning.demo import DEMO_ADVISORIES
from store import outbox, people
from store import publishers as publisher_rows
from store import submissions as rows
from store.views import SubmissionView

A = TypeVar("A")

#: seconds until something that should have happened by itself is taken for stuck
PATIENCE = 300.0
_GLANCE = 0.2
_CONFIRM_LINK = re.compile(r"https?://\S+/confirm/\S+")
_REVIEW = (
    "The service runs as root, a password is in its environment, and its packages have known vulnerabilities that "
    "newer releases mend. Please rebuild it on the present releases, as a user, and resubmit."
)


@dataclass(slots=True)
class Journey:
    """What the story needs, and what came of it."""

    hub: Hub
    screen: Screen
    source: SourceRegistry
    mailbox: Path
    folder: Path
    publisher: str = ""
    submission: str = ""
    #: ids of the people by their addresses
    people: dict[str, str] = field(default_factory=dict)

    async def run(self) -> SubmissionView:
        """From the application to the catalog; returns the published submission."""
        await self._prepare()
        await self._become_a_publisher()
        await self._submit_carelessly()
        await self._ask_for_changes()
        await self._resubmit_mended()
        return await self._approve()

    async def _prepare(self) -> None:
        self.screen.act("The hub prepares")
        store = AdvisoryStore(self.hub.settings.advisories_place)
        self.screen.typed("advisories import scanning/data/demo.osv.jsonl")
        async with self.screen.step("real advisories of a few packages are imported"):
            imported = await asyncio.to_thread(store.import_from, DEMO_ADVISORIES)
        self.screen.note(f"{imported.total} advisories, snapshot {await asyncio.to_thread(store.snapshot)}")
        for email, name, roles in (
            (content.MODERATOR, "Mo", (Role.MODERATOR, Role.OPS)),
            (content.SECOND, "Sam", (Role.SECOND_APPROVER,)),
        ):
            self.screen.typed(f"staff add {email} {' '.join(roles)}")
            async with self.hub.database.transaction() as session:
                person = await people.find_or_create(session, email, name)
                await people.confirm_email(session, person.id, datetime.now(UTC))
                for role in roles:
                    await people.grant(session, person.id, role, datetime.now(UTC))
                self.people[email] = person.id

    # --- the publisher is verified once -----------------------------------------------------------------------------

    async def _become_a_publisher(self) -> None:
        self.screen.act("A publisher applies, and a moderator verifies it")
        picture = content.icon()
        profile = content.profile(picture)
        self.screen.typed(f"publisher apply --name '{profile.legal_name}' --email {profile.email} --icon icon.png ...")
        async with self.screen.step("the application is accepted"):
            applied = await publishers.apply(self.hub, profile, picture, "Ada")
        self.publisher, self.people[content.APPLICANT] = applied.publisher, applied.applicant
        async with self.screen.step("the link in the mail is opened, and its button pressed"):
            await self._confirm_address()
        self.screen.typed(f"publisher verify {applied.slug} approve --as {content.MODERATOR}")
        async with self.screen.step("the moderator verifies the publisher"):
            command = ApprovePublisher(id=f"approve-{new_id()}", actor=self.people[content.MODERATOR])
            await publishers.decide(self.hub, self.publisher, command)
            await self._until(self._is_verified, "the publisher is verified")

    async def _confirm_address(self) -> None:
        """A link never decides: opening it shows a page, the page's button confirms."""
        link = await self._until(self._confirmation_link, "the mail with the link arrives")
        async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
            (await browser.get(link)).raise_for_status()
            (await browser.post(link)).raise_for_status()
        await self._until(self._is_confirmed, "the address is confirmed")

    async def _confirmation_link(self) -> str | None:
        for mail in await asyncio.to_thread(read_mailbox, self.mailbox):
            if found := _CONFIRM_LINK.search(mail.text):
                return found[0]
        return None

    async def _is_confirmed(self) -> bool:
        return await self._application() is ApplicationStatus.SUBMITTED

    async def _is_verified(self) -> bool:
        return await self._application() is ApplicationStatus.APPROVED

    async def _application(self) -> ApplicationStatus:
        async with self.hub.database.session() as session:
            return (await publisher_rows.get(session, self.publisher)).status

    # --- the first iteration ----------------------------------------------------------------------------------------

    async def _submit_carelessly(self) -> None:
        self.screen.act("The publisher submits a product in a hurry")
        await self._publish_source(CARELESS)
        await self._be_refused()
        folder = self._write(CARELESS)
        self.screen.typed(f"submit {folder.name} --as {content.APPLICANT}")
        async with self.screen.step("the submission is accepted and durable"):
            read = read_folder(folder, self.hub.policy.current().manifest)
            accepted = await submissions.submit(self.hub, content.APPLICANT, self.publisher, read)
        self.submission = accepted.submission
        await self._checked(1)

    async def _be_refused(self) -> None:
        """What cannot be accepted is refused at once, with every reason."""
        folder = content.write_folder(
            self.folder / "ledger-refused", self.source.repositories(), "latest", mended=False
        )
        self.screen.typed(f"submit {folder.name} --as {content.APPLICANT}")
        try:
            read = read_folder(folder, self.hub.policy.current().manifest)
            await submissions.submit(self.hub, content.APPLICANT, self.publisher, read)
        except InvalidManifest as refusal:
            self.screen.note("refused at once: " + "; ".join(problem.message for problem in refusal.problems))
            return
        raise ToolFailed("A submission of the tag latest was accepted: that is a mistake of the hub.")

    async def _publish_source(self, recipe: Recipe) -> None:
        layout = self.folder / f"images-{recipe.tag}"
        async with self.screen.step(f"images of release {recipe.tag} are built from real packages of PyPI"):
            await build(recipe, layout)
        async with self.screen.step(f"they are pushed to the publisher's own {self.source.kind}"):
            await self.source.push(layout, recipe.tag)

    def _write(self, recipe: Recipe) -> Path:
        folder = self.folder / f"ledger-{recipe.tag}"
        return content.write_folder(folder, self.source.repositories(), recipe.tag, mended=recipe.mended)

    async def _checked(self, iteration: int) -> None:
        async with self.screen.step(f"iteration {iteration}: sources pinned, images scanned, all rules checked"):
            await self._until(lambda: self._has_come_to(Stage.READY, iteration), "all checks are done")
        view = await self._view()
        outcome = view.iterations[-1].outcome
        self.screen.note(
            f"{outcome.vulnerabilities} vulnerabilities, {outcome.requirements} requirements, "
            f"{outcome.guidelines} guidelines; {len(outcome.blocking)} hold it up"
        )

    async def _ask_for_changes(self) -> None:
        self.screen.act("A moderator reviews everything in one pass")
        self.screen.typed(f"decide {self.submission} request-changes --as {content.MODERATOR} --text '...'")
        async with self.screen.step("changes are requested; the publisher gets one complete review by mail"):
            await self._decide(RequestChanges, _REVIEW)
            await self._until(lambda: self._has_come_to(Stage.WAITING, 1), "the publisher is at turn")
            await self._until(self._all_mailed, "every mail has gone out")

    # --- the second iteration ---------------------------------------------------------------------------------------

    async def _resubmit_mended(self) -> None:
        self.screen.act("The publisher mends the image and resubmits")
        await self._publish_source(MENDED)
        folder = self._write(MENDED)
        self.screen.typed(f"resubmit {self.submission} {folder.name} --as {content.APPLICANT}")
        async with self.screen.step("the mended content starts the second iteration"):
            read = read_folder(folder, self.hub.policy.current().manifest)
            await submissions.resubmit(self.hub, self.submission, content.APPLICANT, read, text="All mended.")
        await self._checked(2)

    async def _approve(self) -> SubmissionView:
        self.screen.act("The second review shows what changed, and approves")
        view = await self._view()
        for line in view.iterations[-1].changes[:8]:
            self.screen.note(line)
        if len(view.iterations[-1].changes) > 8:
            self.screen.note(f"... and {len(view.iterations[-1].changes) - 8} more lines")
        self.screen.typed(f"decide {self.submission} approve --as {content.MODERATOR}")
        async with self.screen.step("approved: copied by digest into the hub's registry, and in the catalog"):
            await self._decide(Approve, "")
            await self._until(lambda: self._has_come_to(Stage.PUBLISHED, 2), "it is published")
            await self._until(self._all_mailed, "every mail has gone out")
        return await self._view()

    # --- asking the hub -----------------------------------------------------------------------------------------------

    async def _decide(self, kind: type[Command], text: str) -> None:
        view = await self._view()
        command = kind(
            id=f"{kind.act}-{new_id()}",
            actor=self.people[content.MODERATOR],
            iteration=view.iteration,
            release=view.release,
            text=text,
        )
        await submissions.decide(self.hub, self.submission, command)

    async def _view(self) -> SubmissionView:
        async with self.hub.database.session() as session:
            return await rows.find(session, self.submission)

    async def _has_come_to(self, stage: Stage, iteration: int) -> bool:
        view = await self._view()
        if (view.stage, view.iteration) == (stage, iteration):
            return True
        # the record follows the process: until it has caught up, the iteration before is shown
        refused = view.stage is Stage.WAITING and stage is Stage.READY and view.iteration == iteration
        if view.stage in CLOSED_STAGES or refused:
            evidence = "; ".join(f.evidence for f in view.iterations[-1].findings[:3]) if view.iterations else ""
            raise ToolFailed(f"The submission is {view.status}, which the demo did not expect. {evidence}")
        return False

    async def _all_mailed(self) -> bool:
        async with self.hub.database.session() as session:
            return not await outbox.waiting(session)

    async def _until(self, look: Callable[[], Awaitable[A | None]], what: str) -> A:
        """Look again until the answer is something. Errors: ToolFailed."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if answer := await look():
                return answer
            await asyncio.sleep(_GLANCE)
        raise ToolFailed(
            f"The demo waited {PATIENCE:.0f} s in vain until {what}: see the logs below {self.folder.parent}."
        )
