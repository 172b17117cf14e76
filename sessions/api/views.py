"""The endpoints about people, companies and events."""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from halo.api.addresses import client_address
from halo.api.parsers import json_body
from halo.api.schema import DoneSerializer, errors
from orgs.authentication import Access, WidgetKeyAuthentication
from sessions import services
from sessions.api.serializers import (
    BackfillSerializer,
    CompanySerializer,
    IdentifyCompanySerializer,
    IdentifyUserSerializer,
    RecordEventsSerializer,
    UpdateUsersSerializer,
    UserSerializer,
    read_company,
    read_events,
    read_user,
    read_users,
)
from sessions.services import Caller

REFUSALS = errors(400, 401, 403, 413, 415, 429, 503)


class _Told(APIView):
    authentication_classes = [WidgetKeyAuthentication]

    def caller(self, request: Request) -> Caller:
        """Who sends this."""
        access = cast(Access, request.auth)
        return Caller(access.org, access.key_id, client_address(request._request), timezone.now())


class IdentifyUserView(_Told):
    """A site says who is there."""

    @extend_schema(
        operation_id="identify_user",
        summary="Say who the visitor is",
        request=IdentifyUserSerializer,
        responses={200: UserSerializer, **REFUSALS},
        tags=["people"],
    )
    def post(self, request: Request) -> Response:
        told = read_user(json_body(request))
        return Response(services.identify_user(caller=self.caller(request), **told))


class UpdateUsersView(_Told):
    """A server says what it knows of users."""

    @extend_schema(
        operation_id="update_users",
        summary="Store users from your own records",
        request=UpdateUsersSerializer,
        responses={200: BackfillSerializer, **REFUSALS},
        tags=["people"],
    )
    def post(self, request: Request) -> Response:
        told = read_users(json_body(request))
        return Response(asdict(services.update_users(caller=self.caller(request), **told)))


class IdentifyCompanyView(_Told):
    """A site says which company the visitor belongs to."""

    @extend_schema(
        operation_id="identify_company",
        summary="Say which company the visitor belongs to",
        request=IdentifyCompanySerializer,
        responses={200: CompanySerializer, **REFUSALS},
        tags=["people"],
    )
    def post(self, request: Request) -> Response:
        told = read_company(json_body(request))
        return Response(services.identify_company(caller=self.caller(request), **told))


class EventsView(_Told):
    """A site says what the visitor did."""

    @extend_schema(
        operation_id="record_events",
        summary="Tell what the visitor did on the site",
        request=RecordEventsSerializer,
        responses={200: DoneSerializer, **REFUSALS},
        tags=["events"],
    )
    def post(self, request: Request) -> Response:
        told = read_events(json_body(request))
        session_id = services.record_events(caller=self.caller(request), **told)
        return Response({"success": True}, headers={"X-Session-Id": session_id} if session_id else None)
