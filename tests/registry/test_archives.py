"""Hostile archives: a clear error, nothing outside of the work folder, and never more memory or disk than allowed."""

import contextlib
import gzip
import io
import json
import tarfile
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.base import digest_of
from models.errors import ImageNotFound, ImageTooLarge, MalformedImage
from models.policy import ImageLimits
from registry.archive import unpack
from registry.layout import LayoutSource
from registry.manifests import REFERENCE
from registry.resolve import resolve_tier
from tests.registry.scripted import CONFIG, manifest

LAYER = b"a layer"
IMAGE = [{"Config": "config.json", "RepoTags": ["team/app:1.0"], "Layers": ["layer.tar"]}]
FILES: dict[str, bytes] = {"config.json": CONFIG, "layer.tar": LAYER, "manifest.json": json.dumps(IMAGE).encode()}


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **more: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, size
    for field, value in more.items():
        setattr(made, field, value)
    return made


def tar(
    *entries: tarfile.TarInfo | bytes, files: dict[str, bytes] = FILES, form: Literal[1, 2] = tarfile.GNU_FORMAT
) -> bytes:
    """An honest archive of the files, with these entries (or raw bytes) before them."""
    buffer = io.BytesIO()
    for made in entries:
        if isinstance(made, bytes):
            buffer.write(made)
        else:
            buffer.write(made.tobuf(form, "utf-8", "surrogateescape"))
    rest = io.BytesIO()
    with tarfile.open(fileobj=rest, mode="w", format=form) as archive:
        for name, content in files.items():
            archive.addfile(entry(name, size=len(content)), io.BytesIO(content))
    return buffer.getvalue() + rest.getvalue()


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


