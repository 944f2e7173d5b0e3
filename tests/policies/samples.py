"""What the policies are asked about: people, submissions in every stage, and content of which nothing is wrong."""

import io
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from models import commands as c
from models import events as e
from models.base import digest_of
from models.content import ContentManifest, Licence, Price, RunsOn, Sla, Support, Tier
from models.images import (
    Healthcheck,
    ImageFacts,
    ImageSource,
    LayerFacts,
    PinnedPlatform,
    PinnedTag,
    PinnedTier,
    ReleaseSet,
)
from models.lifecycle import Outcome, SubmissionState
from models.policy import Deadlines
from models.publishers import PublisherProfile, Role, Standing
from policies import lifecycle
from policies.stages import Change

#: a Monday
MONDAY = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RELEASE = digest_of(b"release")
CONTENT = digest_of(b"content")
POLICY = digest_of(b"policy")
TERMS = Deadlines()

#: id -> roles towards the publisher of the samples
PEOPLE: dict[str, tuple[Role, ...]] = {
    "pat": (Role.PUBLISHER,),
    "rob": (Role.REVIEWER,),
    "mo": (Role.MODERATOR,),
    "mia": (Role.MODERATOR,),
    "sam": (Role.SECOND_APPROVER,),
    "sue": (Role.SECOND_APPROVER,),
    "ada": (Role.ADMIN,),
    "sec": (Role.SECURITY,),
    "olga": (Role.OPS,),
    "cora": (Role.CERTIFIER,),
    "hugo": (Role.SUPPORT,),
    # staff who belong to the publisher
    "dora": (Role.MODERATOR, Role.SECOND_APPROVER, Role.ADMIN, Role.PUBLISHER),
    "nobody": (),
}

_numbers = itertools.count(1)


def standing(person: str, reply_by: datetime | None = None) -> Standing:
    return Standing(roles=PEOPLE[person], reply_by=reply_by)


def new(**fields: Any) -> SubmissionState:
    """A submission that has just been handed in."""
    said: dict[str, Any] = {
        "id": "sub",
        "publisher": "pub",
        "product": "pro",
        "content": CONTENT,
        "number": 1,
        "submitted": MONDAY,
    }
    return SubmissionState(**(said | fields))


def command(kind: type[c.Command], actor: str, **fields: Any) -> c.Command:
    """A command with an id of its own, and a text where nothing else is said."""
    said: dict[str, Any] = {"id": f"command-{next(_numbers)}", "actor": actor, "text": "Because of this."}
    return kind.model_validate(said | fields)


class Story:
    """A submission to which one thing after the other happens, at a time that only this story moves."""

    def __init__(self, state: SubmissionState | None = None, now: datetime = MONDAY) -> None:
        self.state = state or new()
        self.now = now
        self.told: list[str] = []
        self.notices: tuple[str, ...] = ()
        self.waiver = ""

    def later(self, **time: float) -> "Story":
        self.now += timedelta(**time)
        return self

    def says(self, actor: str, kind: type[c.Command], **fields: Any) -> "Story":
        """Errors: NotAllowed, and then nothing has changed."""
        reply_by = self.now + 2 * DAY
        change = lifecycle.tell(self.state, command(kind, actor, **fields), standing(actor, reply_by), self.now)
        return self._take(change)

    def happens(self, event: e.MachineEvent) -> "Story":
        return self._take(lifecycle.happen(self.state, event, self.now))

    def strikes(self) -> "Story":
        """The clock, at the deadline's next moment."""
        assert self.state.deadline is not None
        moment = self.state.deadline.next_moment
        assert moment is not None
        self.now = max(self.now, moment)
        return self.happens(e.ClockStruck())

    def _take(self, change: Change) -> "Story":
        self.state, self.waiver = change.state, change.waiver
        self.notices = tuple(str(kind) for kind in change.notices)
        self.told += self.notices
        return self

    # --- the usual ways ---------------------------------------------------------------------------------------------

    def onboarded(self, release: str = RELEASE, terms: Deadlines = TERMS) -> "Story":
        return self.happens(e.Onboarded(terms=terms, policy=POLICY, release=release))

    def examined(self, *blocking: str, critical: tuple[str, ...] = (), **fields: Any) -> "Story":
        outcome = Outcome(blocking=blocking, critical=critical, requirements=len(blocking), **fields)
        return self.happens(e.Examined(outcome=outcome))


def checking(**fields: Any) -> Story:
    return Story(new(**fields)).onboarded()


def ready(*blocking: str, critical: tuple[str, ...] = (), **fields: Any) -> Story:
    """A moderator is at turn; `blocking` are the open requirements."""
    return checking(**fields).examined(*blocking, critical=critical)


def waiting(*blocking: str, **fields: Any) -> Story:
    """Changes were requested, and the publisher is at turn."""
    return ready(*blocking, **fields).says("mo", c.RequestChanges)


