"""A layer's blob, uncompressed while it is read: digests verified, bombs noticed before they go off."""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import zstandard
from isal import igzip, igzip_lib

from models.errors import ImageTooLarge, MalformedImage
from models.policy import ImageLimits

_CHUNK = 2**18
#: a small layer may compress as well as it can: 1 KiB of zeros is no bomb
_HARMLESS = 32 * 2**20
#: packages that all layers of an image together may name: of 5,000, each of a hundred layers may name all anew
_MOST_PACKAGES = 1_000_000
#: memory that a zstd frame may ask for, bytes; `zstd --ultra` and container tools stay below
_ZSTD_WINDOW = 2**27
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
#: isal's stubs take its error for a value
_BROKEN = cast(tuple[type[Exception], ...], (OSError, EOFError, igzip_lib.IsalError, zstandard.ZstdError))


class Stopped(Exception):
    """The pass was told to stop: nobody waits for its answer."""


@dataclass
class Budget:
    """What is left of the policy's limits for one image, shared by all its layers; `stop` ends the pass at once."""

    limits: ImageLimits
    stop: threading.Event = field(default_factory=threading.Event)
    uncompressed: int = 0
    files: int = 0
    packages: int = 0

    def takes(self, count: int) -> None:
        """Uncompressed bytes. Errors: ImageTooLarge."""
        if self.stop.is_set():
            raise Stopped
        self.uncompressed += count
        if self.uncompressed > self.limits.uncompressed_bytes:
            raise ImageTooLarge(
                f"The image unpacks to more than {self.limits.uncompressed_bytes:,} bytes, which is the hub's limit."
            )

    def holds(self, digest: str, size: int, uncompressed: int) -> None:
        """A layer's blob of `size` bytes against what it unpacks to. Errors: ImageTooLarge."""
        ratio = self.limits.decompression_ratio
        if uncompressed > max(_HARMLESS, size * ratio):
            raise ImageTooLarge(f"Layer {digest} unpacks to more than {ratio} times its size: a bomb is no layer.")

    def takes_files(self, count: int) -> None:
        """Entries of a layer. Errors: ImageTooLarge."""
        self.files += count
        if self.files > self.limits.files:
            raise ImageTooLarge(f"The image has more than {self.limits.files:,} files, which is the hub's limit.")

    def takes_packages(self, count: int) -> None:
        """Packages that a layer names. Errors: ImageTooLarge."""
        self.packages += count
        if self.packages > _MOST_PACKAGES:
            raise ImageTooLarge(f"The image names more than {_MOST_PACKAGES:,} packages.")


class LayerStream:
    """The uncompressed bytes of one blob. Sizes in bytes."""

    def __init__(self, file: BinaryIO, digest: str, size: int, budget: Budget) -> None:
        self._raw = _Hashed(file)
        self._digest, self._size, self._budget = digest, size, budget
        self._hash = hashlib.sha256()
        self._chunk, self._at = b"", 0
        self.uncompressed = 0
        self.media_type, self._plain = _opened(self._raw)

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, fewer only at the end. Errors: MalformedImage, ImageTooLarge."""
        end = self._at + count
        if end <= len(self._chunk):
            found = self._chunk[self._at : end]
            self._at = end
            return found
        parts: list[bytes] = []
        while count and (part := self.chunk(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def chunk(self, most: int) -> bytes:
        """What there is at hand, at most so many bytes; none only at the end. Errors: as `read`."""
        if self._at == len(self._chunk) and not self._fill():
            return b""
        found = self._chunk[self._at : self._at + most]
        self._at += len(found)
        return found

    def peek(self, count: int) -> bytes:
        """The next bytes, which will be read again; as many as `read` would give. Errors: as `read`."""
        while len(rest := self._chunk[self._at : self._at + count]) < count:
            rest = self._chunk[self._at :]
            if not self._fill():
                self._chunk, self._at = rest, 0
                break
            self._chunk = rest + self._chunk
        return rest

    def skip(self, count: int) -> int:
        """Pass over bytes without keeping them; returns how many there were. Errors: as `read`."""
        left = count
        while left:
            step = min(left, len(self._chunk) - self._at)
            self._at += step
            left -= step
            if left and not self._fill():
                break
        return count - left

    def finish(self, diff_id: str) -> None:
        """Read what is left and verify both digests. Errors: MalformedImage, ImageTooLarge."""
        while self._fill():
            pass
        self._raw.drain()
        if self._raw.digest != self._digest:
            raise MalformedImage(f"Layer {self._digest} has other bytes than its digest says. Push the image again.")
        if f"sha256:{self._hash.hexdigest()}" != diff_id:
            raise MalformedImage(
                f"Layer {self._digest} does not unpack to {diff_id}, as the image's config says. Push the image again."
            )

    def _fill(self) -> bool:
        try:
            chunk = self._plain.read(_CHUNK)
        except _BROKEN as error:
            raise MalformedImage(
                f"Layer {self._digest} cannot be unpacked: {str(error)[:200]}. Push the image again."
            ) from error
        self._chunk, self._at = chunk, 0
        self.uncompressed += len(chunk)
        self._hash.update(chunk)
        self._budget.takes(len(chunk))
        self._budget.holds(self._digest, self._size, self.uncompressed)
        return bool(chunk)


@contextmanager
def opened(path: Path, digest: str, size: int, budget: Budget) -> Iterator[LayerStream]:
    """`size` is that of the blob as it is stored. Errors: MalformedImage."""
    with path.open("rb", buffering=0) as file:
        yield LayerStream(cast(BinaryIO, file), digest, size, budget)


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._start = b""

    def peek(self, count: int) -> bytes:
        """The first bytes, which will be read again."""
        self._start = self._file.read(count)
        return self._start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._start:
            count = min(len(buffer), len(self._start))
            buffer[:count] = self._start[:count]
            self._start = self._start[count:]
        else:
            count = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self._hash.update(buffer[:count])
        return count

    def drain(self) -> None:
        """Bytes behind the end of the compressed stream."""
        while self.read(_CHUNK):
            pass

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _opened(raw: _Hashed) -> tuple[str, BinaryIO]:
    """What the bytes are, whatever the manifest calls them."""
    start = raw.peek(4)
    if start.startswith(_GZIP):
        unzipped = igzip.IGzipFile(fileobj=raw, mode="rb")  # type: ignore[no-untyped-call]
        return "application/vnd.oci.image.layer.v1.tar+gzip", cast(BinaryIO, unzipped)
    if start.startswith(_ZSTD):
        reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
            cast(BinaryIO, raw), read_across_frames=True
        )
        return "application/vnd.oci.image.layer.v1.tar+zstd", cast(BinaryIO, reader)
    return "application/vnd.oci.image.layer.v1.tar", cast(BinaryIO, io.BufferedReader(raw, _CHUNK))
