"""What manifest, config and history say of an image, read with suspicion."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.errors import ImageTooLarge, MalformedImage
from models.images import Healthcheck, ImageFacts
from models.policy import ImageLimits
from registry.building import ImageBuilder
from scanning.image import facts_of, read_image
from tests.scanning.images import changed, layout_of

LIMITS = ImageLimits()


def facts(layout: Path, platform: str = "linux/amd64") -> ImageFacts:
    return facts_of(read_image(layout, platform, LIMITS), (), "debian", "12")


def with_config(folder: Path, **fields: Any) -> Path:
    """An image of two layers whose config is changed by hand."""

    def change(_: dict[str, Any], config: dict[str, Any]) -> None:
        config.update(fields)

    return changed(layout_of(ImageBuilder().layer({"a": b"1"}, "ADD a").layer({"b": b"2"}, "ADD b"), folder), change)


def instructions(layout: Path) -> tuple[list[str], tuple[str, ...]]:
    image = read_image(layout, "linux/amd64", LIMITS)
    return [layer.instruction for layer in image.layers], image.empty_instructions


def test_the_configs_fields_are_the_facts_of_the_rules(tmp_path: Path) -> None:
    builder = ImageBuilder(
        "linux/arm64/v8",
        env=("PATH=/bin", "PASSWORD=x"),
        user="app:app",
        entrypoint=("/bin/server",),
        cmd=("--port", "80"),
        working_dir="/srv",
        labels={"org.opencontainers.image.title": "Server"},
        ports=("80/tcp", "22/tcp"),
        volumes=("/data",),
        healthcheck={"Test": ["CMD", "true"], "Interval": 30_000_000_000, "Timeout": 1_500_000_000, "Retries": 3},
        author="Nobody",
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    ).layer({"a": b"1"}, "ADD a")
    layout = layout_of(builder, tmp_path / "layout")
    found = facts(layout, "linux/arm64/v8")
    assert found.model_copy(update={"digest": "", "config_digest": "", "size": 0}) == ImageFacts(
        platform="linux/arm64/v8",
        digest="",
        config_digest="",
        size=0,
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        author="Nobody",
        user="app:app",
        working_dir="/srv",
        entrypoint=("/bin/server",),
        cmd=("--port", "80"),
        env=("PATH=/bin", "PASSWORD=x"),
        ports=("22/tcp", "80/tcp"),
        volumes=("/data",),
        labels={"org.opencontainers.image.title": "Server"},
        healthcheck=Healthcheck(test=("CMD", "true"), interval_seconds=30, timeout_seconds=1.5, retries=3),
        os_name="debian",
        os_version="12",
    )
    assert found.digest == json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    assert found.size == sum(layer.size for layer in read_image(layout, "linux/arm64/v8", LIMITS).layers)


def test_instructions_that_made_no_layer_are_kept_apart(tmp_path: Path) -> None:
    history = [
        {"created_by": "ADD one", "created": "2026-01-01T00:00:00.123456789Z"},
        {"created_by": "ENV A=B", "empty_layer": True},
        {"created_by": "RUN two", "created": "2026-01-01T02:00:00+02:00"},
        {"created_by": "USER app", "empty_layer": True},
    ]
    layout = with_config(tmp_path / "layout", history=history)
    assert instructions(layout) == (["ADD one", "RUN two"], ("ENV A=B", "USER app"))
    made = [layer.created for layer in read_image(layout, "linux/amd64", LIMITS).layers]
    assert made == [datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    "history",
    [
        [{"created_by": "RUN curl | sh"}],
        [{"created_by": "RUN curl | sh"}, {"created_by": "b"}, {"created_by": "c"}],
        [{"created_by": "RUN curl | sh", "empty_layer": True}],
    ],
)
def test_a_history_that_does_not_fit_the_layers_is_still_judged(tmp_path: Path, history: list[Any]) -> None:
    by_layer, others = instructions(with_config(tmp_path / "layout", history=history))
    assert by_layer == ["", ""]
    assert others[0] == "RUN curl | sh"


@pytest.mark.parametrize("history", [None, [], "text", [1, None], {"a": 1}])
def test_an_image_without_a_history_has_layers_without_instructions(tmp_path: Path, history: object) -> None:
    assert instructions(with_config(tmp_path / "layout", history=history)) == (["", ""], ())


@pytest.mark.parametrize(
    "nonsense",
    [
        {"config": None},
        {"config": [1]},
        {"config": {"Env": "A=B", "Cmd": "run it", "Labels": [1], "ExposedPorts": ["80"], "Volumes": 7}},
        {"config": {"Env": [1, None, "\ud800\u0000\x1b"], "Labels": {"\ud800": {}}, "User": 7, "Healthcheck": "x"}},
        {"config": {"Healthcheck": {"Test": 1, "Interval": "x", "Retries": "y"}}},
        {"created": "the day before yesterday", "author": ["x"]},
        {"created": "9999-99-99T00:00:00Z"},
        {"created": "0001-01-01T00:00:00Z"},
    ],
)
def test_a_config_of_nonsense_gives_facts_that_can_be_stored(tmp_path: Path, nonsense: dict[str, Any]) -> None:
    found = facts(with_config(tmp_path / "layout", **nonsense))
    text = found.model_dump_json()
    assert "\\u0000" not in text
    assert ImageFacts.model_validate_json(text) == found
    if "created" in nonsense:
        assert found.created is None


def test_long_texts_are_cut(tmp_path: Path) -> None:
    found = facts(with_config(tmp_path / "layout", author="x" * 100_000, config={"Env": ["y"] * 5_000}))
    assert found.author.endswith("x…")
    assert (len(found.author), len(found.env)) == (4_096, 1_000)


def broken(folder: Path, place: str, **fields: Any) -> Path:
    """An image of one layer, whose manifest or config has other fields."""

    def change(manifest: dict[str, Any], config: dict[str, Any]) -> None:
        {"manifest": manifest, "config": config, "layer": manifest["layers"][0]}[place].update(fields)

    return changed(layout_of(ImageBuilder().layer({"a": b"1"}), folder), change)


@pytest.mark.parametrize(
    ("place", "fields", "said"),
    [
        ("config", {"rootfs": None}, "does not list the layers"),
        ("config", {"rootfs": {"diff_ids": []}}, "does not list the layers"),
        ("config", {"rootfs": {"diff_ids": ["md5:abc"]}}, "without a sha256 digest"),
        ("config", {"rootfs": {"diff_ids": [{}]}}, "without a sha256 digest"),
        ("config", {"architecture": "arm64"}, "is for linux/arm64, not for linux/amd64"),
        ("config", {"os": None}, "is for /amd64"),
        ("manifest", {"layers": "none"}, "does not list the layers"),
        ("layer", {"digest": "sha256:../../../etc/passwd"}, "without digest and size"),
        ("layer", {"size": -1}, "without digest and size"),
        ("layer", {"size": "1"}, "without digest and size"),
    ],
)
def test_a_manifest_and_config_that_do_not_fit_are_refused(
    tmp_path: Path, place: str, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(MalformedImage, match=said):
        read_image(broken(tmp_path / "layout", place, **fields), "linux/amd64", LIMITS)


def test_a_platform_of_the_index_may_leave_the_variant_out(tmp_path: Path) -> None:
    layout = layout_of(ImageBuilder("linux/arm64/v8").layer({"a": b"1"}), tmp_path / "layout")
    assert facts(layout, "linux/arm64").platform == "linux/arm64"


def test_documents_larger_than_the_policy_allows_are_not_read(tmp_path: Path) -> None:
    layout = with_config(tmp_path / "layout", author="x" * 5_000)
    with pytest.raises(ImageTooLarge):
        read_image(layout, "linux/amd64", ImageLimits(config_bytes=1024))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b'{"manifests": []}', b'{"manifests": [1, 2]}'])
def test_an_index_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    layout = layout_of(ImageBuilder().layer({"a": b"1"}), tmp_path / "layout")
    (layout / "index.json").write_bytes(content)
    with pytest.raises(MalformedImage):
        read_image(layout, "linux/amd64", LIMITS)
