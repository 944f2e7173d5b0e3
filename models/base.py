"""The base of everything that travels between processes."""

import functools
import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Message(BaseModel):
    """A frozen value that crosses a process boundary.

    Fields that hold their default are not written: histories have a byte budget (architecture.md, "Nothing large
    travels"), and a field added later leaves old histories as they were. Unknown fields are ignored, so that an older
    worker can read what a newer one wrote during a roll-out.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        defaults = _defaults(type(self))
        return {
            name: value
            for name, value in write(self).items()
            if name not in defaults or getattr(self, name) != defaults[name]
        }


@functools.cache
def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Of the fields that have one: looked up with every message that is written, and never changed."""
    fields = model.model_fields.items()
    return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}


def canonical_json(value: BaseModel) -> bytes:
    """Sorted keys, no white space: the same value has the same bytes, and so the same digest, everywhere."""
    text = json.dumps(value.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # half a surrogate pair (a path of an image that is not UTF-8) has no UTF-8 form: it becomes a question mark
    return text.encode("utf-8", "replace")


def digest_of(content: bytes) -> str:
    """The OCI form of a content digest: `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(content).hexdigest()
