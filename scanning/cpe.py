"""CPE 2.3 names (NISTIR 7695), as NVD writes them for products."""

import re
from dataclasses import dataclass

#: ecosystem of what NVD says of a product (`vendor:product`), beside those of OSV
CPE = "CPE"

_PREFIX = "cpe:2.3:"
#: characters of the longest name that is read
_LONGEST = 1000
_COLON = re.compile(r"(?<!\\):")
_ESCAPED = re.compile(r"\\(.)")
#: fields of a name: part, vendor, product, version, update, edition, language, sw_edition, target_sw, target_hw, other
_FIELDS = 11

#: products that have borne several names, the one of today first: whatever name a record has, it is about the product.
#: The store keeps the names of today: with a change here exports._READER counts on, so that all is read again.
_SAME = (
    ("f5:nginx", "nginx:nginx", "igor_sysoev:nginx", "f5:nginx_open_source"),
    ("redis:redis", "redislabs:redis", "pivotal_software:redis"),
    ("python:python", "python_software_foundation:cpython", "python_software_foundation:python"),
    ("git-scm:git", "git:git", "git_project:git", "gitscm:git"),
    ("oracle:mysql", "mysql:mysql", "oracle:mysql_server", "sun:mysql"),
    ("oracle:openjdk", "sun:openjdk", "openjdk:openjdk"),
    ("oracle:jdk", "sun:jdk"),
    ("oracle:jre", "sun:jre"),
    ("nodejs:node.js", "nodejs:nodejs", "joyent:node.js"),
    ("ruby-lang:ruby", "yukihiro_matsumoto:ruby"),
    ("perl:perl", "larry_wall:perl", "shay:perl"),
    ("openbsd:openssh", "openssh:openssh"),
    ("zlib:zlib", "gnu:zlib"),
    # one release, whose records name the program, the library, or both
    ("haxx:curl", "haxx:libcurl", "curl:curl", "curl:libcurl"),
    ("memcached:memcached", "memcachedb:memcached"),
    ("musl-libc:musl", "etalabs:musl"),
    ("linuxfoundation:valkey", "lfprojects:valkey", "valkey-io:valkey"),
)
_TODAY = {name: names[0] for names in _SAME for name in names}


@dataclass(frozen=True, slots=True)
class Cpe:
    """The fields that matter here; `*` is any, `-` is none, and a sign that was escaped is itself."""

    part: str
    #: `vendor:product` under the name of today, as it is written
    name: str
    version: str
    update: str
    #: names of editions and of what it runs on, where the record says one
    editions: tuple[str, ...]

    @property
    def full_version(self) -> str:
        """With the update behind it: OpenSSH 9.2 with update p1 is 9.2-p1. Empty when the name has no version."""
        if self.version in ("*", "-", ""):
            return ""
        return self.version if self.update in ("*", "-", "") else f"{self.version}-{self.update}"


def parse_cpe(text: str) -> Cpe:
    """What is left out at the end is any. Errors: ValueError for what is no name of version 2.3."""
    if not text.startswith(_PREFIX) or len(text) > _LONGEST or not text.isprintable() or " " in text:
        raise ValueError(f"{text!r:.80} is no CPE 2.3 name")
    fields = _COLON.split(text.removeprefix(_PREFIX).lower())
    if len(fields) > _FIELDS or len(fields) < 3 or not all(fields[:3]):
        raise ValueError(f"{text!r:.80} is no CPE 2.3 name")
    part, vendor, product, version, update, edition, _, sw_edition, target, *_ = fields + ["*"] * (
        _FIELDS - len(fields)
    )
    name = f"{vendor}:{product}"
    return Cpe(
        part=part,
        name=_TODAY.get(name, name),
        version=_ESCAPED.sub(r"\1", version),
        update=_ESCAPED.sub(r"\1", update),
        editions=tuple(said for said in (edition, sw_edition, target) if said not in ("*", "-", "")),
    )


def product_from(name: str) -> tuple[str, str]:
    """(vendor, product) of `vendor:product`."""
    vendor, *product = _COLON.split(name, maxsplit=1)
    return vendor, "".join(product)
