"""The endpoints that an organisation's own tools read its records from."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from conversations.records.cursors import DEFAULT_LIMIT, MOST, read_query
from conversations.records.listing import list_conversations, list_messages, list_tickets
from conversations.records.serializers import ConversationPageSerializer, MessagePageSerializer, TicketPageSerializer
from halo.api.schema import ErrorSerializer, errors
from orgs.api_authentication import ApiAccess, ApiKeyAuthentication
from orgs.models import ApiKey, Organization

PAGING = [
    OpenApiParameter("limit", int, description=f"1 to {MOST}; {DEFAULT_LIMIT} otherwise."),
    OpenApiParameter("cursor", str, description="The `cursor` of the page before."),
    OpenApiParameter("updated_since", str, description="A date or time in ISO 8601; what changed before is left out."),
]
OF_ONE = OpenApiParameter("conversation_id", str, description="The messages of this conversation only.")
ALLOWED = frozenset({"limit", "cursor", "updated_since"})
REFUSALS = {
    **errors(400, 429, 503),
    401: OpenApiResponse(ErrorSerializer, description="The API key is missing, unknown, revoked, or past its time."),
    403: OpenApiResponse(ErrorSerializer, description="The API key may not read this."),
}


class _Records(APIView):
    authentication_classes = [ApiKeyAuthentication]

    def org(self, request: Request, scope: ApiKey.Scope) -> Organization:
        """Whose records they are; raises where the key may not read these."""
        return cast(ApiAccess, request.auth).enter(scope)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        done = super().finalize_response(request, response, *args, **kwargs)
        done["Cache-Control"] = "no-store"
        return done


class ConversationsView(_Records):
    """Conversations in the order of their last change, without what was said."""

    @extend_schema(
        operation_id="list_conversations",
        summary="Read conversations",
        parameters=PAGING,
        responses={200: ConversationPageSerializer, **REFUSALS},
        tags=["records"],
    )
    def get(self, request: Request) -> Response:
        org = self.org(request, ApiKey.Scope.CONVERSATIONS)
        return Response(list_conversations(org=org, asked=read_query(request.query_params, allowed=ALLOWED)))


class MessagesView(_Records):
    """Messages in the order in which they were stored."""

    @extend_schema(
        operation_id="list_messages",
        summary="Read messages",
        parameters=[*PAGING, OF_ONE],
        responses={200: MessagePageSerializer, **REFUSALS, **errors(404)},
        tags=["records"],
    )
    def get(self, request: Request) -> Response:
        org = self.org(request, ApiKey.Scope.MESSAGES)
        asked = read_query(request.query_params, allowed=ALLOWED | {"conversation_id"})
        return Response(list_messages(org=org, asked=asked))


class TicketsView(_Records):
    """Tickets in the order of their last change."""

    @extend_schema(
        operation_id="list_tickets",
        summary="Read tickets",
        parameters=PAGING,
        responses={200: TicketPageSerializer, **REFUSALS},
        tags=["records"],
    )
    def get(self, request: Request) -> Response:
        org = self.org(request, ApiKey.Scope.TICKETS)
        return Response(list_tickets(org=org, asked=read_query(request.query_params, allowed=ALLOWED)))
