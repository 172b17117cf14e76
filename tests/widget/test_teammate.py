"""A teammate steps in, writes, and closes; the visitor sees it as it happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.product import Stack
from tests.widget.browsing import Visit

STEP = """
from conversations.models import Conversation
from conversations.replying import reply, type_to
from conversations.takeover import close, take_over
from orgs.members import add_member
from orgs.models import User
conversation = Conversation.objects.select_related("org").order_by("-last_message_at").first()
ana = User.objects.filter(email="ana@acme.example").first()
if ana is None:
    ana = User.objects.create_user("ana@acme.example", "long enough for a test", name="Ana")
    add_member(org=conversation.org, user=ana, role="support", by=None)
"""


def test_a_teammate_takes_over_writes_and_closes(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    visit.go(page_at(more={"theme": "dark"})).open().say("I need somebody")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)

    stack.manage(
        "shell", "-c", f"{STEP}take_over(conversation=conversation, by=ana)\ntype_to(conversation=conversation, by=ana)"
    )
    expect(visit.page.get_by_role("dialog", name="Ana")).to_be_visible()
    expect(visit.page.get_by_text("From the team")).to_be_visible()
    visit.say("Is that you, Ana?")
    expect(visit.page.locator("halo-agents .line.system")).to_have_count(1)
    visit.say("Hello?")
    expect(visit.typed).to_have_count(3)
    visit.page.keyboard.press("Escape")
    expect(visit.panel).to_be_hidden()
    asked = len(stack.model.requests)

    words = "Yes, **it is me**. <img src=x onerror=alert(1)>"
    stack.manage("shell", "-c", f"{STEP}reply(conversation=conversation, text={words!r}, by=ana)")
    expect(visit.page.get_by_role("button", name="Open chat, new messages")).to_be_visible()
    visit.open()
    expect(visit.page.locator("halo-agents .line.teammate .bubble")).to_have_text(
        "Yes, it is me. <img src=x onerror=alert(1)>"
    )
    expect(visit.page.locator("halo-agents .line.system")).to_have_count(1)
    visit.shot(shots, "teammate-dark")
    assert len(stack.model.requests) == asked, "no model was asked"
    visit.page.reload()
    visit.open()
    expect(visit.page.get_by_role("dialog", name="Ana")).to_be_visible()
    expect(visit.page.locator("halo-agents .line.teammate")).to_have_count(1)

    stack.manage("shell", "-c", f"{STEP}close(conversation=conversation, by=ana)")
    expect(visit.page.get_by_text("This conversation was closed.")).to_be_visible()
    expect(visit.page.get_by_role("dialog", name="Nova")).to_be_visible()
    visit.say("One more thing")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(2)
    assert visit.dialogs == []