def rejected(**fields: Any) -> Story:
    """By mo, confirmed by sam."""
    return ready(**fields).says("mo", c.Reject).says("sam", c.Confirm)


def expired() -> Story:
    return waiting().strikes().strikes()


def publishing(**fields: Any) -> Story:
    return ready(**fields).says("mo", c.Approve)


def certifying() -> Story:
    return ready(certify=True).says("mo", c.Approve)


# --- content of which nothing is wrong ----------------------------------------------------------------------------


def picture(width: int = 512, height: int = 512, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), "#0b3954").save(content, kind, **options)
    return content.getvalue()


ICON = picture()
SCREENSHOT = picture(1280, 800)
PICTURES = {digest_of(ICON): ICON, digest_of(SCREENSHOT): SCREENSHOT}

PROFILE = PublisherProfile(
    legal_name="Harbour Ledgers",
    website="https://harbour-ledgers.example",
    phone="+49 30 901820",
    email="ada@harbour-ledgers.example",
    icon=digest_of(ICON),
)


def tier(name: str = "Standard", **fields: Any) -> Tier:
    said: dict[str, Any] = {
        "name": name,
        "description": f"Ledger for one harbour, {name} edition.",
        "price": Price(),
        "installation": "docker run -p 8000:8000 ledger:1.0",
        "source": ImageSource(repository=f"registry.example/harbour/{name.lower()}", tags=("1.0",)),
        "sla": Sla(hours="Mon-Fri 09:00-17:00", time_zone="Europe/Berlin", first_response_hours=8),
    }
    return Tier(**(said | fields))


def manifest(**fields: Any) -> ContentManifest:
    said: dict[str, Any] = {
        "name": "Ledger",
        "icon": digest_of(ICON),
        "short_description": "Bookkeeping for small harbours: accounts, dues and a monthly report.",
        "category": "application services",
        "search_tags": ("bookkeeping", "harbour"),
        "long_description": "Ledger keeps the books of a small harbour, berth by berth. " * 4,
        "screenshots": (digest_of(SCREENSHOT),),
        "support": Support(link="https://harbour-ledgers.example/support", email="help@harbour-ledgers.example"),
        "tiers": (tier(),),
        "licences": (Licence(title="MIT", url="https://harbour-ledgers.example/licence"),),
        "platforms": ("linux/amd64", "linux/arm64/v8"),
        "documentation": "https://harbour-ledgers.example/docs",
        "release_notes": "Runs without root.",
        "runs_on": RunsOn.COMMUNITY,
    }
    return ContentManifest(**(said | fields))


def layer(index: int = 0, **fields: Any) -> LayerFacts:
    said: dict[str, Any] = {
        "index": index,
        "digest": digest_of(b"layer %d" % index),
        "diff_id": digest_of(b"diff %d" % index),
        "size": 1_000,
        "uncompressed": 3_000,
        "instruction": "COPY app /srv/app # buildkit",
        "licence_files": ("licenses/LICENSE",),
    }
    return LayerFacts(**(said | fields))


def facts(**fields: Any) -> ImageFacts:
    said: dict[str, Any] = {
        "platform": "linux/amd64",
        "digest": digest_of(b"amd64"),
        "config_digest": digest_of(b"config"),
        "size": 30_000_000,
        "created": MONDAY - 10 * DAY,
        "author": "Harbour Ledgers",
        "user": "10001",
        "cmd": ("python", "-m", "ledger"),
        "env": ("PATH=/usr/bin",),
        "ports": ("8000/tcp",),
        "labels": {
            f"org.opencontainers.image.{name}": "said"
            for name in ("title", "version", "vendor", "licenses", "description")
        },
        "healthcheck": Healthcheck(test=("CMD", "true")),
        "os_name": "alpine",
        "os_version": "3.20",
        "layers": (layer(),),
    }
    return ImageFacts(**(said | fields))


def release_set(*tiers: PinnedTier) -> ReleaseSet:
    """Of one tier with two platforms, where nothing else is said."""
    return ReleaseSet(tiers=tiers or (pinned_tier("Standard"),))


def pinned_tier(name: str, *tags: PinnedTag) -> PinnedTier:
    return PinnedTier(
        tier=name, repository=f"registry.example/harbour/{name.lower()}", tags=tags or (pinned_tag("1.0"),)
    )


def pinned_tag(name: str, **platforms: bytes) -> PinnedTag:
    """`platforms`: architecture -> what its digest is made of."""
    images = platforms or {"amd64": b"amd64", "arm64": b"arm64"}
    return PinnedTag(
        tag=name,
        digest=digest_of(b"index " + b" ".join(images.values())),
        media_type="application/vnd.oci.image.index.v1+json",
        platforms=tuple(
            PinnedPlatform(platform=f"linux/{architecture}", digest=digest_of(content), size=30_000_000)
            for architecture, content in images.items()
        ),
    )
