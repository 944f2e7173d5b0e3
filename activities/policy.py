"""The policy in force: policy.toml as it stands now, parsed again when the file has changed."""

from dataclasses import dataclass, field
from pathlib import Path

import structlog

from models.errors import InvalidPolicy
from models.policy import HubPolicy
from policies.hub_policy import parse_policy

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class PolicyInForce:
    """An edited file with a mistake in it does not stop the hub: the last good policy stays in force, and ops are told.

    Raises InvalidPolicy only when there is no good one yet, at start.
    """

    path: Path
    _good: HubPolicy | None = field(default=None, init=False)
    _read: tuple[int, int] | None = field(default=None, init=False)

    def current(self) -> HubPolicy:
        stamp = self._stamp()
        if self._good is None or stamp != self._read:
            try:
                self._good = self._parsed()
            except InvalidPolicy as mistake:
                if self._good is None:
                    raise
                log.error("policy.toml is wrong; the last good policy stays in force", mistake=str(mistake))
            self._read = stamp
        return self._good

    def _stamp(self) -> tuple[int, int]:
        """Changes with the file; a file that is gone is a mistake like another."""
        try:
            stat = self.path.stat()
        except OSError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_size)

    def _parsed(self) -> HubPolicy:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidPolicy(f"The policy cannot be read: {error}. See WHARFINGER_POLICY.") from error
        return parse_policy(text)
