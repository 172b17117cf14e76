"""Where numbers are."""

from __future__ import annotations

from django.urls import path

from conversations.analytics import desk

urlpatterns = [
    path("", desk.overview, name="numbers"),
    path("gaps/", desk.gaps, name="numbers-gaps"),
    path("articles/", desk.articles, name="numbers-articles"),
    path("agents/", desk.agents, name="numbers-agents"),
    path("confidence/", desk.confidence, name="numbers-confidence"),
    path("team/", desk.team, name="numbers-team"),
    path("<slug:table>.csv", desk.export, name="numbers-export"),
]
