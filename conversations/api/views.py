"""The endpoints of visitors: chat, and what they think of an answer."""

from __future__ import annotations

from typing import cast

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations import idempotency, labels, services, streaming, tape, turn_access, waiting
from conversations.api.serializers import (
    ChatResponseSerializer,
    ChatSerializer,
    FeedbackSerializer,
    TurnSerializer,
    read_chat_request,
    read_feedback,
)
from conversations.api.streams import EVENT_STREAM, as_events, as_text
from conversations.arrivals import Listening
from conversations.models import Turn
from conversations.services import Accepted
from conversations.turn_access import Owned
from halo.api.addresses import client_address, page_of
from halo.api.parsers import json_body
from halo.api.schema import DoneSerializer, errors
from orgs.authentication import Access, WidgetKeyAuthentication
from orgs.models import Organization

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="16 to 255 random printable characters. The same key and body is the same turn, for 24 hours.",
)


READ_HEADERS = [
    OpenApiParameter("X-Session-Id", str, OpenApiParameter.HEADER, required=True, description="The turn's session."),
    OpenApiParameter("X-User-Token", str, OpenApiParameter.HEADER, description="Of a verified user's session."),
]
LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID", str, OpenApiParameter.HEADER, description="The `id` of the last event that was read whole."
)
STREAMS = {
    (200, "text/event-stream"): OpenApiResponse(
        str,
        description=(
            "Events `status`, `delta`, `action`, `citation`, `reset`, `done` and `error`, each with an `id`. The texts "
            "of the deltas since the last reset are the text of `done`, which holds the whole response."
        ),
    ),
    (200, "text/plain"): OpenApiResponse(
        str,
        description="Text as it comes, actions framed as `\\x1E__ACTION__<json>\\x1E`, all of them in the last frame.",
    ),
}


class _Chat(APIView):
    authentication_classes = [WidgetKeyAuthentication]

    def accepted(self, request: Request, *, listening: Listening = "") -> tuple[Organization, Accepted]:
        """The request's turn, made or joined."""
        access = cast(Access, request.auth)
        chat = read_chat_request(json_body(request))
        key = idempotency.check_shape(request.headers.get("Idempotency-Key", ""))
        accepted = services.accept(
            org=access.org,
            key_id=access.key_id,
            request=chat,
            idempotency_key=key,
            address=client_address(request._request),
            request_id=_request_id(request),
            now=timezone.now(),
            page=page_of(request._request),
            listening=listening,
        )
        return access.org, accepted


class ChatView(_Chat):
    """A visitor's message in, the agent's answer out."""

    @extend_schema(
        operation_id="chat",
        summary="Send a message and wait for the answer",
        parameters=[IDEMPOTENCY_KEY],
        request=ChatSerializer,
        responses={200: ChatResponseSerializer, **errors(400, 401, 403, 404, 409, 413, 415, 429, 503, 504)},
        tags=["chat"],
    )
    def post(self, request: Request) -> Response:
        org, accepted = self.accepted(request)
        answer = waiting.wait_for(accepted.turn_id, org=org, fresh=accepted.fresh, session_id=accepted.session_id)
        return Response(answer)


class ChatStreamView(_Chat):
    """A visitor's message in, the agent's answer out as it is written."""

    @extend_schema(
        operation_id="chat_stream",
        summary="Send a message and read the answer as it is written",
        parameters=[IDEMPOTENCY_KEY],
        request=ChatSerializer,
        responses={**STREAMS, **errors(400, 401, 403, 404, 409, 413, 415, 429, 503, 504)},
        tags=["chat"],
    )
    def post(self, request: Request) -> StreamingHttpResponse:
        org, accepted = self.accepted(request, listening="events" if _wants_events(request) else "text")
        if not accepted.fresh:
            tape.open_for(accepted.turn_id)
        return _stream(request, turn_access.accepted_turn(accepted.turn_id, org=org), org=org, fresh=accepted.fresh)


class TurnView(APIView):
    """A turn as it stands."""

    authentication_classes = [WidgetKeyAuthentication]

    @extend_schema(
        operation_id="turn",
        summary="Read a turn as it stands",
        parameters=READ_HEADERS,
        responses={200: TurnSerializer, **errors(401, 403, 404, 429, 503)},
        tags=["chat"],
    )
    def get(self, request: Request, turn_id: str) -> Response:
        org, owned = _owned(request, turn_id)
        return Response(turn_access.state_of(owned, org=org))


class TurnStreamView(APIView):
    """A turn's answer, from where a stream was cut."""

    authentication_classes = [WidgetKeyAuthentication]

    @extend_schema(
        operation_id="turn_stream",
        summary="Read a turn's answer on from where a stream was cut, or again",
        parameters=[*READ_HEADERS, LAST_EVENT_ID],
        responses={**STREAMS, **errors(401, 403, 404, 429, 503, 504)},
        tags=["chat"],
    )
    def get(self, request: Request, turn_id: str) -> StreamingHttpResponse:
        org, owned = _owned(request, turn_id)
        if owned.status in Turn.IN_FLIGHT:
            tape.open_for(owned.turn_id)
        after = streaming.Position.parse(request.headers.get("Last-Event-ID", ""))
        return _stream(request, owned, org=org, fresh=False, after=after)


def _owned(request: Request, turn_id: str) -> tuple[Organization, Owned]:
    access = cast(Access, request.auth)
    owned = turn_access.find_turn(
        org=access.org,
        key_id=access.key_id,
        turn_id=turn_id,
        session_id=request.headers.get("X-Session-Id", ""),
        user_token=request.headers.get("X-User-Token", ""),
        now=timezone.now(),
    )
    return access.org, owned


def _stream(
    request: Request,
    owned: Owned,
    *,
    org: Organization,
    fresh: bool,
    after: streaming.Position | None = None,
) -> StreamingHttpResponse:
    headers = {"X-Session-Id": owned.session_id, "X-Agent-Id": str(owned.agent_id), "X-Turn-Id": str(owned.turn_id)}
    # Only of a turn that this request has just put into the queue is it sure that it stays in its session.
    session_id = owned.session_id if fresh else ""
    if _wants_events(request):
        events = streaming.events(owned.turn_id, org=org, fresh=fresh, session_id=session_id, after=after)
        return as_events(events, request_id=_request_id(request), headers=headers)
    # Text cannot be taken back, so of a turn that may begin anew it is sent when it is whole.
    events = streaming.events(
        owned.turn_id, org=org, fresh=fresh, session_id=session_id, live=owned.keeps_text, along=False
    )
    return as_text(events, headers=headers)


def _wants_events(request: Request) -> bool:
    return EVENT_STREAM in request.headers.get("Accept", "").lower()


def _request_id(request: Request) -> str:
    return str(request._request.halo_request_id)  # type: ignore[attr-defined]


class FeedbackView(APIView):
    """A visitor's thumb, up or down, for an answer of theirs."""

    authentication_classes = [WidgetKeyAuthentication]

    @extend_schema(
        operation_id="rate_message",
        summary="Say whether an answer was helpful",
        request=FeedbackSerializer,
        responses={200: DoneSerializer, **errors(400, 401, 403, 404, 413, 415, 429, 503)},
        tags=["chat"],
    )
    def post(self, request: Request, message_id: str) -> Response:
        access = cast(Access, request.auth)
        thumb = read_feedback(json_body(request))
        labels.rate_message(org=access.org, key_id=access.key_id, message_id=message_id, now=timezone.now(), **thumb)
        return Response({"success": True})
