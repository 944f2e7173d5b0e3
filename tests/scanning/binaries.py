"""Binaries in the small: the lists of packages that Go's linker and cargo-auditable write, and nothing else."""

import json
import struct
import zlib

SENTINEL = bytes(range(16))
MODULES = (
    "path\texample.org/shop\nmod\texample.org/shop\tv1.2.0\th1:x=\ndep\tgolang.org/x/net\tv0.1.0\th1:x=\n"
    "dep\texample.org/old\tv1.0.0\n=>\texample.org/new\tv2.0.0\th1:x=\ndep\texample.org/here\tv1.0.0\n=>\t./here\t\n"
    "build\t-compiler=gc\n"
)


def go(modules: str = MODULES, version: str = "go1.21.5 X:boringcrypto", flags: int = 2) -> bytes:
    """A binary as Go's linker makes it: its note in the beginning, its list somewhere in the data."""
    said = SENTINEL + modules.encode() + SENTINEL
    block = b"\xff Go buildinf:" + bytes((8, flags)) + bytes(16) + sized(version.encode()) + sized(said)
    return b"\x7fELF\2\1\1" + bytes(3_000) + b"\4\0\0\0Go\0\0" + bytes(90_000) + block + bytes(5_000)


def sized(text: bytes) -> bytes:
    length, number = b"", len(text)
    while number > 127:
        length, number = length + bytes((number & 127 | 128,)), number >> 7
    return length + bytes((number,)) + text


def rust(content: bytes, *, wide: bool = True, order: str = "<") -> bytes:
    """A binary of sections: code, cargo-auditable's list, the names of the sections; then their table."""
    names = b"\0.text\0.dep-v0\0.shstrtab\0"
    head = 64 if wide else 52
    sections = [(0, b""), (1, bytes(20_000)), (7, content), (15, names)]
    entry = struct.Struct(order + ("II4Q2I2Q" if wide else "10I"))
    body, table = b"", b""
    for name, data in sections:
        table += entry.pack(name, 1, 0, 0, head + len(body), len(data), 0, 0, 1, 0)
        body += data
    form = order + ("2HI3QI6H" if wide else "2HI3II6H")
    begin = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    begin += struct.pack(form, 3, 62, 1, 0, 0, head + len(body), 0, head, 0, 0, entry.size, len(sections), 3)
    return begin + body + table


def auditable(*packages: dict[str, object]) -> bytes:
    return zlib.compress(json.dumps({"packages": packages, "format": 1}).encode())


CRATES = auditable(
    {"name": "shop", "version": "0.1.0", "source": "local", "dependencies": [1], "root": True},
    {"name": "serde", "version": "1.0.193", "source": "crates.io"},
    {"name": "cc", "version": "1.0.83", "source": "crates.io", "kind": "build"},
)
