"""The endpoint that introduces an agent."""

from __future__ import annotations

from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from agents.api.serializers import IntroductionSerializer
from agents.introducing import introduce
from halo.api.schema import errors

FRESH_SECONDS = 60


class ConfigView(APIView):
    """What a widget shows before anybody speaks."""

    @extend_schema(
        operation_id="config",
        summary="Read how the active agent introduces itself",
        parameters=[
            OpenApiParameter("org_id", str, required=True, description="The organisation's id."),
            OpenApiParameter("If-None-Match", str, OpenApiParameter.HEADER, description="The `ETag` of what is known."),
        ],
        responses={
            200: IntroductionSerializer,
            304: OpenApiResponse(description="What is known still holds."),
            **errors(400, 404, 429, 503),
        },
        tags=["config"],
    )
    def get(self, request: Request) -> Response:
        found = introduce(org_id=request.query_params.get("org_id", ""), request=request._request)
        headers = {"ETag": f'"{found.etag}"', "Cache-Control": f"public, max-age={FRESH_SECONDS}"}
        known = [tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))]
        if headers["ETag"] in known or "*" in known:
            return Response(status=304, headers=headers)
        return Response(found.body, headers=headers)
