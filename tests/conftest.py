"""What every test may rely on: nothing of the user's settings, no log on the screen, and parts that are there."""

import os
import signal

import hypothesis
import pytest
import structlog

from tests.parts.presence import require

# The same examples everywhere, and no limit of time per example: CI and laptops share their cores with others.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    max_examples=60,
    stateful_step_count=30,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("house")

# Started in the background by a script (`nohup make test &`), a process ignores Ctrl-C and the end of its terminal, and
# so do all that it starts: the tests that send these to a program would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

for name in [name for name in os.environ if name.startswith("WHARFINGER_")]:
    del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture starts a server that another part would have been needed for."""
    require(*(part for mark in item.iter_markers("needs") for part in mark.args))


@pytest.fixture(autouse=True, scope="session")
def _quiet_logs() -> None:
    """`structlog.testing.capture_logs` still sees them all."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
