"""The form of a link. Links of a manifest are never fetched: a server that follows strangers' links is their tool."""

import ipaddress
import re
from urllib.parse import urlsplit

#: what browsers, mail programs and proxies agree on, characters
_LONGEST = 2_048
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: names that lead nowhere, or into the reader's own network (RFC 6761, RFC 6762, ICANN's .internal)
_PRIVATE = frozenset({"local", "localhost", "internal", "invalid", "test", "localdomain", "home", "lan", "corp"})


def problem_of(url: str) -> str:
    """What is wrong with a public web address, in words; empty when nothing is."""
    if len(url) > _LONGEST:
        return f"is longer than {_LONGEST:,} characters"
    if any(character.isspace() for character in url):
        return "contains white space"
    if not url.isprintable() or "\\" in url:
        return "contains characters that no address has"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        return f"cannot be read: {error}"
    if parts.scheme != "https":
        return "does not begin with https://"
    if "@" in parts.netloc:
        return "contains a user name or password"
    if port == 0 or not host:
        return "names no host"
    try:
        return "" if ipaddress.ip_address(host).is_global else "leads to a private address"
    except ValueError:
        return "" if _is_public(host) else "names no public host"


def _is_public(host: str) -> bool:
    """Two labels at least. A last label of digits is a number to browsers: `https://0x7f.1` is 127.0.0.1."""
    try:
        labels = host.encode("idna").decode("ascii").lower().split(".")
    except UnicodeError:
        return False
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    last = labels[-1]
    return not (last.isdigit() or last.startswith("0x") or last in _PRIVATE)
