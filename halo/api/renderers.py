"""What leaves an endpoint: always JSON, whatever was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request


class AlwaysFirst(BaseContentNegotiation):
    """Neither `Accept` nor `?format=` is consulted, so 406 is never sent."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class PlainJSONRenderer(JSONRenderer):
    """Compact JSON; `?indent=` and the like in Accept are ignored."""

    def get_indent(self, accepted_media_type: str, renderer_context: Any) -> None:
        return None