class Place:
    """Where an archive lies and is unpacked; `outside` is everything that is not the work folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "a" / "b" / "work"
        self.work.mkdir(parents=True)

    def unpack(self, content: bytes, limits: ImageLimits | None = None) -> LayoutSource:
        archive = self.folder / "app.tar"
        archive.write_bytes(content)
        layout = unpack(archive, self.work, limits or ImageLimits())
        return LayoutSource(layout, limits or ImageLimits())

    def outside(self) -> list[str]:
        there = [path for path in self.folder.rglob("*") if not path.is_relative_to(self.work)]
        return sorted(str(path.relative_to(self.folder)) for path in there if path.is_file() or path.is_symlink())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_the_honest_archive_of_these_tests_is_an_image(place: Place) -> None:
    tier = await resolve_tier(place.unpack(tar()), "Free", "archive", ("1.0",))
    assert tier.tags[0].platforms[0].size == len(LAYER)


LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)


@pytest.mark.parametrize(
    "made",
    [
        *(entry(name) for name in ("../outside", "/etc/passwd", "a/../../outside", "..", "./../x", "/", "a/../..")),
        *(entry(name, kind=tarfile.DIRTYPE) for name in ("../outside", "/outside")),
        *(entry("link", kind=kind, linkname=to) for kind in LINKS for to in ("/etc/passwd", "../outside", "..", "")),
        entry("a/link", kind=tarfile.SYMTYPE, linkname="../../outside"),
        entry("a/../../link", kind=tarfile.SYMTYPE, linkname="layer.tar"),
        *(entry("device", kind=kind) for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z")),
    ],
    ids=lambda made: f"{made.type!r}-{made.name}-{made.linkname}",
)
def test_members_links_and_devices_outside_of_the_archive_are_refused(place: Place, made: tarfile.TarInfo) -> None:
    with pytest.raises(MalformedImage, match=r"outside itself|a device"):
        place.unpack(tar(made))
    assert place.outside() == ["app.tar"]


def test_names_of_members_never_become_paths_of_ours(place: Place) -> None:
    """Not even harmless ones: what is written has the name of its own digest."""
    source = place.unpack(tar(entry("blobs/sha256/evil"), entry("layout/index.json"), entry("members/0")))
    digests = {digest_of(content).removeprefix("sha256:") for content in (CONFIG, LAYER)}
    names = {path.name for path in source.folder.rglob("*") if path.is_file()}
    assert digests < names
    assert len(names) == 4
    assert place.outside() == ["app.tar"]


def test_links_inside_of_the_archive_are_followed_and_circles_are_not(place: Place, tmp_path: Path) -> None:
    said = [{**IMAGE[0], "Layers": ["x/layer.tar", "hard"]}]
    links = (
        entry("x/layer.tar", kind=tarfile.SYMTYPE, linkname="../y/layer.tar"),
        entry("y/layer.tar", kind=tarfile.SYMTYPE, linkname="../layer.tar"),
        entry("hard", kind=tarfile.LNKTYPE, linkname="layer.tar"),
    )
    files = {**FILES, "manifest.json": json.dumps(said).encode()}
    assert place.unpack(tar(*links, files=files))
    circle = entry("layer.tar", kind=tarfile.SYMTYPE, linkname="layer.tar")
    del files["layer.tar"]
    with pytest.raises(MalformedImage, match="does not have it"):
        Place(tmp_path / "other").unpack(tar(*links, circle, files=files))


def test_a_member_that_is_there_twice_is_refused(place: Place) -> None:
    """Readers differ in which of the two they take."""
    with pytest.raises(MalformedImage, match=r"'layer\.tar' twice"):
        place.unpack(tar(entry("layer.tar")))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"x" * 512,
        b"\x1f\x8b",
        b"\x1f\x8b" + b"\xff" * 1000,
        gzip.compress(b"x" * 1000),
        gzip.compress(tar())[:-60],
        gzip.compress(tar())[:200],
        tar()[:1000],
        tar()[:1800],
        b"BZh91AY&SY" + b"x" * 1000,
        b"\xfd7zXZ\x00" + b"x" * 1000,
        b"\x28\xb5\x2f\xfd" + b"x" * 1000,
        bytes(10_240),
        gzip.compress(bytes(10_000_000)),
    ],
)
def test_what_is_no_archive_or_ends_too_soon_is_refused(place: Place, content: bytes) -> None:
    with pytest.raises(MalformedImage):
        place.unpack(content)


@pytest.mark.parametrize(
    "made",
    [
        tar(entry("name-\udcff")),
        tar(entry("link", kind=tarfile.SYMTYPE, linkname="\udcff")),
        tar(entry("x", kind=tarfile.XHDTYPE, size=11), padded(b"11 path=\xff\xfe\n")),
        tar(entry("x", kind=tarfile.GNUTYPE_LONGNAME, size=3), padded(b"\xff\xfe\0")),
    ],
)
def test_names_that_are_not_utf_8_are_refused(place: Place, made: bytes) -> None:
    with pytest.raises(MalformedImage, match="not UTF-8"):
        place.unpack(made)


@pytest.mark.parametrize(
    "records",
    [
        b"",
        b"no number path=x\n",
        b"5 path=x\n",
        b"-9 path=x\n",
        b"9999999 path=x\n",
        b"99999999999 path=x\n",
        b"7 path\n",
        b"10 path=xx",
        b"0 ",
        "９ path=x\n".encode(),
        b"10 size=-1\n",
        b"14 size=1e100\n",
        b"27 size=99999999999999999999\n",
        b"19 GNU.sparse.a=1\n\n",
        b"22 GNU.sparse.major=1\n",
    ],
)
def test_pax_headers_that_lie_are_refused(place: Place, records: bytes) -> None:
    made = tar(entry("x", kind=tarfile.XHDTYPE, size=len(records)), padded(records), entry("file"))
    if records == b"":
        assert place.unpack(made)
        return
    with pytest.raises(MalformedImage):
        place.unpack(made)


@pytest.mark.parametrize("size", [2**16 + 1, 2**33, 2**62])
@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_without_end_is_not_read(place: Place, kind: bytes, size: int) -> None:
    with pytest.raises(MalformedImage, match="has a header of"):
        place.unpack(tar(entry("x", kind=kind, size=size)))


def test_sparse_files_and_long_names_are_refused(place: Place) -> None:
    with pytest.raises(MalformedImage, match="sparse file"):
        place.unpack(tar(entry("x", kind=tarfile.GNUTYPE_SPARSE)))
    with pytest.raises(MalformedImage, match="a name of 2,000 characters"):
        place.unpack(tar(entry("n" * 2000)))


@pytest.mark.parametrize("size", [-1, -(2**40)])
def test_a_negative_size_is_refused(place: Place, size: int) -> None:
    made = entry("x")
    made.size = size
    with pytest.raises(MalformedImage, match=r"negative size|cannot be read"):
        place.unpack(tar(made))


def test_a_bomb_stops_at_the_limit(place: Place) -> None:
    """Zeros, a thousand of them for each byte when packed: what is written is bounded by the ratio."""
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb", compresslevel=9) as packed:
        packed.write(entry("layer.tar", size=2**27).tobuf(tarfile.GNU_FORMAT))
        for _ in range(2**7):
            packed.write(bytes(2**20))
    limits = ImageLimits(decompression_ratio=50)
    tracemalloc.start()
    with pytest.raises(ImageTooLarge, match="unpacks to more than"):
        place.unpack(bomb.getvalue(), limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert [path for path in place.work.rglob("*") if path.is_file()] == []


def test_a_plain_archive_stops_at_the_limit(place: Place) -> None:
    with pytest.raises(ImageTooLarge, match="unpacks to more than 3,000 bytes"):
        place.unpack(tar(), ImageLimits(uncompressed_bytes=3_000))


def test_a_member_that_says_more_than_there_is_stops_at_the_end(place: Place) -> None:
    with pytest.raises((MalformedImage, ImageTooLarge)):
        place.unpack(tar(entry("layer", size=2**50)))


def test_too_many_members_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.archive._MOST_MEMBERS", 10)
    with pytest.raises(ImageTooLarge, match="more than 10 members"):
        place.unpack(tar(*(entry(str(number)) for number in range(20))))


@pytest.mark.parametrize(
    "said",
    [
        {},
        5,
        [5],
        [{}],
        [{"Config": "nowhere", "Layers": []}],
        [{"Config": None, "Layers": []}],
        [{"Config": ["config.json"], "Layers": []}],
        [{**IMAGE[0], "Layers": 5}],
        [{**IMAGE[0], "Layers": "layer.tar"}],
        [{**IMAGE[0], "Layers": [{}]}],
        [{**IMAGE[0], "Layers": ["../../etc/passwd"]}],
        [{**IMAGE[0], "Layers": ["/etc/passwd"]}],
        [{**IMAGE[0], "RepoTags": 5}],
        [{**IMAGE[0], "RepoTags": [5]}],
    ],
)
def test_a_list_of_images_that_lies_is_refused(place: Place, said: object) -> None:
    with pytest.raises(MalformedImage):
        place.unpack(tar(files={**FILES, "manifest.json": json.dumps(said).encode()}))


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff", b"[" * 100_000, b"[" + b" " * 5_000_000 + b"]"])
@pytest.mark.parametrize("name", ["manifest.json", "index.json"])
async def test_a_list_of_images_that_is_no_json_is_refused(place: Place, name: str, content: bytes) -> None:
    with pytest.raises((MalformedImage, ImageTooLarge)):
        await resolve_tier(place.unpack(tar(files={**FILES, name: content})), "Free", "archive", ("1.0",))


def test_too_many_layers_are_refused(place: Place) -> None:
    said = [{**IMAGE[0], "Layers": ["layer.tar"] * 128}]
    with pytest.raises(ImageTooLarge, match="has 128 layers; at most 127"):
        place.unpack(tar(files={**FILES, "manifest.json": json.dumps(said).encode()}))


async def test_blobs_are_what_their_bytes_are_not_what_their_names_say(place: Place) -> None:
    image = manifest(LAYER)
    digest = digest_of(image)
    named = {"digest": digest, "size": len(image), "annotations": {REFERENCE: "1"}}
    honest = {
        "index.json": json.dumps({"manifests": [named]}).encode(),
        **{f"blobs/sha256/{digest_of(blob)[7:]}": blob for blob in (image, CONFIG, LAYER)},
    }
    lie = {**honest, f"blobs/sha256/{digest[7:]}": manifest(b"another layer")}
    with pytest.raises(ImageNotFound, match=f"has no blob {digest}"):
        await resolve_tier(place.unpack(tar(files=lie)), "Free", "archive", ("1",))


async def test_an_image_without_a_tag_is_found_by_its_digest_only(place: Place) -> None:
    untagged = [{**IMAGE[0], "RepoTags": None}]
    source = place.unpack(tar(files={**FILES, "manifest.json": json.dumps(untagged).encode()}))
    with pytest.raises(ImageNotFound, match="tags that it has: none"):
        await resolve_tier(source, "Free", "archive", ("latest",))
    digest = json.loads((source.folder / "index.json").read_bytes())["manifests"][0]["digest"]
    assert (await source.manifest(digest)).digest == digest


async def test_what_the_layers_are_packed_with_is_seen_from_their_bytes(place: Place) -> None:
    zstd, packed = b"\x28\xb5\x2f\xfd....", gzip.compress(b"x", mtime=0)
    said = [{**IMAGE[0], "Layers": ["a", "b", "layer.tar"]}]
    source = place.unpack(tar(files={**FILES, "a": packed, "b": zstd, "manifest.json": json.dumps(said).encode()}))
    kinds = [layer.media_type.rpartition(".")[2] for layer in (await source.manifest("1.0")).layers]
    assert kinds == ["tar+gzip", "tar+zstd", "tar"]


@given(st.data())
def test_a_damaged_archive_is_an_image_or_a_clear_error(data: st.DataObject) -> None:
    """Bytes changed anywhere: never another exception, never a file elsewhere."""
    content = bytearray(tar(form=data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = bytearray(gzip.compress(bytes(content)))
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        with contextlib.suppress(MalformedImage, ImageTooLarge):
            place.unpack(bytes(content))
        assert place.outside() == ["app.tar"]
