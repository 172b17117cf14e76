"""What a chat request says, checked and typed; independent of HTTP."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from halo.errors import InvalidRequest

MAX_IMAGE_BYTES = 5 * 1024 * 1024
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@dataclass(frozen=True, slots=True)
class SentImage:
    """An image as it came: an https URL that we never fetch, or bytes with the type that they show."""

    url: str = ""
    media_type: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A valid body of `POST /chat`; absent text is `""`."""

    message: str
    user_id: str = ""
    user_token: str = ""
    session_id: str = ""
    company_id: str = ""
    mode: str = "chat"
    agent_id: str = ""
    images: tuple[SentImage, ...] = ()
    custom_fields: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    conversation_history: tuple[dict[str, str], ...] = ()
    behavior_context: str = ""
    body_hash: str = ""


def hash_of(body: dict[str, Any]) -> str:
    """The fingerprint that idempotency compares: the body without its token, whatever the order of its keys."""
    compared = {key: value for key, value in body.items() if key != "user_token"}
    # Lone surrogates are legal in JSON text, so the hash must not trip over them.
    text = json.dumps(compared, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def read_image(value: str) -> SentImage:
    """An `https:` URL or a `data:` URL that holds a PNG, JPEG, GIF or WebP by its bytes; else InvalidRequest."""
    if value[:8].lower() == "https://":
        if len(value) > 4000 or any(sign.isspace() or not sign.isprintable() for sign in value) or not _has_host(value):
            raise InvalidRequest("An image's URL is not valid.", field="images")
        return SentImage(url=value)
    head, comma, payload = value.partition(",")
    if not comma or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
        raise InvalidRequest("An image is an https: URL or a base64 data: URL.", field="images")
    # Base64 is a third longer than what it holds; refuse before decoding.
    if len(payload) > MAX_IMAGE_BYTES * 4 // 3 + 8:
        raise InvalidRequest("An image is larger than 5 MB.", field="images")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("An image's data is not valid base64.", field="images") from None
    if len(data) > MAX_IMAGE_BYTES:
        raise InvalidRequest("An image is larger than 5 MB.", field="images")
    # SECURITY: the bytes decide, never what the URL claims to be; nothing is decoded here.
    media_type = next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")
    if not media_type and data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        media_type = "image/webp"
    if not media_type:
        raise InvalidRequest("An image's data is not PNG, JPEG, GIF or WebP.", field="images")
    return SentImage(media_type=media_type, data=data)
