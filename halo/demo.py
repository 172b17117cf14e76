"""The first organisation, so that a newcomer's first question has a real answer: our own documentation."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings

from agents import services as agents
from agents.knowledge.importing import import_articles, read_articles
from orgs.models import Organization, User, WidgetKey

SLUG = "demo"
SOURCE = "Halo's documentation"
GREETING = "Hello! Ask me about Halo."
INSTRUCTIONS = "You answer questions about Halo, an open support desk, from its documentation."


@dataclass(frozen=True, slots=True)
class Newcomer:
    """What is shown after a start; password and secret only by the start that made them."""

    organization: Organization
    widget_key: str
    login: str
    password: str
    identity_secret: str
    articles: int


def ensure_demo() -> Newcomer:
    """Makes what is missing of the demo, and brings its knowledge up to date; harmless to repeat."""
    org = Organization.objects.filter(slug=SLUG).first()
    secret = ""
    if org is None:
        ready = agents.create_ready_org(name="Demo", slug=SLUG)
        org, secret = ready.org, ready.identity_secret
        ready.agent.name, ready.agent.instructions, ready.agent.greeting = "Halo", INSTRUCTIONS, GREETING
        agents.change_agent(agent=ready.agent, names=["name", "instructions", "greeting"], by=None)
    login, password = _superuser()
    drafts = list(read_articles(settings.BASE_DIR / "docs"))
    report = import_articles(org=org, source_name=SOURCE, drafts=drafts)
    key = WidgetKey.objects.for_org(org).filter(revoked_at=None, expires_at=None).order_by("pk").first()
    return Newcomer(
        organization=org,
        widget_key=key.value if key else "",
        login=login,
        password=password,
        identity_secret=secret,
        articles=report.created + report.updated + report.unchanged,
    )


def _superuser() -> tuple[str, str]:
    """The login of a superuser, with a password only where it was made now."""
    known = User.objects.filter(is_superuser=True, is_active=True).order_by("date_joined").first()
    if known is not None:
        return known.email, ""
    password = secrets.token_urlsafe(12)
    user = User.objects.create_superuser(email="admin@example.com", password=password, name="Admin")
    return user.email, password
