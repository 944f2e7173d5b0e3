"""VEX in CycloneDX: `vulnerabilities` with an `analysis`. A reference leads to a product, or to a package in one."""

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from models.base import digest_of
from models.errors import Problem
from models.vex import VexDocument, VexStatement
from policies.vex import purl_of
from scanning.reports import vex_words
from scanning.reports.document import written
from scanning.reports.openvex import instant_of
from scanning.texts import clean

#: components nested deeper than this are nobody's honest work
_DEEPEST = 20


def is_cyclonedx(document: Any) -> bool:
    return isinstance(document, dict) and document.get("bomFormat") == "CycloneDX"


def write(document: VexDocument) -> bytes:
    """A product is a component that contains the packages which statements are about."""
    packages: dict[str, dict[str, None]] = {}
    for statement in document.statements:
        for product in statement.products:
            packages.setdefault(product, {}).update(dict.fromkeys(statement.components))
    said: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": document.version,
        "metadata": {"timestamp": document.at.isoformat(), "authors": [{"name": clean(document.author)}]},
        "components": [_product(product, list(inside)) for product, inside in packages.items()],
        "vulnerabilities": [_vulnerability(place, statement) for place, statement in enumerate(document.statements)],
    }
    said["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest_of(written(said)))}"
    return written(said)


def _product(name: str, packages: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {"type": "container", "bom-ref": name, "name": clean(name)}
    if purl_of(name):
        said["purl"] = name
    if packages:
        said["components"] = [
            {"type": "library", "bom-ref": f"{name}|{package}", "name": _short(package), "purl": package}
            for package in packages
        ]
    return said


def _short(package: str) -> str:
    purl = purl_of(package)
    return clean(purl.name.rpartition("/")[2] if purl else package)


def _vulnerability(place: int, statement: VexStatement) -> dict[str, Any]:
    refs = [
        f"{product}|{package}" if package else product
        for product in statement.products
        for package in statement.components or ("",)
    ]
    said: dict[str, Any] = {
        "bom-ref": f"statement:{place}",
        "id": statement.vulnerability,
        "analysis": vex_words.analysis_of(statement),
        "affects": [{"ref": ref} for ref in dict.fromkeys(refs)],
        "properties": [
            {"name": f"wharfinger:{name}", "value": str(value)} for name, value in vex_words.properties_of(statement)
        ],
    }
    if statement.aliases:
        said["references"] = [{"id": name, "source": {"name": "OSV"}} for name in statement.aliases]
    return said


class _Place(NamedTuple):
    """What a reference leads to: names of the product, and the package's purl where it is one."""

    products: tuple[str, ...]
    package: str = ""


def read(document: dict[str, Any], problems: list[Problem]) -> VexDocument:
    """Vulnerabilities without an analysis say nothing. What cannot be read is added to `problems`."""
    metadata = _dict(document.get("metadata"))
    main = _dict(metadata.get("component"))
    product = tuple(_names(main)) if main else ()
    places: dict[str, _Place] = {}
    if ref := main.get("bom-ref"):
        places[str(ref)] = _Place(product)
    _walk(document.get("components"), product, places, 0)
    _walk(main.get("components"), product, places, 0)
    statements = [
        one
        for place, vulnerability in enumerate(_list(document.get("vulnerabilities")))
        for one in _read(_dict(vulnerability), f"vulnerabilities[{place}]", places, product, problems)
    ]
    authors = [str(_dict(author).get("name") or "") for author in _list(metadata.get("authors"))]
    at = instant_of(metadata.get("timestamp")) or instant_of("1970-01-01")
    assert at is not None  # noqa: S101 - the epoch is an instant
    return VexDocument(
        id=str(document.get("serialNumber") or ""),
        author=", ".join(filter(None, authors)),
        at=at,
        statements=tuple(
            one.model_copy(update={"at": one.at or at, "author": ", ".join(filter(None, authors))})
            for one in statements
        ),
    )


def _walk(components: Any, product: tuple[str, ...], places: dict[str, _Place], depth: int) -> None:
    if depth > _DEEPEST:
        return
    for component in map(_dict, _list(components)):
        names = tuple(_names(component))
        inside = names or product
        ref = str(component.get("bom-ref") or component.get("purl") or "")
        if ref:
            # a package without a purl is none that we know: it is not to stand for all of its product
            package = str(component.get("purl") or f"component {component.get('name')}")
            places.setdefault(ref, _Place(names) if names else _Place(product, package))
        _walk(component.get("components"), inside, places, depth + 1)


def _names(component: dict[str, Any]) -> Iterator[str]:
    """What an image is called; nothing of what is no image, whose name would match nothing."""
    purl = str(component.get("purl") or "")
    parsed = purl_of(purl)
    if component.get("type") != "container" and (parsed is None or parsed.type not in ("oci", "docker")):
        return
    name, version = str(component.get("name") or ""), str(component.get("version") or "")
    hashes = [str(_dict(one).get("content")) for one in _list(component.get("hashes"))]
    said = [purl, name, version, f"{name}:{version}" if version else "", *(f"sha256:{digest}" for digest in hashes)]
    yield from dict.fromkeys(one for one in said if one)


def _read(
    said: dict[str, Any], where: str, places: dict[str, _Place], product: tuple[str, ...], problems: list[Problem]
) -> Iterator[VexStatement]:
    analysis = _dict(said.get("analysis"))
    if not analysis:
        return
    name = str(said.get("id") or "")
    if not name:
        problems.append(Problem(f"{where}.id", "the vulnerability has no id."))
        return
    state = vex_words.state_of(str(analysis.get("state") or ""))
    if state is None:
        problems.append(Problem(f"{where}.analysis.state", "is no state that CycloneDX knows."))
        return
    properties = {str(one.get("name")): str(one.get("value")) for one in map(_dict, _list(said.get("properties")))}
    common = VexStatement(
        vulnerability=name,
        aliases=tuple(str(_dict(one).get("id")) for one in _list(said.get("references")) if _dict(one).get("id")),
        state=state,
        justification=vex_words.justification_of(str(analysis.get("justification") or ""), properties),
        words=str(analysis.get("detail") or ""),
        at=instant_of(analysis.get("lastUpdated")) or instant_of(analysis.get("firstIssued")),
        expires=instant_of(properties.get(f"wharfinger:{vex_words.EXPIRES}", "")),
    )
    refs = [str(_dict(one).get("ref") or "") for one in _list(said.get("affects"))]
    if not refs:
        yield common.model_copy(update={"products": product})
    for ref in refs:
        place = places.get(ref) or places.get(unquote(ref.rpartition("#")[2]))
        if place is None:
            # a document apart from its SBOM: a reference that is a purl says by itself what it is about
            bare = unquote(ref.rpartition("#")[2])
            if purl_of(bare) is None:
                problems.append(Problem(f"{where}.affects", f"{ref[:200]} is no component of this document."))
                continue
            place = _Place(product, bare)
        if place.package or place.products:
            yield common.model_copy(
                update={"products": place.products, "components": (place.package,) if place.package else ()}
            )


def _dict(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {}


def _list(said: Any) -> list[Any]:
    return said if isinstance(said, list) else []
