"""Whether this process lives, and whether it can serve."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponseRedirect, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from halo import wire


@require_safe
def front_door(request: HttpRequest) -> HttpResponseRedirect:
    """People who open the bare address belong in the admin."""
    return HttpResponseRedirect("/admin/")


@csrf_exempt
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "live"})


@csrf_exempt
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 where the database answers, 503 where it does not; Redis away is degraded, not down."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = "ok"
    except DatabaseError:
        database = "away"
    try:
        with wire.calling() as client:
            client.ping()
        redis = "ok"
    except wire.WireAway:
        redis = "away"
    ok = database == "ok"
    status = "ready" if ok and redis == "ok" else "degraded" if ok else "unavailable"
    body = {"status": status, "database": database, "redis": redis}
    if not ok:
        body |= {"error": "The database does not answer.", "code": "unavailable"}
    return JsonResponse(body, status=200 if ok else 503, headers={} if ok else {"Retry-After": "2"})
