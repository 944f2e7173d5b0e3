"""Pictures of strangers: real ones, broken ones, and ones that were made to do harm."""

import io
import struct
import zlib

import hypothesis.strategies as st
import pytest
from hypothesis import given
from PIL import Image

from policies.pictures import FORMATS, NoPicture, Picture, look
from tests.policies.samples import picture


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes that unpack to as many pixels as one likes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 4096)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def animation(frames: int, kind: str = "GIF") -> bytes:
    content = io.BytesIO()
    pictures = [Image.new("RGB", (64, 64), (number % 255, 0, 0)) for number in range(frames)]
    pictures[0].save(content, kind, save_all=True, append_images=pictures[1:], duration=20)
    return content.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_is_what_it_is(kind: str) -> None:
    assert look(picture(600, 512, kind)) == Picture(kind, 600, 512)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts_however_many_follow(kind: str) -> None:
    moving = animation(400, kind)
    assert look(moving) == Picture(kind, 64, 64)
    assert len(moving) > 5_000


@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_picture_is_none(kind: str) -> None:
    whole = picture(512, 512, kind)
    for length in (len(whole) // 2, len(whole) // 4, 40, 12, 3):
        with pytest.raises(NoPicture, match=r"cannot be decoded|is none of"):
            look(whole[:length])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 1000,
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 512 512\n",
        b"%PDF-1.7",
        b"\x00\x00\x01\x00" + b"\0" * 60,
        b"BM" + b"\0" * 100,
        b"II*\x00" + b"\0" * 100,
    ],
)
def test_what_is_no_picture_that_browsers_show_is_none(content: bytes) -> None:
    with pytest.raises(NoPicture, match="is none of PNG, JPEG, WEBP, GIF"):
        look(content)


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PPM", "ICO"])
def test_formats_that_pillow_reads_and_the_hub_does_not_are_none(kind: str) -> None:
    with pytest.raises(NoPicture, match="is none of"):
        look(picture(512, 512, kind) if kind != "ICO" else picture(64, 64, kind))


@pytest.mark.parametrize(
    ("width", "height"), [(8_000, 8_000), (10_000, 10_000), (50_000, 50_000), (2**31 - 1, 1), (2**31 - 1, 2**31 - 1)]
)
def test_a_decompression_bomb_is_not_decoded(width: int, height: int) -> None:
    with pytest.raises(NoPicture, match=r"pixels|cannot be decoded"):
        look(png_that_claims(width, height))


def test_a_text_chunk_that_unpacks_to_gigabytes_is_not_read() -> None:
    whole = picture(512, 512)
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 50_000_000, 9))
    with pytest.raises(NoPicture, match="cannot be decoded"):
        look(whole[:33] + bomb + whole[33:])


@given(st.data(), st.sampled_from(FORMATS))
def test_however_a_picture_is_damaged_it_is_one_or_none(data: st.DataObject, kind: str) -> None:
    content = bytearray(picture(48, 48, kind))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    try:
        seen = look(bytes(content))
    except NoPicture:
        return
    assert seen.format in FORMATS


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"\xff\xd8\xff"]),
)
def test_whatever_follows_a_magic_number_is_a_picture_or_none(rest: bytes, magic: bytes) -> None:
    try:
        seen = look(magic + rest)
    except NoPicture:
        return
    assert seen.width * seen.height > 0
