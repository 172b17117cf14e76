"""The endpoints about a visitor's own session: what was said, what happens, and a person to talk to."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpResponse, StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations import handover, visible, watching
from conversations.api.serializers import ChatResponseSerializer
from conversations.api.session_serializers import HandoverSerializer, SeenMessagesSerializer
from conversations.api.streams import as_live
from conversations.session_access import find_session
from halo.api.addresses import client_address, page_of
from halo.api.fields import validated
from halo.api.parsers import json_body
from halo.api.schema import errors
from halo.hanging_up import has_hung_up
from orgs.authentication import Access, WidgetKeyAuthentication

USER_TOKEN = OpenApiParameter("X-User-Token", str, OpenApiParameter.HEADER, description="Of a verified user's session.")
LIVE = {
    (200, "text/event-stream"): OpenApiResponse(
        str,
        description=(
            "Events `message`, `typing`, `takeover` and `closed`. A `message` holds one as `messages` lists it, and "
            "its id; `takeover` says who answers and comes at the beginning too; `closed` ends the stream."
        ),
    )
}


class _Session(APIView):
    authentication_classes = [WidgetKeyAuthentication]

    def reader(self, request: Request, session_id: str) -> dict[str, Any]:
        """Who wants to read which session."""
        access = cast(Access, request.auth)
        return {
            "org": access.org,
            "key_id": access.key_id,
            "session_id": session_id,
            "user_token": request.headers.get("X-User-Token", ""),
            "now": timezone.now(),
        }


class MessagesView(_Session):
    """What was said in a session, as its visitor saw it."""

    @extend_schema(
        operation_id="session_messages",
        summary="Read a session's messages",
        parameters=[
            USER_TOKEN,
            OpenApiParameter("after", str, description="The `id` of the last message that is known."),
        ],
        responses={200: SeenMessagesSerializer, **errors(400, 401, 403, 404, 429, 503)},
        tags=["sessions"],
    )
    def get(self, request: Request, session_id: str) -> Response:
        after = visible.position_of(request.query_params.get("after", ""))
        session = find_session(**self.reader(request, session_id))
        return Response(visible.transcript(session, after=after))


class EventsView(_Session):
    """What happens in a session, as it happens."""

    @extend_schema(
        operation_id="session_events",
        summary="Be told what happens in a session",
        parameters=[
            USER_TOKEN,
            OpenApiParameter(
                "Last-Event-ID",
                str,
                OpenApiParameter.HEADER,
                description="The `id` of the last message that is known; without it, what comes from now on.",
            ),
        ],
        responses={**LIVE, **errors(401, 403, 404, 429, 503)},
        tags=["sessions"],
    )
    def get(self, request: Request, session_id: str) -> StreamingHttpResponse:
        after = request.headers.get("Last-Event-ID", "")
        return as_live(watching.watch(**self.reader(request, session_id), after=after, is_gone=has_hung_up(request)))


class ImageView(_Session):
    """An image that came with a message of a session."""

    @extend_schema(
        operation_id="session_image",
        summary="Read an image that came with a message",
        parameters=[USER_TOKEN],
        responses={(200, "image/*"): OpenApiTypes.BINARY, **errors(401, 403, 404, 429, 503)},
        tags=["sessions"],
    )
    def get(self, request: Request, session_id: str, image_id: str) -> HttpResponse:
        image = visible.image_of(find_session(**self.reader(request, session_id)), image_id)
        # SECURITY: a visitor's bytes. The type is what they began with when they were stored, and nothing else.
        return HttpResponse(
            bytes(image.data or b""),
            content_type=image.media_type,
            headers={
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, max-age=3600",
            },
        )


class HandoverView(APIView):
    """A visitor asks for a person, with a button."""

    authentication_classes = [WidgetKeyAuthentication]

    @extend_schema(
        operation_id="ask_for_person",
        summary="Ask for a person",
        request=HandoverSerializer,
        responses={200: ChatResponseSerializer, **errors(400, 401, 403, 404, 409, 413, 415, 429, 503)},
        tags=["sessions"],
    )
    def post(self, request: Request, session_id: str) -> Response:
        access = cast(Access, request.auth)
        body = validated(HandoverSerializer(), json_body(request))
        answer = handover.ask_for_person(
            org=access.org,
            key_id=access.key_id,
            session_id=session_id,
            address=client_address(request._request),
            page=page_of(request._request),
            request_id=str(request._request.halo_request_id),  # type: ignore[attr-defined]
            now=timezone.now(),
            **body,
        )
        return Response(answer)
