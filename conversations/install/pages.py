"""The address of the install page, and of its part that is asked for again and again."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from agents.models import Agent
from conversations.install.looking import look
from conversations.install.samples import samples
from halo import markdown
from halo.errors import NotFound
from orgs.models import IdentitySecret, Organization, WidgetKey
from orgs.permissions import Action, may, orgs_of
from orgs.staff_pages import Door, StaffPage

SNIPPET = """<script src="{host}/widget.js"></script>
<script>
  HaloAgents.init({{
    orgId: "{org}",
    apiKey: "{key}",
  }});
</script>
"""
SIGNED_IN = """<script src="{host}/widget.js"></script>
<script>
  HaloAgents.init({{
    orgId: "{org}",
    apiKey: "{key}",
    userId: "user-42", // your own id of whoever is signed in
    getUserToken: async () => (await fetch("/halo-token", {{ method: "POST" }})).text(),
  }});
</script>
"""


def show_install(request: HttpRequest, org: Organization) -> HttpResponse:
    """The snippet, how users are verified, and what arrives."""
    now = timezone.now()
    keys = list(WidgetKey.objects.for_org(org).active(now=now).order_by("expires_at", "-created_at", "-pk"))
    # Those that go on working first: a null sorts behind every date.
    keys.sort(key=lambda key: key.expires_at is not None)
    key = _chosen(keys, request.GET.get("key", ""))
    host = settings.HALO_PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")
    values = {"host": host, "org": org.pk, "key": key.value if key else ""}
    secrets = IdentitySecret.objects.for_org(org).active(now=now)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Install",
        "org": org,
        "several_orgs": orgs_of(request.user, Action.MANAGE_WIDGET_KEYS).count() > 1,
        "keys": keys,
        "key": key,
        "host": host,
        "snippet": SNIPPET.format(**values),
        "signed_in": SIGNED_IN.format(**values),
        "samples": [(sample, markdown.render(sample.says)) for sample in samples()],
        "has_agent": Agent.objects.for_org(org).filter(is_default=True, status=Agent.Status.ACTIVE).exists(),
        "secrets": list(secrets.order_by("-pk")),
        "may_secrets": may(request.user, Action.MANAGE_SECRETS, org),
        "may_settings": may(request.user, Action.CHANGE_SETTINGS, org),
        "look": look(org, now=time.time()),
    }
    return TemplateResponse(request, "admin/halo/install.html", context)


def show_state(request: HttpRequest, org: Organization) -> HttpResponse:
    """The live check alone."""
    context = {"org": org, "look": look(org, now=time.time())}
    response = TemplateResponse(request, "admin/halo/install_state.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _chosen(keys: list[WidgetKey], wanted: str) -> WidgetKey | None:
    """The key that the address names, else the newest that works without an end; NotFound for one that is not there."""
    if not wanted:
        return keys[0] if keys else None
    # SECURITY: another organisation's key, one that has ended and one that nobody has look the same.
    found = next((key for key in keys if str(key.pk) == wanted), None)
    if found is None:
        raise NotFound
    return found


INSTALL = StaffPage(
    name="install",
    title="Install",
    route="install/",
    doors=(
        Door(show_install, Action.MANAGE_WIDGET_KEYS),
        # Asked for every few seconds, by a page that is in the audit already.
        Door(show_state, Action.MANAGE_WIDGET_KEYS, route="state/", name="state", audited=False),
    ),
)
