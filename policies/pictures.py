"""Pictures: what they are, found out without being blown up by them."""

import io
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

#: what browsers show and Pillow reads without plugins of doubtful history
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
#: pixels; a picture that claims more is not decoded. Less than what Pillow itself warns of and refuses.
_MOST_PIXELS = 50_000_000


class Picture(NamedTuple):
    format: str
    width: int
    height: int


class NoPicture(ValueError):
    """The bytes are no picture that the hub shows; the message says why."""


def look(content: bytes) -> Picture:
    """Format and pixels. The picture is decoded, so that a broken one is found; of an animation, the first frame.

    Errors: NoPicture. Pillow's decoders raise whatever their parsers run into, so all of that is a broken picture.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > _MOST_PIXELS:
                raise NoPicture(f"has {width:,} x {height:,} pixels, more than are ever shown")
            kind = image.format or ""
            image.load()
    except NoPicture:
        raise
    except UnidentifiedImageError:
        raise NoPicture(f"is none of {', '.join(FORMATS)}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
        raise NoPicture("has more pixels than are ever shown") from bomb
    except MemoryError:
        raise
    except Exception as error:
        raise NoPicture(f"cannot be decoded: {str(error)[:200]}") from error
    return Picture(kind, width, height)
