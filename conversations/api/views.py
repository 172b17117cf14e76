"""The endpoints of visitors: chat, and what they think of an answer."""

from __future__ import annotations

from typing import cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations import idempotency, labels, services, waiting
from conversations.api.serializers import (
    ChatResponseSerializer,
    ChatSerializer,
    DoneSerializer,
    FeedbackSerializer,
    read_chat_request,
    read_feedback,
)
from halo.api.addresses import client_address, page_of
from halo.api.parsers import json_body
from halo.api.schema import errors
from orgs.authentication import Access, WidgetKeyAuthentication

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="16 to 255 random printable characters. The same key and body is the same turn, for 24 hours.",
)


class ChatView(APIView):
    """A visitor's message in, the agent's answer out."""

    authentication_classes = [WidgetKeyAuthentication]

    @extend_schema(
        operation_id="chat",
        summary="Send a message and wait for the answer",
        parameters=[IDEMPOTENCY_KEY],
        request=ChatSerializer,
        responses={200: ChatResponseSerializer, **errors(400, 401, 403, 404, 409, 413, 415, 429, 503, 504)},
        tags=["chat"],
    )
    def post(self, request: Request) -> Response:
        access = cast(Access, request.auth)
        chat = read_chat_request(json_body(request))
        key = idempotency.check_shape(request.headers.get("Idempotency-Key", ""))
        accepted = services.accept(
            org=access.org,
            key_id=access.key_id,
            request=chat,
            idempotency_key=key,
            address=client_address(request._request),
            request_id=request._request.halo_request_id,  # type: ignore[attr-defined]
            now=timezone.now(),
            page=page_of(request._request),
        )
        return Response(waiting.wait_for(accepted.turn_id, org=access.org, fresh=accepted.fresh))


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
