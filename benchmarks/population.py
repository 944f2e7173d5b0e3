"""A hub full of published products, as rows: what the watch's tables hold after so many publications.

A product has 300 components: a hundred of its base image's, a hundred of its runtime's, which a few hundred products
share, and a hundred of its own. Rows are written as the databases take them fastest, and not by publishing.
"""

import itertools
import json
import random
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from models.exposures import Unit
from policies.exposures import exposure_key

BASES, RUNTIMES, OF_EACH = 50, 500, 100
#: source packages of Debian and packages of PyPI, and how many versions of each are about
DEBIAN, PYPI = 2_000, 20_000
_DEBIAN_VERSIONS, _PYPI_VERSIONS = 3, 5
DEBIAN_ECOSYSTEM, PYPI_ECOSYSTEM = "Debian:12", "PyPI"
#: packages that are in ten products each, however many products there are
RARE, RARE_HITS = 100, 1_000
#: what every product is exposed to already, so that the table of exposures is no empty one
_EXPOSED = 5
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_AT_ONCE = 50_000

Row = tuple[Any, ...]


@dataclass
class Population:
    """The same number of products is the same hub. Ids of components: first Debian's, then PyPI's, name by name."""

    products: int
    _random: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - the same every time

    def __post_init__(self) -> None:
        self.units = [*_units("deb", DEBIAN, _DEBIAN_VERSIONS), *_units("pypi", PYPI, _PYPI_VERSIONS)]
        self.rare = [Unit(PYPI_ECOSYSTEM, f"rare-{n:03}", "1.0", f"pkg:pypi/rare-{n:03}") for n in range(RARE)]
        self.units += self.rare
        self.shared = [self._pick(self._debian) for _ in range(BASES)]
        self.shared += [self._pick(self._pypi) for _ in range(RUNTIMES)]
        #: numbers of the sets of each product: its base's, its runtime's
        self.choices = [
            (self._random.randrange(BASES), BASES + self._random.randrange(RUNTIMES)) for _ in range(self.products)
        ]

    def _pick(self, one: Any) -> list[int]:
        found: set[int] = set()
        while len(found) < OF_EACH:
            found.add(one())
        return sorted(found)

    def _debian(self) -> int:
        return self._random.randrange(DEBIAN) * _DEBIAN_VERSIONS + self._random.randrange(_DEBIAN_VERSIONS)

    def _pypi(self) -> int:
        """Some packages are in very many products, most are in few."""
        name = int(PYPI * self._random.random() ** 2)
        return DEBIAN * _DEBIAN_VERSIONS + name * _PYPI_VERSIONS + self._random.randrange(_PYPI_VERSIONS)

    def own(self, product: int) -> list[int]:
        """Components of a product's own layer: the same whenever it is asked."""
        self._random = random.Random(f"product {product}")  # noqa: S311
        rare = [len(self.units) - RARE + product % RARE] if product < RARE_HITS else []
        return self._pick(self._pypi)[len(rare) :] + rare

    def components_of(self, product: int) -> list[Unit]:
        base, runtime = self.choices[product]
        return [self.units[place] for place in (*self.shared[base], *self.shared[runtime], *self.own(product))]

    def advisories(self, count: int) -> list[dict[str, Any]]:
        """OSV records of that many packages, drawn as packages come; the newest versions of each are mended."""
        names = {(unit.ecosystem, unit.name): unit for unit in self.units[: -len(self.rare)]}
        drawn = random.Random(7).sample(list(names.values()), count)  # noqa: S311
        return [_record(number, unit) for number, unit in enumerate(drawn)]

    def rare_advisories(self) -> list[dict[str, Any]]:
        """Of packages that RARE_HITS products have, in a hub of any size."""
        return [_record(number, unit) for number, unit in enumerate(self.rare, 10_000)]

    def tables(self) -> Iterator[tuple[str, Sequence[str], Iterable[Row]]]:
        """(table, columns, rows), parents first."""
        numbers = range(self.products)
        yield (
            "publisher",
            ("id", "slug", "name", "status", "revision", "profile", "snapshot", "applied_at", "changed_at"),
            ((f"pub-{n:03}", f"pub-{n:03}", "P", "approved", 1, "", "{}", _NOW, _NOW) for n in range(100)),
        )
        yield (
            "product",
            (
                *("id", "publisher", "slug", "name", "status", "revision", "snapshot", "submission", "release"),
                *("content", "created_at", "changed_at"),
            ),
            (
                (
                    *(_id(n), f"pub-{n % 100:03}", _id(n), _id(n), "published", 1, "{}", f"s-{n}", _release(n)),
                    *("", _NOW, _NOW),
                )
                for n in numbers
            ),
        )
        yield (
            "component",
            ("id", "digest", "ecosystem", "name", "version", "cpe", "package", "package_version"),
            (
                (place, unit.digest, unit.ecosystem, unit.name, unit.version, "", unit.package, "")
                for place, unit in enumerate(self.units, 1)
            ),
        )
        yield from self._shipped(range(self.products))

    def _shipped(self, numbers: range) -> Iterator[tuple[str, Sequence[str], Iterable[Row]]]:
        """What is in the images, which products have them, and what was known against some before."""
        sets = BASES + RUNTIMES
        yield "component_set", ("id", "digest"), ((n, f"{n:064x}") for n in range(1, sets + self.products + 1))
        yield "component_set_member", ("component", "component_set"), sorted(self._members())
        yield (
            "shipped_image",
            ("id", "digest", "platform", "report", "scanner_version", "scanned_at"),
            ((n + 1, f"sha256:{n:064x}", "linux/amd64", "", "1", _NOW) for n in numbers),
        )
        yield (
            "shipped_set",
            ("component_set", "image", "inherited"),
            (
                (number + 1, n + 1, number < BASES)
                for n, choice in enumerate(self.choices)
                for number in (*choice, sets + n)
            ),
        )
        yield (
            "watched_product",
            ("product", "publisher", "release", "watched", "stale", "since"),
            ((_id(n), f"pub-{n % 100:03}", _release(n), True, False, _NOW) for n in numbers),
        )
        yield (
            "watched_image",
            ("image", "product", "tier", "repository"),
            ((n + 1, _id(n), "Free", f"hub/{_id(n)}/free") for n in numbers),
        )
        yield (
            "exposure",
            (
                *("product", "key", "vulnerability", "package", "versions", "severity", "fixed_version", "inherited"),
                *("exploited", "url", "batch", "since", "notified_at", "closed_at"),
            ),
            (row for n in numbers for row in _exposures(n)),
        )

    def _members(self) -> Iterator[Row]:
        for number, members in enumerate(self.shared, 1):
            yield from ((place + 1, number) for place in members)
        for product in range(self.products):
            yield from ((place + 1, BASES + RUNTIMES + product + 1) for place in self.own(product))


