"""The endpoint that takes tickets."""

from __future__ import annotations

from typing import cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations import idempotency, sent_in
from conversations.api.ticket_serializers import CreatedTicketSerializer, CreateTicketSerializer, read_ticket
from conversations.api.views import IDEMPOTENCY_KEY
from halo.api.addresses import client_address
from halo.api.parsers import json_body
from halo.api.schema import errors
from orgs.authentication import Access, WidgetKeyAuthentication


class CreateTicketView(APIView):
    """A form or a server asks for something."""

    authentication_classes = [WidgetKeyAuthentication]

    @extend_schema(
        operation_id="create_ticket",
        summary="Send a ticket in",
        parameters=[IDEMPOTENCY_KEY],
        request=CreateTicketSerializer,
        responses={200: CreatedTicketSerializer, **errors(400, 401, 403, 409, 413, 415, 429, 503)},
        tags=["tickets"],
    )
    def post(self, request: Request) -> Response:
        access = cast(Access, request.auth)
        asked = read_ticket(json_body(request))
        ticket = sent_in.send_in(
            org=access.org,
            key_id=access.key_id,
            request=asked,
            idempotency_key=idempotency.check_shape(request.headers.get("Idempotency-Key", "")),
            address=client_address(request._request),
            now=timezone.now(),
        )
        return Response(ticket)
