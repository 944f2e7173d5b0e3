"""The scanner: one image in, one report out. Our own pass over the layers runs beside trivy, then all is matched.

>>> scanner = Scanner(AdvisoryStore(path), SeverityClasses(), ImageLimits(), work, cache, seconds=600)
>>> report = await scanner.scan(layout, "linux/amd64", print)
"""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from models.errors import ToolFailed
from models.images import ImageFacts, LayerFacts, SecretFact
from models.policy import ImageLimits, SeverityClasses
from models.scans import Component, ImageReport, Vulnerability
from models.scans import Scanner as ScannerName
from scanning import trivy, trivy_cache
from scanning.advisories import AdvisoryStore
from scanning.analyses import Analyses
from scanning.blobs import Budget
from scanning.components import System, merged
from scanning.image import Image, facts_of, read_image
from scanning.layers import LayersSeen, pass_over
from scanning.signature_files import signatures

NAME = "wharfinger"
#: of our own pass: another number makes another scanner, and images are scanned again
OWN_VERSION = "2"

Says = Callable[[str], None]


class Scanner:
    """Safe for several scans at a time. `seconds` bound each half of it; `work` is scratch space.

    `cache` keeps what was learned of layers, by trivy and by our own pass.
    """

    def __init__(
        self,
        advisories: AdvisoryStore,
        severity: SeverityClasses,
        limits: ImageLimits,
        work: Path,
        cache: Path,
        seconds: float,
    ) -> None:
        self._advisories = advisories
        self._severity = severity
        self._limits = limits
        # trivy works in a folder of its own, where a relative path would lead elsewhere
        self._work, self._cache, self._seconds = work.absolute(), cache.absolute(), seconds
        self._analyses = Analyses(self._cache / "layers", _knowledge())

    async def version(self) -> str:
        """All that can change a report of the same image and advisories. Errors: ToolFailed."""
        classes = self._severity
        return (
            f"{_knowledge()}, trivy {await trivy.version()}, classes {classes.critical}/{classes.major}/{classes.minor}"
        )

    async def scan(self, layout: Path, platform: str, says: Says) -> ImageReport:
        """The image of a layout folder with one manifest. Nothing is left behind, whatever happens.

        Errors: MalformedImage, ImageTooLarge for what the publisher has to mend; ToolFailed for what we have to.
        """
        image = await asyncio.to_thread(read_image, layout, platform, self._limits)
        version = await self.version()
        seen, said = await self._look(image, layout, says)
        says("matching advisories")
        return await asyncio.to_thread(self._report, image, seen, said, version)

    async def _look(self, image: Image, layout: Path, says: Says) -> tuple[LayersSeen, trivy.Report]:
        """Both at the same time. What our own pass says of the image is said first: trivy only knows that it failed."""
        self._work.mkdir(parents=True, exist_ok=True)
        layers = [layer.diff_id for layer in image.layers]
        with trivy_cache.claimed(self._cache, layers) as claimed:
            found = await self._both(image, layout, claimed.folder, says)
            claimed.is_true_of(layers)
            return found

    async def _both(self, image: Image, layout: Path, folder: Path, says: Says) -> tuple[LayersSeen, trivy.Report]:
        budget = Budget(self._limits, threading.Event())
        own = asyncio.create_task(asyncio.to_thread(pass_over, image, budget, says, self._analyses))
        theirs = asyncio.create_task(trivy.examine(layout, work=self._work, cache=folder, seconds=self._seconds))
        try:
            async with asyncio.timeout(self._seconds):
                # waited for, not awaited: a cancellation must not leave the thread behind
                await asyncio.wait({own})
            seen = own.result()
            says("waiting for trivy")
            await asyncio.wait({theirs})
            return seen, theirs.result()
        except TimeoutError as slow:
            raise ToolFailed(f"The layers were not read within {self._seconds:,.0f} s.") from slow
        finally:
            budget.stop.set()
            theirs.cancel()
            await asyncio.shield(asyncio.gather(own, theirs, return_exceptions=True))

    def _report(self, image: Image, seen: LayersSeen, said: trivy.Report, version: str) -> ImageReport:
        listing = trivy.read_report(said, _named(seen.os_release))
        system = listing.system
        components = merged(listing.components, seen.packages, system, seen.binaries)
        facts = facts_of(image, _with_secrets(seen.layers, listing.secrets), system.name, system.version)
        snapshot, vulnerabilities = self._match(components, facts)
        return ImageReport(
            scanner=ScannerName(name=NAME, version=version, advisory_snapshot=snapshot, at=datetime.now(UTC)),
            facts=facts,
            components=components,
            vulnerabilities=vulnerabilities,
        )

    def _match(self, components: tuple[Component, ...], facts: ImageFacts) -> tuple[str, tuple[Vulnerability, ...]]:
        """The snapshot is that of the advisories which were matched, also when an import ends meanwhile."""
        while True:
            snapshot = self._advisories.snapshot()
            found = self._advisories.match(_distinct(components), self._severity)
            if self._advisories.snapshot() == snapshot:
                return snapshot, _explained(found, facts)


@cache
def _knowledge() -> str:
    """What our own pass knows: its way of reading, and the signatures of binaries."""
    told = hashlib.sha256(repr(signatures()).encode()).hexdigest()
    return f"{OWN_VERSION}, signatures {told[:12]}"


def _named(os_release: dict[str, str]) -> System:
    return System(os_release.get("ID", "").lower(), os_release.get("VERSION_ID", ""))


def _with_secrets(layers: Iterable[LayerFacts], secrets: dict[str, tuple[SecretFact, ...]]) -> tuple[LayerFacts, ...]:
    left = dict(secrets)
    found = [layer.model_copy(update={"secrets": left.pop(layer.diff_id, ())}) for layer in layers]
    # what trivy found in the image's configuration has no layer
    if found and (others := [secret for facts in left.values() for secret in facts]):
        found[-1] = found[-1].model_copy(update={"secrets": (*found[-1].secrets, *others)})
    return tuple(found)


def _distinct(components: Iterable[Component]) -> list[Component]:
    """A package that lies in several places of a layer is one matter."""
    found: dict[tuple[str, str, str], Component] = {}
    for component in components:
        found.setdefault((component.purl, component.version, component.layer), component)
    return list(found.values())


def _explained(found: Iterable[Vulnerability], facts: ImageFacts) -> tuple[Vulnerability, ...]:
    instructions = {layer.diff_id: layer.instruction for layer in reversed(facts.layers)}
    return tuple(
        one.model_copy(update={"instruction": instructions.get(one.layer, "")}) for one in dict.fromkeys(found)
    )
