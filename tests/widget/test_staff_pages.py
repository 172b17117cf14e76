"""The staff's pages in a browser: each role's main paths, nothing hostile runs there, and AA by axe-core.

All that visitors, models, customers' systems and colleagues can write is hostile here, and on every page it is text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.product import Stack
from tests.widget.browsing import Visit
from tests.widget.test_accessibility import AXE, RULES

PASSWORD = "long enough for a test"
ROLES = ("owner", "admin", "support", "analyst")
FURNISH = f"""
import json
from django.utils import timezone
from agents.models import Agent, Article, Guidance
from agents.knowledge.importing import Draft, import_articles
from agents.services import create_ready_org
from conversations.bulk.importing import import_conversations
from conversations.models import CannedReply, Conversation, Message, Note, Ticket, Turn
from orgs.members import add_member
from orgs.models import Organization, Team, User
from sessions.models import Company, EndUser, Event
from tests.widget.hostile import ALL

create_ready_org(name="Besieged")
org = Organization.objects.get(name="Besieged")
people = {{}}
for role in {ROLES!r}:
    people[role] = User.objects.create_user(role + "@besieged.example", {PASSWORD!r}, name=ALL[0])
    add_member(org=org, user=people[role], role=role, by=None)
call = lambda text: {{"id": "c", "type": "function", "function": {{"name": "look", "arguments": json.dumps({{"x": text}})}}}}
groups = [ALL[at : at + 13] for at in range(0, len(ALL), 13)]
lines = [
    json.dumps({{"id": f"talk {{number}}", "language": "en", "messages": [
        said for text in group for said in (
            {{"role": "user", "content": text}},
            {{"role": "assistant", "content": "", "tool_calls": [call(text)]}},
            {{"role": "tool", "tool_call_id": "c", "name": "look", "content": text}},
            {{"role": "assistant", "content": text}},
        )
    ]}}).encode()
    for number, group in enumerate(groups)
]
report = import_conversations(org=org, lines=lines, total=len(lines))
assert report.created == len(groups), report.refused
Conversation.objects.for_org(org).update(status="open")
now = timezone.now()
team = Team.objects.create(org=org, name=ALL[1])
pages = []
for number, conversation in enumerate(Conversation.objects.for_org(org).select_related("session")):
    text = ALL[number]
    company = Company.objects.create(org=org, external_id=f"c {{number}} {{text}}", name=text)
    person = EndUser.objects.create(
        org=org, external_id=f"u {{number}} {{text}}", name=text, company=company, custom_fields={{text: text}}
    )
    conversation.session.end_user = person
    conversation.session.save()
    Turn.objects.filter(conversation=conversation).update(
        snapshot={{"traits": {{text: text}}, "context": [{{"label": text, "value": text}}]}}, error_detail=text
    )
    Message.objects.filter(conversation=conversation, author="agent").update(
        citations=[{{"n": 1, "article_id": text, "title": text, "url": "javascript:alert(1)", "quote": text}}]
    )
    ticket = Ticket.objects.create(
        org=org, number=number + 1, session=conversation.session, conversation=conversation, requester=person,
        subject=text, message=text, summary=text, team=team, metadata={{text: text}},
    )
    Note.objects.create(org=org, conversation=conversation, author=people["owner"], text=text)
    Event.objects.create(
        org=org, session=conversation.session, end_user=person, event_type=text[:100], element_selector=text,
        page_url="javascript:alert(1)", metadata={{text: text}}, created_at=now,
    )
    pages += [
        f"/transcripts/{{conversation.pk}}/",
        f"/inbox/c/{{conversation.pk}}/",
        f"/admin/conversations/conversation/{{conversation.pk}}/change/",
        f"/admin/conversations/ticket/{{ticket.pk}}/change/",
        f"/admin/chat_sessions/enduser/{{person.pk}}/change/",
        f"/admin/chat_sessions/company/{{company.pk}}/change/",
        f"/admin/conversations/conversation/{{conversation.pk}}/turns/{{Turn.objects.filter(conversation=conversation).first().pk}}/",
    ]
