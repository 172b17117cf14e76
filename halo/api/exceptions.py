"""One handler that renders every failure of an endpoint in the specified shape."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse
from redis.exceptions import RedisError
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from halo.errors import HaloError, InvalidKey, InvalidRequest, NotFound, RateLimited, Unavailable

log = structlog.get_logger(__name__)

# Words for statuses that Django or DRF raise without one of ours.
CODES = {
    400: ("invalid_request", "The request is not valid."),
    401: ("invalid_key", "The widget key is missing, not valid, or not allowed from this origin."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This method is not allowed here."),
    413: ("too_large", "The body is too large."),
    415: ("unsupported_media_type", "Send the body as application/json in UTF-8, not encoded."),
    429: ("rate_limited", "Too many requests; please wait a moment and try again."),
    503: ("unavailable", "The service is unavailable at the moment; please try again."),
}


INTERNAL = ("internal_error", "Something went wrong on our side.")


def error_body(code: str, message: str, *, field: str | None, request_id: str) -> dict[str, Any]:
    """`{"error", "code", "field"?, "request_id"}`, the shape of every status of 400 and above."""
    body: dict[str, Any] = {"error": message, "code": code}
    if field is not None:
        body["field"] = field
    body["request_id"] = request_id
    return body


def words_for(status: int) -> tuple[str, str]:
    """The code and sentence of a bare status."""
    return CODES.get(status) or (CODES[400] if status < 500 else INTERNAL)


def handle(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER: HaloErrors as they are, the rest translated; None lets a defect become a logged 500."""
    error = _translate(exc)
    if error is None:
        return None
    set_rollback()
    request = context["request"]._request
    return error_response(error, request_id=getattr(request, "halo_request_id", ""))


def error_response(error: HaloError, *, request_id: str) -> Response:
    """The response for an anticipated failure."""
    body = error_body(error.code, error.message, field=error.field, request_id=request_id)
    response = Response(body, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(max(1, error.retry_after))
    return response


def bare_response(status: int, *, request_id: str) -> HttpResponse:
    """The specified error body for a status that was raised outside DRF."""
    code, message = words_for(status)
    response = JsonResponse(error_body(code, message, field=None, request_id=request_id), status=status)
    if status in (429, 503):
        response["Retry-After"] = "2"
    return response


def _translate(exc: Exception) -> HaloError | None:
    if isinstance(exc, HaloError):
        return exc
    if isinstance(exc, Http404):
        return NotFound()
    if isinstance(exc, (OperationalError, InterfaceError, RedisError)):
        log.warning("dependency_unavailable", error=type(exc).__name__)
        return Unavailable()
    if isinstance(exc, (drf.NotAuthenticated, drf.AuthenticationFailed)):
        return InvalidKey()
    if isinstance(exc, drf.Throttled):
        return RateLimited(retry_after=int(getattr(exc, "wait", None) or 1))
    if isinstance(exc, (drf.ParseError, drf.ValidationError, SuspiciousOperation, UnicodeError)):
        return InvalidRequest("The request is not valid.")
    status = (
        exc.status_code
        if isinstance(exc, drf.APIException)
        else 403
        if isinstance(exc, PermissionDenied)
        else 413
        if isinstance(exc, RequestDataTooBig)
        else None
    )
    if status is None:
        return None
    code, message = words_for(status)
    return HaloError(code, message, status=status)
