"""The form of a link. Links of a manifest are never fetched: a server that follows strangers' links is their tool."""

import ipaddress
from urllib.parse import urlsplit


def problem_of(url: str) -> str:
    """What is wrong with a public web address, in words; empty when nothing is."""
    if any(character.isspace() or ord(character) < 0x20 for character in url):
        return "contains white space"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        return f"cannot be read: {error}"
    if parts.scheme != "https":
        return "does not begin with https://"
    if parts.username or parts.password:
        return "contains a user name or password"
    if port == 0 or not host:
        return "names no host"
    try:
        return "" if ipaddress.ip_address(host).is_global else "leads to a private address"
    except ValueError:
        pass
    if "." not in host.rstrip(".") or host.endswith((".local", ".localhost", ".internal", ".invalid", ".test")):
        return "names no public host"
    return ""