CannedReply.objects.create(org=org, name="hostile", text=ALL[2])
drafts = [Draft(external_id="hostile", title=ALL[3], url="", content="\\n\\n".join(ALL))]
import_articles(org=org, source_name=ALL[5], drafts=drafts)
article = Article.objects.for_org(org).get()
guidance = Guidance.objects.create(org=org, title=ALL[4], text="\\n".join(ALL)[:1500])
pages += [f"/admin/agents/article/{{article.pk}}/change/", f"/admin/agents/guidance/{{guidance.pk}}/change/"]
print(json.dumps(pages))
"""
# Where each role may be, and where it is sent away.
DESK = ["/inbox/", "/inbox/?view=open", "/transcripts/", "/transcripts/?q=alert", "/analytics/", "/analytics/gaps/"]
LISTS = [
    "/admin/",
    *[
        f"/admin/{page}/"
        for page in (
            "conversations/conversation", "conversations/ticket", "conversations/cannedreply",
            "chat_sessions/enduser", "chat_sessions/company", "chat_sessions/event", "agents/article",
            "agents/guidance", "agents/agent", "orgs/team", "analytics/confidence",
        )
    ],
]  # fmt: skip
MANAGERS = ["/admin/orgs/membership/", "/admin/orgs/auditentry/", "/admin/privacy/", "/admin/conversations/outboxitem/"]
OTHERS = [
    "/analytics/articles/", "/analytics/agents/", "/analytics/confidence/", "/analytics/team/",
    "/admin/analytics/confidence/", "/admin/export/", "/admin/install/", "/admin/password_change/",
]  # fmt: skip
LOOKS = ["color-contrast", "target-size", "scrollable-region-focusable"]
FORMS = [
    f"/admin/{page}/"
    for page in (
        "agents/source", "agents/customtool", "agents/routingrule", "agents/agentversion", "conversations/webhook",
        "orgs/apikey", "orgs/identitysecret", "orgs/organization", "orgs/widgetkey",
    )
]  # fmt: skip


@pytest.fixture(scope="module")
def pages(stack: Stack) -> list[str]:
    """The addresses of rows that are hostile all over."""
    found: list[str] = json.loads(stack.manage("shell", "-c", FURNISH).splitlines()[-1])
    return found


@pytest.fixture
def enter(browser: Browser, halo: str) -> Iterator[Callable[..., Visit]]:
    contexts = []

    def log_in(role: str, *, width: int = 1280, scheme: str = "light") -> Visit:
        size: Any = {"width": width, "height": 900}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme, locale="en-GB"))  # type: ignore[arg-type]
        visit = Visit(contexts[-1], hosts={halo.removeprefix("http://")})
        visit.go(f"{halo}/admin/login/")
        visit.page.fill("input[name=username]", f"{role}@besieged.example")
        visit.page.fill("input[name=password]", PASSWORD)
        visit.page.click("button[type=submit]")
        visit.page.wait_for_url(f"{halo}/admin/")
        return visit

    yield log_in
    for context in contexts:
        context.close()


def harmless(visit: Visit, path: str) -> None:
    assert visit.dialogs == [] and visit.foreign == [], path
    refused = [line for line in visit.console if "Content Security Policy" in line or line.startswith("error: ")]
    assert refused == [], (path, refused)
    evil = "[...document.links].filter((link) => !/^(https?:|mailto:)/.test(link.protocol)).map((link) => link.href)"
    assert visit.page.evaluate(evil) == [], path


def test_nothing_that_anybody_writes_runs_on_any_page(
    pages: list[str], enter: Callable[..., Visit], halo: str, shots: Path
) -> None:
    owner = enter("owner")
    for path in [*DESK, *LISTS, *MANAGERS, *pages]:
        answer = owner.page.goto(f"{halo}{path}")
        assert answer is not None and answer.status == 200, (path, answer and answer.status)
        harmless(owner, path)
    owner.go(f"{halo}{pages[0]}").shot(shots, "staff-hostile-transcript")
    owner.go(f"{halo}{pages[1]}").shot(shots, "staff-hostile-inbox")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_finds_its_way(role: str, pages: list[str], enter: Callable[..., Visit], halo: str) -> None:
    visit = enter(role)
    for path in [*DESK, *LISTS, pages[0]]:
        answer = visit.page.goto(f"{halo}{path}")
        assert answer is not None and answer.status == 200, (path, answer and answer.status)
    for path in MANAGERS:
        answer = visit.page.goto(f"{halo}{path}")
        assert answer is not None and answer.status == (200 if role in ("owner", "admin") else 403), path
    visit.go(f"{halo}{pages[1]}")
    assert visit.page.locator("#words").count() == 1
    may_reply = visit.page.get_by_role("button", name="Reply", exact=True).count() > 0
    assert may_reply == (role != "analyst"), "analysts write notes"


def in_order(visit: Visit, path: str, *, looks: bool = False) -> None:
    """No rule of WCAG 2.2 AA is broken, or none of those that `looks` alone decide, and nothing is wider than the page."""
    wide = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 1, (path, wide)
    visit.page.evaluate(AXE.read_text())
    only = {"type": "rule", "values": LOOKS} if looks else {"type": "tag", "values": RULES}
    found = visit.page.evaluate("(only) => axe.run(document, { runOnly: only })", only)
    wrong = [(rule["id"], rule["nodes"][0]["html"][:160]) for rule in found["violations"]]
    assert wrong == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit_wide_and_narrow(
    scheme: str, pages: list[str], enter: Callable[..., Visit], halo: str, shots: Path
) -> None:
    for width in (1280, 390):
        visit = enter("owner", width=width, scheme=scheme)
        for name, path in {
            "inbox": "/inbox/?view=open",
            "inbox-thread": pages[1],
            "transcripts": "/transcripts/?q=alert",
            "transcript": pages[0],
            "numbers": "/analytics/",
            "gaps": "/analytics/gaps/",
            "front": "/admin/",
        }.items():
            visit.go(f"{halo}{path}").shot(shots, f"staff-{name}-{scheme}-{width}")
            in_order(visit, path)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_other_page_is_accessible_and_fits(
    scheme: str, width: int, pages: list[str], enter: Callable[..., Visit], halo: str
) -> None:
    visit = enter("owner", width=width, scheme=scheme)
    # What a page is made of is the same in every theme and width.
    looks = scheme == "dark"
    for path in OTHERS:
        in_order(visit.go(f"{halo}{path}"), path, looks=looks)
    for path in [*LISTS[1:-1], *MANAGERS, *FORMS]:
        in_order(visit.go(f"{halo}{path}"), path, looks=looks)
        link = visit.page.locator(f"a[href^='{path}add/']")
        add = link.first.get_attribute("href") if link.count() else None
        row = visit.page.locator("#result_list th a, #result_list td a")
        change = row.first.get_attribute("href") if row.count() else None
        for form in (add, change):
            if form and form.startswith("/admin/"):
                in_order(visit.go(f"{halo}{form}"), form, looks=looks)
    visit.page.context.clear_cookies()
    in_order(visit.go(f"{halo}/admin/login/"), "login")
