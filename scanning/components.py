"""Components in the words of advisories: ecosystems as OSV names them, versions whole, package URLs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from models.scans import Component, ComponentState
from scanning.identify import Identified, ShippedBinary
from scanning.layers import ShippedPackage

#: trivy's package types -> OSV's ecosystems; a type that is not here has no advisories that we could match
_LANGUAGES = {
    "python-pkg": "PyPI",
    "pip": "PyPI",
    "pipenv": "PyPI",
    "poetry": "PyPI",
    "uv": "PyPI",
    "node-pkg": "npm",
    "npm": "npm",
    "yarn": "npm",
    "pnpm": "npm",
    "bun": "npm",
    "gobinary": "Go",
    "gomod": "Go",
    "jar": "Maven",
    "pom": "Maven",
    "gradle": "Maven",
    "gemspec": "RubyGems",
    "bundler": "RubyGems",
    "rustbinary": "crates.io",
    "cargo": "crates.io",
    "nuget": "NuGet",
    "dotnet-core": "NuGet",
    "packages-props": "NuGet",
    "composer": "Packagist",
    "composer-vendor": "Packagist",
    "hex": "Hex",
    "pub": "Pub",
    "swift": "SwiftURL",
    "cocoapods": "CocoaPods",
    "conan": "ConanCenter",
    "bitnami": "Bitnami",
}
#: os-release ID or trivy's family -> (OSV's name, how many parts of the version it has)
_DISTRIBUTIONS = {
    "debian": ("Debian", 1),
    "ubuntu": ("Ubuntu", 2),
    "alpine": ("Alpine", 2),
    "wolfi": ("Wolfi", 0),
    "chainguard": ("Chainguard", 0),
    "echo": ("Echo", 0),
    "minimos": ("MinimOS", 0),
    "rocky": ("Rocky Linux", 1),
    "alma": ("AlmaLinux", 1),
    "almalinux": ("AlmaLinux", 1),
    "photon": ("Photon OS", 2),
    "mageia": ("Mageia", 1),
    "azurelinux": ("Azure Linux", 1),
    "redhat": ("Red Hat", 0),
    "rhel": ("Red Hat", 0),
}
#: package database -> (type of a package URL, the ecosystem of languages)
_KINDS = {
    "deb": ("deb", ""),
    "apk": ("apk", ""),
    "rpm": ("rpm", ""),
    "pypi": ("pypi", "PyPI"),
    "npm": ("npm", "npm"),
    "maven": ("maven", "Maven"),
    "golang": ("golang", "Go"),
    "cargo": ("cargo", "crates.io"),
}
#: what trivy does not list, so that our own pass does
_OURS = frozenset({"maven"})
#: whose packages are the products themselves; a package of npm that has node in it says nothing of node
_OF_PRODUCTS = frozenset({"Bitnami"})


@dataclass(frozen=True, slots=True)
class System:
    """The distribution of an image: os-release's ID and VERSION_ID, or what trivy made of other files."""

    name: str = ""
    version: str = ""

    @property
    def ecosystem(self) -> str:
        """`Debian:12`, `Alpine:v3.18`; empty where OSV has nothing about it."""
        if self.name not in _DISTRIBUTIONS:
            return ""
        name, parts = _DISTRIBUTIONS[self.name]
        release = ".".join(self.version.split(".")[:parts])
        if not parts or not release[:1].isdigit():
            return name
        return f"{name}:v{release}" if name == "Alpine" else f"{name}:{release}"


def language_ecosystem(kind: str) -> str:
    """Of trivy's type of a result."""
    return _LANGUAGES.get(kind, "")


def system_purl(kind: str, system: System, name: str, version: str, architecture: str) -> str:
    """In trivy's form: the epoch is a qualifier."""
    epoch, colon, rest = version.partition(":")
    qualifiers = {
        "arch": architecture,
        "distro": "-".join(part for part in (system.name, system.version) if part) if kind != "apk" else system.version,
        "epoch": epoch if colon else "",
    }
    said = "&".join(f"{key}={quote(value, safe='.-_~')}" for key, value in qualifiers.items() if value)
    place = f"{kind}/{quote(system.name or 'unknown')}/{quote(name, safe='.-_~')}"
    return f"pkg:{place}@{quote(rest if colon else version, safe='.-_~:')}" + (f"?{said}" if said else "")


def language_purl(kind: str, name: str, version: str) -> str:
    """`pkg:pypi/django@3.2.0`, `pkg:npm/%40scope/name@1.0.0`, `pkg:maven/group/artifact@1.0`."""
    said = name.lower().replace("_", "-") if kind == "pypi" else name.replace(":", "/") if kind == "maven" else name
    return f"pkg:{kind}/{quote(said, safe='/.-_~')}@{quote(version, safe='.-_~:')}"


def component_of(shipped: ShippedPackage, system: System) -> Component:
    """What our own pass found, as a component."""
    package = shipped.package
    kind, language = _KINDS[package.kind]
    return Component(
        purl=language_purl(kind, package.name, package.version)
        if language
        else system_purl(kind, system, package.name, package.version, package.architecture),
        ecosystem=language or system.ecosystem,
        name=package.name,
        version=package.version,
        source_name=package.source_name,
        source_version=package.source_version,
        layer=shipped.layer,
        state=ComponentState.REMOVED if shipped.removed else ComponentState.PRESENT,
        evidence="deleted by a later layer" if shipped.removed else "package metadata",
        path=shipped.path,
    )


def merged(
    present: Iterable[Component],
    shipped: Iterable[ShippedPackage],
    system: System,
    binaries: Iterable[ShippedBinary] = (),
) -> tuple[Component, ...]:
    """What trivy found in the end, and what only our own pass sees; in a fixed order.

    `binaries` are those that no package database names (scanning/layers.py).
    """
    components = dict.fromkeys(present)
    known = {_identity(component): component for component in components}
    for one in shipped:
        component = component_of(one, system)
        found = known.get(_identity(component))
        if found is None:
            if one.removed or one.package.kind in _OURS:
                components[component] = None
        elif found in components and not found.path:
            # trivy does not say which file told of a distribution's package
            del components[found]
            components[found.model_copy(update={"path": one.path})] = None
    named = {(one.name.lower(), one.version) for one in components if one.ecosystem in _OF_PRODUCTS}
    strangers = (one for one in binaries if (one.identified.product, one.identified.version) not in named)
    components.update(dict.fromkeys(_identified(strangers)))
    return tuple(sorted(components, key=_order))


def _identified(binaries: Iterable[ShippedBinary]) -> Iterator[Component]:
    """One component for all files of a layer that are, or have inside, the same product and version."""
    same: dict[tuple[str, str, str, bool], list[Identified]] = defaultdict(list)
    for one in binaries:
        same[one.identified.product, one.identified.version, one.layer, one.removed].append(one.identified)
    for (product, version, layer, removed), found in same.items():
        first = min(found, key=lambda one: (-one.confidence, one.path))
        yield Component(
            purl=language_purl("generic", product, version),
            ecosystem="",
            name=product,
            version=version,
            layer=layer,
            state=ComponentState.REMOVED if removed else ComponentState.PRESENT,
            evidence=f"binary signature: {first.evidence}" + (f" ({len(found)} files)" if len(found) > 1 else ""),
            confidence=first.confidence,
            cpe=first.cpe,
            path=first.path,
        )


def _identity(component: Component) -> tuple[str, str, str]:
    return component.ecosystem, component.name.lower(), component.version


def _order(component: Component) -> tuple[str, ...]:
    return (component.ecosystem, component.name, component.version, component.state, component.layer, component.path)
