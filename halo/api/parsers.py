"""Reading a request's JSON body: one way, for every endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.http import HttpRequest
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from halo.api import body, strict_json


def json_body(request: Request) -> dict[str, Any]:
    """The JSON object in the request's body; what is wrong with it is a HaloError in the order 413, 415, 400.

    Not `request.data`: DRF answers `{}` for an empty body without asking any parser.
    """
    return _read(request._request)


class StrictJSONParser(BaseParser):
    """The same for whoever does ask DRF for `request.data`, and for the schema."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return _read((parser_context or {})["request"]._request)


def _read(request: HttpRequest) -> dict[str, Any]:
    announced = body.announced_length(request)
    body.check_media_type(request.META.get("CONTENT_TYPE", ""), request.META.get("HTTP_CONTENT_ENCODING", ""))
    # Django reads as much as Content-Length says, which is nothing for a chunked body that the server has unwrapped.
    transfer = request.META.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    if transfer not in ("", "chunked"):
        raise body.UnsupportedMediaType
    chunked = transfer and request.META.get("wsgi.input_terminated")
    stream = request.META["wsgi.input"] if chunked else request
    return strict_json.parse_object(body.read(stream, announced=announced))
