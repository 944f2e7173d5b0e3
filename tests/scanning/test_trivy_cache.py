"""Trivy's caches: the one that knows the image is taken, and none is believed that our own pass has not verified."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from models.errors import MalformedImage, ToolFailed
from models.policy import ImageLimits
from registry.building import ImageBuilder
from scanning import trivy
from scanning.components import System
from scanning.image import read_image
from scanning.trivy_cache import Claimed, claimed
from tests.parts.presence import needs
from tests.scanning.conftest import Laboratory
from tests.scanning.images import changed, shop


def used(cache: Path, *layers: str) -> str:
    """The name of the folder that a scan of these layers was given."""
    with claimed(cache, layers) as claim:
        (claim.folder / "fanal.db").write_text("x")
        claim.is_true_of(layers)
        return claim.folder.name


def is_empty(claim: Claimed) -> bool:
    return list(claim.folder.iterdir()) == []


def test_the_folder_that_knows_most_of_the_layers_is_taken_if_it_is_free(tmp_path: Path) -> None:
    with claimed(tmp_path, ["a"]) as first, claimed(tmp_path, ["b", "c"]) as second:
        for claim, layers in ((first, ["a"]), (second, ["b", "c"])):
            (claim.folder / "fanal.db").write_text("x")
            claim.is_true_of(layers)
    assert used(tmp_path, "a", "new") == "0"
    assert used(tmp_path, "a", "b", "c") == "1"
    assert used(tmp_path, "nobody's") == "0"
    with claimed(tmp_path, ["c"]) as taken, claimed(tmp_path, ["c"]) as next_best:
        assert (taken.folder.name, next_best.folder.name) == ("1", "0")


def test_what_a_scan_that_ended_badly_has_left_is_not_believed(tmp_path: Path) -> None:
    used(tmp_path, "a")
    with contextlib.suppress(MalformedImage), claimed(tmp_path, ["a", "b"]) as claim:
        assert not is_empty(claim)
        raise MalformedImage("A lie.")
    with claimed(tmp_path, ["a"]) as claim:
        assert is_empty(claim)


def test_what_is_there_of_before_is_not_believed_either(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "fanal.db").write_text("x")
    with claimed(tmp_path, ["a"]) as claim:
        assert is_empty(claim)


def test_scans_that_are_too_many_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanning.trivy_cache._CACHES", 1)
    with claimed(tmp_path, ["a"]), pytest.raises(ToolFailed, match="1 scans run already"), claimed(tmp_path, ["a"]):
        pass


def lying(laboratory: Laboratory, shop_: Path) -> Path:
    """An image whose config says that its empty layers are those of the shop."""

    def lie(manifest: dict[str, Any], config: dict[str, Any]) -> None:
        config["rootfs"]["diff_ids"] = diff_ids_of(shop_)

    empty = ImageBuilder()
    for number in range(5):
        empty.layer({f"nothing/{number}": b""})
    return changed(laboratory.layout(empty, "lying"), lie)


def diff_ids_of(layout: Path) -> list[str]:
    return [layer.diff_id for layer in read_image(layout, "linux/amd64", ImageLimits()).layers]


@needs("trivy")
async def test_nobody_teaches_the_scanner_that_anothers_layers_are_empty(laboratory: Laboratory) -> None:
    layout = laboratory.layout(shop(), "shop")
    evil = lying(laboratory, layout)
    cache, work = laboratory.folder / "cache", laboratory.work
    work.mkdir()
    with contextlib.suppress(MalformedImage), claimed(cache, diff_ids_of(evil)) as claim:
        # trivy has come to its end before our own pass finds the lie: it believes what it was told from now on
        for image in (evil, layout):
            report = await trivy.examine(image, work=work, cache=claim.folder, seconds=60)
            assert trivy.read_report(report, System()).components == ()
        raise MalformedImage("A lie.")
    with pytest.raises(MalformedImage, match="does not unpack to"):
        await laboratory.scanner().scan(evil, "linux/amd64", lambda _: None)
    found = await laboratory.scanner().scan(layout, "linux/amd64", lambda _: None)
    assert {"bash", "Jinja2", "lodash"} <= {one.name for one in found.components}
    assert found.facts.layers[2].secrets
