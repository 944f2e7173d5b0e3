"""A case that the script takes out of a file is one that the signature's own test accepts."""

import tomllib
from pathlib import Path

import pytest

from scanning.identify import Identifier
from scripts.signature_case import case, main

ELF = b"\x7fELF\x02\x01\x01" + bytes(9)
OPENSSL = ELF + b'OPENSSLDIR: "/usr/lib/ssl"\0' + bytes(3_000) + b"\0OpenSSL 3.0.22 25 Aug 2026\0" + bytes(3_000)


def test_a_case_has_the_text_and_what_it_needs_and_tells_of_the_same() -> None:
    said = tomllib.loads(case("openssl", OPENSSL, "usr/lib/libcrypto.so.3", "libssl3 3.0.22", []))["case"][0]
    assert (said["versions"], said["path"], said["source"]) == (["3.0.22"], "usr/lib/libcrypto.so.3", "libssl3 3.0.22")
    content = "\0".join(said["content"]).encode("latin-1")
    assert len(content) < 200
    (found,) = Identifier.load().identify(said["path"], [ELF + content])
    assert (found.product, found.version) == ("openssl", "3.0.22")


def test_a_case_of_a_file_that_only_mentions_the_product_has_no_version() -> None:
    said = tomllib.loads(case("openssl", OPENSSL, "usr/sbin/web", "web 1", [r"OpenSSL 3[ -~]*"]))["case"][0]
    assert said["versions"] == []
    assert "OpenSSL 3.0.22 25 Aug 2026" in said["content"][0]


def test_a_file_that_tells_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x"
    file.write_bytes(ELF + b'a "quoted" \\ text')
    assert main(["openssl", str(file), "x", "x 1"]) == 1
    assert main(["openssl", str(file), "x", "x 1", "nothing"]) == 1
    assert "is not in the file" in capsys.readouterr().err
    assert main(["openssl"]) == 2


def test_every_byte_survives() -> None:
    content = bytes(range(256))
    said = tomllib.loads(case("nginx", content, "x", "x 1", [r"(?s)\x00.*"]))["case"][0]
    assert said["content"] == [content.decode("latin-1")]
