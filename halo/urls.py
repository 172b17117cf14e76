"""Every address of the product."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from agents.tools import try_page
from conversations import scraping
from conversations.admin import rehearsal
from halo import demo_site, health, widget

admin.autodiscover()

urlpatterns = [
    # What is asked for most: Django tries one after the other.
    path("api/sdk/", include("conversations.api.urls")),
    path("api/sdk/", include("sessions.api.urls")),
    path("api/sdk/", include("agents.api.urls")),
    path("", health.front_door, name="front-door"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("widget.js", widget.loader, name="widget"),
    path("widget/<str:name>", widget.part, name="widget-part"),
    path("demo/", demo_site.shop, name="demo-shop"),
    path("demo/token", demo_site.token, name="demo-token"),
    path("analytics/", include("conversations.analytics.urls")),
    path("metrics", scraping.scrape, name="metrics"),
    path("api/v1/", include("conversations.records.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("transcripts/", include("conversations.transcripts.urls")),
    path("inbox/", include("conversations.inbox.urls")),
    path("admin/agents/agent/<uuid:agent_id>/try/", admin.site.admin_view(rehearsal.try_agent), name="try-agent"),
    path(
        "admin/agents/agent/<uuid:agent_id>/try/<str:key>/state/",
        admin.site.admin_view(rehearsal.state),
        name="try-agent-state",
    ),
    path("admin/agents/customtool/<uuid:tool_id>/try/", admin.site.admin_view(try_page.try_tool), name="try-tool"),
    path("admin/", admin.site.urls),
]
