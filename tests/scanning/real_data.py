"""Advisories and scores as they are in the world, beside the checkout where there are some: never in the repository."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def real(name: str) -> Path:
    """A file or folder of shared/data (its README tells of them); skips the test where it is not there."""
    __tracebackhide__ = True
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no real data here: {name} of shared/data beside the checkout")
    return path
