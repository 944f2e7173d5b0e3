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
        stat = self.path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        if self._good is None or stamp != self._read:
            try:
                self._good = parse_policy(self.path.read_text(encoding="utf-8"))
            except InvalidPolicy as mistake:
                if self._good is None:
                    raise
                log.error("policy.toml is wrong; the last good policy stays in force", mistake=str(mistake))
            self._read = stamp
        return self._good
