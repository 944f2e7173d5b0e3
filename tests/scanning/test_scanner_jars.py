"""Java archives from strangers: coordinates, or none, and never more work than they are worth."""

import io
import struct
import time
import zipfile

import pytest

from scanning.jars import coordinates_in
from tests.scanning.images import jar, pom

NAME = "META-INF/maven/org.example/app/pom.properties"
POM = pom("org.example", "app", "1.0")


def test_a_shaded_archive_has_many_coordinates() -> None:
    shaded = jar({NAME: POM, "META-INF/maven/b/c/pom.properties": pom("b", "c", "2"), "a/B.class": b"x"})
    assert list(coordinates_in(shaded)) == [("org.example:app", "1.0"), ("b:c", "2")]


def test_archives_in_archives_are_read_three_deep() -> None:
    content = jar({NAME: POM})
    for depth in range(2):
        content = jar({f"WEB-INF/lib/{depth}.jar": content, "other.txt": b"x"})
    assert list(coordinates_in(content)) == [("org.example:app", "1.0")]
    assert list(coordinates_in(jar({"one.more.JAR": content}))) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06",
        b"PK\x05\x06" + bytes(18),
        b"no archive at all",
        jar({NAME: POM})[:-10],
        b"\xff" * 50 + jar({NAME: POM})[50:],
        jar({NAME: b"groupId=a\n"}),
        jar({NAME: b"groupId=${project.groupId}\nartifactId=a\nversion=1\n"}),
        jar({NAME: b"\xff\xfe=\n" * 100}),
        jar({NAME: POM + b"#" * 70_000}),
        jar({"META-INF/maven/../../../pom.properties.txt": POM}),
    ],
)
def test_an_archive_of_nonsense_has_no_coordinates(content: bytes) -> None:
    assert list(coordinates_in(content)) == []


def test_an_encrypted_or_strangely_compressed_entry_is_passed_over() -> None:
    content = bytearray(jar({NAME: POM}))
    directory = content.rfind(b"PK\x01\x02")
    encrypted, strange = bytearray(content), bytearray(content)
    encrypted[directory + 8] |= 1
    encrypted[6] |= 1
    strange[directory + 10], strange[8] = 99, 99
    assert list(coordinates_in(bytes(encrypted))) == []
    assert list(coordinates_in(bytes(strange))) == []


def test_a_directory_without_end_is_not_read() -> None:
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *([0] * 6), 0, 0, 0, 1, *([0] * 4), 0, 0) + b"x"
    entries = entry * 400_000
    content = entries + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65_535, 65_535, len(entries), 0, 0)
    begin = time.monotonic()
    assert list(coordinates_in(content)) == []
    assert time.monotonic() - begin < 1


def test_inner_archives_that_unpack_to_too_much_are_passed_over() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME, POM)
        with archive.open("bomb.jar", "w") as bomb:
            for _ in range(257):
                bomb.write(bytes(2**20))
    assert list(coordinates_in(buffer.getvalue())) == [("org.example:app", "1.0")]
