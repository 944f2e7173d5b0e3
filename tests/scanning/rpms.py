"""rpm's database in the small: headers of packages in an SQLite file, byte by byte as rpm 4.16 and later write them."""

import sqlite3
import struct
from collections.abc import Iterable
from contextlib import closing

DATABASE = "var/lib/rpm/rpmdb.sqlite"
_INTEGER, _TEXT, _TEXTS = 4, 6, 8


def header(
    name: str, version: str, release: str, *, epoch: int = 0, source: str = "", files: Iterable[str] = ()
) -> bytes:
    """Of one package; `files` with leading slash."""
    paths = [path.rpartition("/") for path in files]
    folders = list(dict.fromkeys(f"{folder}/" for folder, _, _ in paths))
    entries: list[tuple[int, int, list[str] | list[int]]] = [
        (1000, _TEXT, [name]),
        (1001, _TEXT, [version]),
        (1002, _TEXT, [release]),
        (1022, _TEXT, ["x86_64"]),
        (1044, _TEXT, [source or f"{name}-{version}-{release}.src.rpm"]),
    ]
    if epoch:
        entries.append((1003, _INTEGER, [epoch]))
    if paths:
        entries.append((1116, _INTEGER, [folders.index(f"{folder}/") for folder, _, _ in paths]))
        entries.append((1117, _TEXTS, [base for _, _, base in paths]))
        entries.append((1118, _TEXTS, folders))
    table, data = b"", b""
    for tag, kind, values in sorted(entries):
        if kind == _INTEGER:
            data += bytes(-len(data) % 4)
        table += struct.pack(">4I", tag, kind, len(data), len(values))
        data += b"".join(
            struct.pack(">I", value) if isinstance(value, int) else value.encode() + b"\0" for value in values
        )
    return struct.pack(">2I", len(entries), len(data)) + table + data


def database(
    *headers: bytes, schema: str = "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)"
) -> bytes:
    """The file, marked as one that is written ahead, as rpm leaves it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(schema)
        connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(one,) for one in headers])
        connection.commit()
        content = connection.serialize()
    return content[:18] + b"\2\2" + content[20:]
