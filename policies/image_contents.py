"""Best practices for images, from the components that a scan found in them (CIS Docker Benchmark, section 4)."""

import re
from collections.abc import Iterable

from models.findings import Level
from policies.image_practices import IMAGE, ImageContext
from policies.rules import Evidence

#: with the rules of this page: whoever runs them imports the area from here
__all__ = ["IMAGE", "ImageContext"]

#: packages of a distribution that build or debug software: nothing that runs in production asks for them
_TOOLS = re.compile(
    r"build-essential|build-base|dpkg-dev|(gcc|g\+\+|cpp|clang|llvm)(-[0-9]+(\.[0-9]+)?)?|make|cmake|autoconf|automake|libtool|ninja-build|"
    r"bison|flex|gdb|strace|ltrace|tcpdump|nmap|telnet|netcat|netcat-openbsd|netcat-traditional|"
    r"(lib.+|musl|glibc|linux-libc|linux|python3(\.[0-9]+)?|perl|ruby|zlib1g|openssl)-(dev|devel|headers)"
)
#: ecosystems of distributions' packages; a library of a language with such a name is another thing
_SYSTEMS = ("Debian", "Ubuntu", "Alpine", "Wolfi", "Rocky Linux", "AlmaLinux", "Red Hat", "Photon OS", "Mageia")
#: names that one finding says
_MOST_NAMES = 8


@IMAGE.rule(
    "unneeded",
    Level.GUIDELINE,
    "Tools that build or debug software are in the image",
    why="What the product does not use still has to be kept up to date, and helps whoever breaks in (CIS 4.3).",
    remedy="Build in stages and copy only the result; install without recommended packages.",
)
def _unneeded(context: ImageContext) -> Iterable[Evidence]:
    names = sorted(
        {
            component.name
            for component in context.components
            if component.ecosystem.partition(":")[0] in _SYSTEMS and _TOOLS.fullmatch(component.name)
        }
    )
    if names:
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        yield Evidence(f"{', '.join(names[:_MOST_NAMES])}{more}.", subject="tools")