def into_sqlite(path: Path, population: Population) -> None:
    """Into an empty, migrated file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for table, columns, rows in population.tables():
            marks = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({_quoted(columns)}) VALUES ({marks})"  # noqa: S608
            for some in _in_parts(rows):
                connection.executemany(statement, [_for_sqlite(row) for row in some])
            connection.commit()
        connection.execute("ANALYZE")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def into_postgresql(url: str, population: Population) -> None:
    """Into an empty, migrated database."""
    with psycopg.connect(url, autocommit=False) as connection, connection.cursor() as cursor:
        # the rows fit: nobody need look up each parent again
        cursor.execute("SET session_replication_role = replica")
        for table, columns, rows in population.tables():
            with cursor.copy(f"COPY {table} ({_quoted(columns)}) FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")


def _units(kind: str, names: int, versions: int) -> Iterator[Unit]:
    ecosystem = DEBIAN_ECOSYSTEM if kind == "deb" else PYPI_ECOSYSTEM
    package = "pkg:deb/debian" if kind == "deb" else "pkg:pypi"
    for number in range(names):
        name = f"{kind}-package-{number:05}"
        for version in range(1, versions + 1):
            said = f"{version}.0-1" if kind == "deb" else f"{version}.0"
            yield Unit(ecosystem, name, said, f"{package}/{name}")


def _record(number: int, unit: Unit) -> dict[str, Any]:
    """Two of three, or three of five versions are affected; a third of the records has no score, as in life."""
    fixed = "2.5-1" if unit.ecosystem == DEBIAN_ECOSYSTEM else "3.5"
    vectors = ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:L", "")
    vector = vectors[number % 3]
    id_ = f"DEBIAN-CVE-2026-{number + 10_000}" if unit.ecosystem == DEBIAN_ECOSYSTEM else f"CVE-2026-{number + 10_000}"
    return {
        "id": id_,
        "modified": "2026-02-01T00:00:00Z",
        "summary": "Something can be done that should not.",
        "affected": [
            {
                "package": {"ecosystem": unit.ecosystem, "name": unit.name},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}],
            }
        ],
        **({"severity": [{"type": "CVSS_V3", "score": vector}]} if vector else {}),
    }


def _exposures(product: int) -> Iterator[Row]:
    for number in range(_EXPOSED):
        vulnerability = f"CVE-2020-{(product + number) % 5_000 + 10_000}"
        package = f"pkg:pypi/older-{product % 997}"
        key = exposure_key(vulnerability, package)
        yield (
            *(_id(product), key, vulnerability, package, "1.0", "minor", "", False, False, "", "older", _NOW),
            *(None, None),
        )


def _id(product: int) -> str:
    return f"product-{product:06}"


def _release(product: int) -> str:
    return f"sha256:{product:064x}"


def _quoted(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _for_sqlite(row: Row) -> Row:
    return tuple(str(value)[:26] if isinstance(value, datetime) else value for value in row)


def _in_parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        yield some


def cyclonedx(population: Population, product: int) -> str:
    """The product's components as trivy reads them."""
    components = []
    for unit in population.components_of(product):
        kind = unit.package.removeprefix("pkg:").partition("/")[0]
        purl = f"{unit.package}@{unit.version}" + ("?arch=amd64&distro=debian-12" if kind == "deb" else "")
        if kind == "deb":
            version = unit.version.partition("-")[0]
            names = {"PkgType": "debian", "SrcName": unit.name, "SrcVersion": version, "SrcRelease": "1"}
        else:
            names = {"PkgType": "python-pkg"}
        components.append(
            {
                "bom-ref": purl,
                "type": "library",
                "name": unit.name,
                "version": unit.version,
                "purl": purl,
                "properties": [{"name": f"aquasecurity:trivy:{name}", "value": said} for name, said in names.items()],
            }
        )
    system = {
        "bom-ref": "os",
        "type": "operating-system",
        "name": "debian",
        "version": "12.5",
        "properties": [
            {"name": "aquasecurity:trivy:Class", "value": "os-pkgs"},
            {"name": "aquasecurity:trivy:Type", "value": "debian"},
        ],
    }
    return json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {"component": {"bom-ref": "root", "type": "container", "name": f"product-{product}"}},
            "components": [system, *components],
            "dependencies": [
                {"ref": "root", "dependsOn": ["os", *(one["bom-ref"] for one in components if "pypi" in one["purl"])]},
                {"ref": "os", "dependsOn": [one["bom-ref"] for one in components if "/debian/" in one["purl"]]},
            ],
        }
    )
