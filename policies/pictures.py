"""Pictures: what they are, found out without being blown up by them."""

import io
import warnings
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

#: what browsers show and Pillow reads without plugins of doubtful history
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
#: pixels; a picture that claims more is not decoded
_MOST_PIXELS = 50_000_000


class Picture(NamedTuple):
    format: str
    width: int
    height: int


class NoPicture(ValueError):
    """The bytes are no picture that the hub shows; the message says why."""


def look(content: bytes) -> Picture:
    """Format and pixels. The picture is decoded, so that a broken one is found. Errors: NoPicture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                width, height = image.size
                if width * height > _MOST_PIXELS:
                    raise NoPicture(f"has {width:,} x {height:,} pixels, more than are ever shown")
                kind = image.format or ""
                image.load()
    except UnidentifiedImageError:
        raise NoPicture(f"is none of {', '.join(FORMATS)}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        if isinstance(error, NoPicture):
            raise
        raise NoPicture(f"cannot be decoded: {error}") from error
    return Picture(kind, width, height)
