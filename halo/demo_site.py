"""The demo's shop: a page of a customer's, so that a newcomer sees the widget do all that it does within a minute."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jwt
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from halo.demo import SLUG
from orgs.models import IdentitySecret, Organization, WidgetKey

VISITOR = "demo-robin"
TOKEN_LIFETIME = dt.timedelta(minutes=10)


@require_safe
def shop(request: HttpRequest) -> HttpResponse:
    """The shop, signed in as Robin; 404 where there is no demo."""
    org = _demo()
    key = WidgetKey.objects.for_org(org).active(now=timezone.now()).order_by("pk").first()
    if key is None:
        raise Http404
    config: dict[str, Any] = {"orgId": str(org.pk), "apiKey": key.value, "userId": VISITOR}
    return render(request, "demo/shop.html", {"config": config})


@require_safe
def token(request: HttpRequest) -> JsonResponse:
    """What a customer's server does for whoever is signed in: proves who they are.

    SECURITY: of the demo's organisation only, and for the one visitor that it has made up: whoever asks becomes
    Robin, and nobody else.
    """
    org = _demo()
    now = timezone.now()
    secret = IdentitySecret.objects.for_org(org).active(now=now).order_by("-pk").first()
    if secret is None:
        raise Http404
    claims = {"user_id": VISITOR, "name": "Robin", "plan": "pro", "iat": now, "exp": now + TOKEN_LIFETIME}
    signed = jwt.encode(claims, secret.secret, algorithm="HS256")
    return JsonResponse({"token": signed}, headers={"Cache-Control": "no-store"})


def _demo() -> Organization:
    org = Organization.objects.filter(slug=SLUG).first()
    if org is None:
        raise Http404
    return org
