"""DRF's parser of request bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from rest_framework.parsers import BaseParser

from halo.api import body, strict_json


class StrictJSONParser(BaseParser):
    """Parses the body whatever its content type says, because it refuses wrong ones itself, in our own words."""

    media_type = "*/*"

    def parse(
        self, stream: BinaryIO, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        request = (parser_context or {})["request"]
        body.check_length(request)
        body.check_media_type(request.META.get("CONTENT_TYPE", ""), request.META.get("HTTP_CONTENT_ENCODING", ""))
        return strict_json.parse_object(body.read(stream))
