"""A hundred advisories over many published products of 300 components each, beside `trivy sbom` over all of them.

    python -m benchmarks.rematch [--products 10000] [--sboms 20]      (in full: --products 100000 --sboms 200)

The batch is what an AdvisoryWorkflow's activity `rematch` does: asks the store what has changed, matches what that
names, finds the products, and writes exposures and what is to be told. The rows of the products are made by
benchmarks.population. The first batch, which looks at every component that there is, is not what is measured: it is the
one after it. Then the same number of products is concerned in smaller hubs and in a larger one: the time goes with the
hits, not with the products. trivy is given the same advisories and SBOMs of some of the products; what it takes for one
is multiplied by the products. Its start alone is most of that, and is told beside it.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.lookout import Lookout
from activities.policy import PolicyInForce
from activities.watching import WatchActivities
from benchmarks import postgresql, trivy_db
from benchmarks.figures import note, show, within
from benchmarks.population import Population, cyclonedx, into_postgresql, into_sqlite
from models.work import AdvisoryBatch
from scanning import trivy
from scanning.advisories import AdvisoryStore
from store.blobs import Blobs
from store.database import Database, migrate
from worker import settle_memory

MOST_SECONDS, LEAST_SPEEDUP = 2.0, 1_000.0

ADVISORIES = 100
_ROUNDS = 3
#: products of the hubs that have the same hits, beside the one that was asked for
_SMALLER = (1_000, 10_000)
_POLICY = Path(__file__).resolve().parents[1] / "policy.toml"


@dataclass(frozen=True, slots=True, order=True)
class Measured:
    """Seconds of one batch, and what it found."""

    seconds: float
    products: int
    hits: int


@dataclass(frozen=True, slots=True)
class Results:
    """`growth` is by the number of products, each with the same hits."""

    population: Population
    sqlite: Measured
    postgresql: Measured
    growth: dict[int, Measured]


@dataclass(frozen=True, slots=True)
class Hub:
    """A database of products, and the watch over it."""

    database: Database
    folder: Path

    async def batch(self, records: Sequence[dict[str, Any]]) -> Measured:
        """The advisories come in, and are matched. What is timed is the second half, by the median of some rounds."""
        await self._forget("")
        watch = self._watch()
        await _rematched(watch)
        export = self.folder / f"{uuid.uuid4().hex}.jsonl"
        export.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        await asyncio.to_thread(watch.lookout.advisories.import_from, export)
        return sorted([await self._round(watch) for _ in range(_ROUNDS)])[_ROUNDS // 2]

    async def _round(self, watch: WatchActivities) -> Measured:
        began = time.perf_counter()
        batch = await _rematched(watch)
        seconds = time.perf_counter() - began
        async with self.database.session() as session:
            counted = text("SELECT count(*), count(DISTINCT product) FROM batch_change WHERE batch = :batch")
            found = await (await session.connection()).execute(counted.bindparams(batch=batch.id))
            hits, products = found.one()
        await self._forget(batch.id)
        return Measured(seconds, products, hits)

    async def _forget(self, batch: str) -> None:
        """As if it had never been matched; of none named, all of them."""
        async with self.database.transaction() as session:
            connection = await session.connection()
            for statement in (
                "DELETE FROM batch_change",
                "DELETE FROM exposure WHERE batch <> 'older'",
                "DELETE FROM component_vulnerability",
                "DELETE FROM batch WHERE :batch IN ('', id)",
            ):
                said = text(statement)
                await connection.execute(said.bindparams(batch=batch) if ":batch" in statement else said)

    def _watch(self) -> WatchActivities:
        """With a store of advisories of its own."""
        store = AdvisoryStore(self.folder / f"{uuid.uuid4().hex}.sqlite")
        lookout = Lookout(self.database, Blobs(self.folder / "blobs"), store, PolicyInForce(_POLICY))
        # matching tells nobody: it needs no server
        return WatchActivities(None, lookout)  # type: ignore[arg-type]


async def _rematched(watch: WatchActivities) -> AdvisoryBatch:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, activity_id=uuid.uuid4().hex)
    batch: AdvisoryBatch = await environment.run(watch.rematch)
    return batch


@asynccontextmanager
async def _sqlite(population: Population, folder: Path) -> AsyncIterator[Hub]:
    path = folder / f"hub-{population.products}.sqlite"
    await migrate(path)
    await asyncio.to_thread(into_sqlite, path, population)
    database = Database(path)
    yield Hub(database, folder)
    await database.close()
    path.unlink()


@asynccontextmanager
async def _postgresql(population: Population, folder: Path) -> AsyncIterator[Hub]:
    with postgresql.cluster() as url:
        await migrate(url)
        await asyncio.to_thread(into_postgresql, url, population)
        database = Database(url)
        yield Hub(database, folder)
        await database.close()


@contextmanager
def _trivy(records: Sequence[dict[str, Any]], folder: Path) -> Iterator[list[str]]:
    """The command, but for the SBOM, with a database of the very advisories."""
    cache = folder / "trivy"
    trivy_db.write(cache, records)
    flags = ("--skip-db-update", "--skip-java-db-update", "--offline-scan", "--skip-version-check")
    yield [trivy.program(), "sbom", "--quiet", *flags, "--disable-telemetry", "--format=json", f"--cache-dir={cache}"]


def _one_by_one(
    population: Population, records: Sequence[dict[str, Any]], count: int, folder: Path
) -> tuple[float, float, int]:
    """Median seconds of `trivy sbom` over a product, those over an empty SBOM, and how many it found in all."""
    sbom, seconds, found = folder / "sbom.json", [], 0
    step = max(population.products // count, 1)
    with _trivy(records, folder) as command:
        for product in range(0, step * count, step):
            sbom.write_text(cyclonedx(population, product))
            took, said = _run([*command, str(sbom)])
            seconds.append(took)
            found += sum(len(result.get("Vulnerabilities") or ()) for result in said.get("Results") or ())
        empty = json.loads(sbom.read_text()) | {"components": [], "dependencies": []}
        sbom.write_text(json.dumps(empty))
        starts = [_run([*command, str(sbom)])[0] for _ in range(5)]
    return statistics.median(seconds), statistics.median(starts), found


def _run(command: Sequence[str]) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True)
    took = time.perf_counter() - began
    said: dict[str, Any] = json.loads(done.stdout)
    return took, said


async def _measured(products: int, folder: Path) -> Results:
    population = Population(products)
    records = population.advisories(ADVISORIES)
    note(f"SQLite: {products:,} products")
    growth: list[Measured] = []
    sizes = [size for size in _SMALLER if size < products]
    for size in sizes:
        smaller = Population(size)
        async with _sqlite(smaller, folder) as hub:
            growth.append(await hub.batch(smaller.rare_advisories()))
    async with _sqlite(population, folder) as hub:
        growth.append(await hub.batch(population.rare_advisories()))
        on_sqlite = await hub.batch(records)
    note(f"PostgreSQL: {products:,} products")
    async with _postgresql(population, folder) as hub:
        on_postgresql = await hub.batch(records)
    return Results(population, on_sqlite, on_postgresql, dict(zip((*sizes, products), growth, strict=True)))


def run(products: int, sboms: int) -> None:
    with TemporaryDirectory(prefix="wharfinger-rematch-") as place:
        folder = Path(place)
        # as in the process that does it
        settle_memory()
        results = asyncio.run(_measured(products, folder))
        note(f"trivy sbom: {sboms} of {products:,} products")
        records = results.population.advisories(ADVISORIES)
        one, start, found = _one_by_one(results.population, records, sboms, folder)
    both = (results.sqlite, results.postgresql)
    slower = max(results.sqlite.seconds, results.postgresql.seconds)
    speedup = one * products / slower
    rows = [
        ("products", f"{products:,}", f"{products:,}", f"{products:,} x {one:.3f} s"),
        ("seconds", *(within(side.seconds, MOST_SECONDS) for side in both), one * products),
        ("products concerned", f"{results.sqlite.products:,}", f"{results.postgresql.products:,}", ""),
        ("hits", f"{results.sqlite.hits:,}", f"{results.postgresql.hits:,}", f"{found} in {sboms} of them"),
        ("times as fast", *(one * products / side.seconds for side in both), 1),
    ]
    remarks = [
        f"trivy: median of {sboms} real runs; its start alone (an SBOM without components) is {start:.3f} s of that.",
        *(
            f"{size:,} products, {measured.hits:,} hits: {measured.seconds:.3f} s (SQLite)"
            for size, measured in results.growth.items()
        ),
    ]
    figures = {
        "seconds_sqlite": results.sqlite.seconds,
        "seconds_postgres": results.postgresql.seconds,
        "speedup": speedup,
        "hits": results.sqlite.hits,
        "trivy_seconds_each": one,
        **{f"seconds_of_1000_hits_in_{size}": measured.seconds for size, measured in results.growth.items()},
    }
    show(f"{ADVISORIES} advisories, matched again", ("", "SQLite", "PostgreSQL", "trivy sbom"), rows, figures, remarks)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rematch", description=__doc__)
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--sboms", type=int, default=20, help="real runs of trivy")
    arguments = parser.parse_args()
    run(arguments.products, arguments.sboms)


if __name__ == "__main__":
    main()
