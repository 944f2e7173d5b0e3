"""The taxonomy of errors.

Permanent errors carry a type name and are never retried; everything else is transient and is retried. A permanent
error of the publisher's making becomes a finding that the publisher can read; a tool's error becomes the status "we
are retrying", never a failed check.
"""

from typing import ClassVar

#: Temporal refuses a failure of more than 2 MB; nobody reads more than this (architecture.md, "Errors").
LONGEST_MESSAGE = 8_000


class WharfingerError(Exception):
    """What went wrong and what to do about it, in one message for the person who can mend it."""

    #: True when trying again cannot help.
    permanent: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message[:LONGEST_MESSAGE])


class Permanent(WharfingerError):
    """Trying again cannot help: somebody has to change something first."""

    permanent = True


class InvalidManifest(Permanent):
    """A manifest, submission folder or profile that cannot be accepted. `problems` lists every reason by field."""

    def __init__(self, problems: "tuple[Problem, ...] | list[Problem]") -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{problem.field}: {problem.message}" for problem in self.problems))


class Problem(tuple[str, str]):
    """One reason for a refusal: the field and a sentence that says what to do."""

    __slots__ = ()

    def __new__(cls, field: str, message: str) -> "Problem":
        return super().__new__(cls, (field, message))

    @property
    def field(self) -> str:
        return self[0]

    @property
    def message(self) -> str:
        return self[1]


class InvalidPolicy(Permanent):
    """policy.toml cannot be read; the message names every field that is wrong."""


class ImageNotFound(Permanent):
    """No such repository, tag or digest at the source."""


class Unauthorized(Permanent):
    """The source refused the credentials, or wants some."""


class UnsupportedImage(Permanent):
    """An image of a kind that the hub does not take (foreign layers, unknown media types, no platform, not linux)."""


class MalformedImage(Permanent):
    """The source's bytes are not what they claim to be: wrong digest or size, broken JSON, hostile archive."""


class ImageTooLarge(Permanent):
    """A limit of the policy was passed: bytes, layers, files, or the ratio of decompression."""


class NotAllowed(Permanent):
    """A command that does not apply now or not to this person. The message says what is allowed, and for whom."""


class NotFound(Permanent):
    """No such publisher, product, submission, person or notice."""


class ToolFailed(WharfingerError):
    """A tool of the hub (scanner, registry, mail server) failed: the hub's matter, retried, never a failed check."""


#: Names of the errors that are never tried again: each says so itself where it leaves an activity.
PERMANENT_ERRORS: tuple[str, ...] = (
    "InvalidManifest",
    "InvalidPolicy",
    "ImageNotFound",
    "Unauthorized",
    "UnsupportedImage",
    "MalformedImage",
    "ImageTooLarge",
    "NotAllowed",
    "NotFound",
)

#: Errors of the publisher's making that onboarding and scanning turn into findings.
PUBLISHERS_ERRORS: tuple[type[Permanent], ...] = (
    ImageNotFound,
    Unauthorized,
    UnsupportedImage,
    MalformedImage,
    ImageTooLarge,
)
