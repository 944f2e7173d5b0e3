"""Who we are to a registry: its challenge (Basic or Bearer), answered and remembered for a while."""

import base64
import ipaddress
import json
import re
import time

import httpx

from models.errors import ImageTooLarge, Unauthorized
from registry.access import Access, SourceFailed
from registry.transport import closing, finish, follow, persistently, read_small

_SCHEME = re.compile(r"\b(basic|bearer)\b", re.IGNORECASE)
_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
_TOKEN = re.compile(r"[\x21-\x7e]+")
#: a token is taken to last this long when the registry does not say, seconds (specification's default)
_LASTS = 60
#: and no longer than this, whatever it says
_LASTS_AT_MOST = 3600
_LONGEST_TOKEN = 2**16
#: second-level names under which strangers are neighbours (co.uk, com.au)
_SHARED = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})


class Authorization:
    """One registry's, at `origin` (scheme and host). Tokens are kept per scope until shortly before they end."""

    def __init__(self, client: httpx.AsyncClient, host: str, origin: httpx.URL, access: Access | None) -> None:
        self._client, self._host, self._origin, self._access = client, host, origin, access
        self._tokens: dict[str, tuple[str, float]] = {}
        self._basic = False

    def header(self, url: httpx.URL, scope: str) -> dict[str, str]:
        """What to send by itself: nothing before the registry has asked, and nothing to another host."""
        if (url.scheme, url.netloc) != (self._origin.scheme, self._origin.netloc):
            return {}
        if self._basic:
            return {"Authorization": self._basic_value()}
        token, until = self._tokens.get(scope, ("", 0.0))
        return {"Authorization": f"Bearer {token}"} if token and time.monotonic() < until else {}

    async def answer(self, response: httpx.Response, scope: str) -> None:
        """Answer a 401. Errors: Unauthorized when the credentials do not help; SourceFailed."""
        asked = challenges(response.headers.get("WWW-Authenticate", ""))
        if "bearer" in asked:
            await self._fetch_token(asked["bearer"], scope)
        elif "basic" in asked and self._access and not self._basic:
            self._basic = True
        else:
            raise self.refused()

    async def _fetch_token(self, challenge: dict[str, str], scope: str) -> None:
        try:
            realm = httpx.URL(challenge.get("realm", ""))
        except httpx.InvalidURL:
            realm = httpx.URL()
        if realm.scheme not in ("https", "http") or not realm.host or realm.userinfo:
            raise SourceFailed(f"{self._host} asks for a token but does not say where to get it.")
        query: dict[str, str | list[str]] = {"scope": scope.split()}
        if "service" in challenge:
            query["service"] = challenge["service"]
        headers = self._for_realm(realm)
        request = self._client.build_request("GET", realm.copy_merge_params(query), headers=headers)
        what = f"Asking {realm.host} for a token"
        response = await persistently(lambda: follow(self._client, request), what)
        if response.status_code in (400, 401, 403, 404):
            await finish(response)
            raise self.refused()
        try:
            async with closing(response):
                said = json.loads(await read_small(response, 2 * _LONGEST_TOKEN, what))
            token = said.get("token") or said["access_token"]
            lasts = int(said.get("expires_in") or _LASTS)
        except (ImageTooLarge, ValueError, KeyError, AttributeError, TypeError, OverflowError, RecursionError) as error:
            raise SourceFailed(f"{self._host}'s token server answered with something else than a token.") from error
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or not _TOKEN.fullmatch(token):
            raise SourceFailed(f"{self._host}'s token server answered with a token that cannot be sent.")
        self._tokens[scope] = (token, time.monotonic() + min(max(lasts - 10, 5), _LASTS_AT_MOST))

    def _for_realm(self, realm: httpx.URL) -> dict[str, str]:
        """The credentials, if the token server is the registry's own: it is the registry that names it, and it may
        have been made to name somebody else's.
        """
        if self._access is None:
            return {}
        if not belong_together(self._origin.host, realm.host):
            raise Unauthorized(
                f"{self._host} wants the credentials sent to {realm.host}, which is not its own: they were not sent."
            )
        return {"Authorization": self._basic_value()}

    def refused(self) -> Unauthorized:
        if self._access:
            return Unauthorized(
                f"{self._host} refused the credentials: check the user name, password and their rights."
            )
        return Unauthorized(f"{self._host} asks for credentials: give a user name and password for this source.")

    def _basic_value(self) -> str:
        assert self._access is not None  # noqa: S101 - callers have looked
        plain = f"{self._access.username}:{self._access.password}"
        return "Basic " + base64.b64encode(plain.encode()).decode()


def challenges(header: str) -> dict[str, dict[str, str]]:
    """Scheme -> parameters. Some registries offer both schemes."""
    found = {}
    # a name inside quotes is no scheme
    marks = [mark for mark in _SCHEME.finditer(header) if header.count('"', 0, mark.start()) % 2 == 0]
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(header)
        said = _PARAMETER.findall(header[mark.end() : end])
        found[mark[1].lower()] = {name.lower(): quoted or plain for name, quoted, plain in said}
    return found


def belong_together(registry: str, realm: str) -> bool:
    """Whether two hosts are one owner's, as registry-1.docker.io and auth.docker.io are."""
    registry, realm = registry.lower().rstrip("."), realm.lower().rstrip(".")
    if registry == realm:
        return True
    if _is_address(registry) or _is_address(realm):
        return False
    above = registry.split(".")[1:]
    shared = len(above) == 2 and above[0] in _SHARED and len(above[1]) == 2
    owner = registry if len(above) < 2 or shared else ".".join(above)
    return realm == owner or realm.endswith("." + owner)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
