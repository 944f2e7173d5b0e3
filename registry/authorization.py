"""Who we are to a registry: its challenge (Basic or Bearer), answered and remembered for a while."""

import base64
import re
import time

import httpx

from models.errors import ToolFailed, Unauthorized
from registry.access import Access
from registry.transport import persistently

_CHALLENGE = re.compile(r'([a-zA-Z_]+)="([^"]*)"')
#: a token is taken to last this long when the registry does not say, seconds (specification's default)
_LASTS = 60


class Authorization:
    """One registry's. Tokens are kept per scope until shortly before they end."""

    def __init__(self, client: httpx.AsyncClient, host: str, access: Access | None) -> None:
        self._client, self._host, self._access = client, host, access
        self._tokens: dict[str, tuple[str, float]] = {}
        self._basic = False

    def header(self, scope: str) -> dict[str, str]:
        """What to send by itself: nothing before the registry has asked."""
        if self._basic:
            return {"Authorization": self._basic_value()}
        token, until = self._tokens.get(scope, ("", 0.0))
        return {"Authorization": f"Bearer {token}"} if token and time.monotonic() < until else {}

    async def answer(self, response: httpx.Response, scope: str) -> None:
        """Answer a 401. Errors: Unauthorized when the credentials do not help."""
        challenge = response.headers.get("WWW-Authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._access and not self._basic:
            self._basic = True
        elif scheme.lower() == "bearer":
            await self._fetch_token(dict(_CHALLENGE.findall(rest)), scope)
        else:
            raise self.refused()

    async def _fetch_token(self, challenge: dict[str, str], scope: str) -> None:
        realm = challenge.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise ToolFailed(f"{self._host} asks for a token but does not say where to get it.")
        query = {"service": challenge["service"]} if "service" in challenge else {}
        headers = {"Authorization": self._basic_value()} if self._access else {}
        response = await persistently(
            lambda: self._client.get(realm, params={**query, "scope": scope}, headers=headers), "asking for a token"
        )
        if response.status_code in (400, 401, 403, 404):
            raise self.refused()
        try:
            said = response.json()
            token = said.get("token") or said["access_token"]
            lasts = int(said.get("expires_in") or _LASTS)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ToolFailed(f"{self._host}'s token server answered with something else than a token.") from error
        self._tokens[scope] = (str(token), time.monotonic() + max(lasts - 10, 5))

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
