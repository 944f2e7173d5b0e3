"""What a test leaves open is that test's matter: it is looked for where it was opened, not in whichever test runs when
Python happens to collect it.
"""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def nothing_leaks() -> Iterator[None]:
    """Sockets, transports and files that a module's tests did not close fail the last of them."""
    yield
    gc.collect()
