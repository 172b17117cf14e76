"""WCAG 2.2 AA: by axe-core in every state and both themes, and by keyboard alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.fake_model import Reply
from tests.product import ROOT, Stack
from tests.widget.browsing import Visit

AXE = ROOT / "widget" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
TELLING = (
    "Open **Settings**, see [the page](https://help.northwind.example/x) and `code`. [1]\n\n"
    '| a | b |\n|---|---|\n| 1 | 2 |\n\n[1]: "open Settings and choose Security"'
)
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: `npm ci` in widget/")


def violations(visit: Visit) -> list[str]:
    if not visit.page.evaluate("'axe' in window"):
        visit.page.evaluate(AXE.read_text())
    found = visit.page.evaluate(
        "(tags) => axe.run({ include: [['halo-agents']] }, { runOnly: { type: 'tag', values: tags } })", RULES
    )
    return [
        f"{rule['id']}: {node['html'][:120]} {node['any'][:1] and node['any'][0]['message']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def in_colour(colour: str) -> Callable[[Route], None]:
    """Answers as the server does, in another colour."""

    def answer(route: Route) -> None:
        told = route.fetch()
        body = told.json()
        body["agent"]["style"] |= {"primary_color": colour, "dark_primary_color": colour}
        route.fulfill(response=told, body=json.dumps(body))

    return answer


@needs_axe
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_state_breaks_a_rule(
    stack: Stack, visits: Callable[..., Visit], page_at: Callable[..., str], theme: Any, shots: Path
) -> None:
    visit = visits(color_scheme=theme)
    stack.model.reply(TELLING)
    stack.model.script(
        Reply(
            text="", tool_calls=[("highlight", {"selector": "#buy", "label": "Here"}), ("navigate", {"url": "/orders"})]
        ),
        Reply(text="This way."),
    )
    stack.model.reply(status=500, times=3)
    visit.go(page_at("/axe"))
    expect(visit.launcher).to_be_visible()
    states = {"launcher": violations(visit)}
    visit.open()
    states["empty"] = violations(visit)
    visit.say("How do I reset my password?")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    visit.page.locator("halo-agents summary").click()
    visit.page.get_by_role("button", name="Not helpful").click()
    states["answer"] = violations(visit)
    visit.say("Where?")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(2)
    states["highlight"] = violations(visit)
    visit.shot(shots, f"conversation-{theme}")
    visit.say("Hello?")
    expect(visit.page.get_by_role("button", name="Try again")).to_be_visible()
    visit.page.get_by_role("button", name="Start over").click()
    states["error and question"] = violations(visit)
    visit.shot(shots, f"error-{theme}")

    assert {name: found for name, found in states.items() if found} == {}


@needs_axe
@pytest.mark.parametrize(
    ("colour", "theme"),
    [("#ffff00", "light"), ("#ffff00", "dark"), ("#000000", "dark"), ("#ffffff", "light"), ("#777777", "light")],
)
def test_every_colour_of_a_customer_can_be_read(
    stack: Stack, visits: Callable[..., Visit], page_at: Callable[..., str], colour: str, theme: Any, shots: Path
) -> None:
    visit = visits(color_scheme=theme)
    visit.page.route("**/api/sdk/config*", in_colour(colour))
    stack.model.reply(TELLING)
    visit.go(page_at("/axe")).open().say("How do I reset my password?")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    visit.field.fill("More")
    assert violations(visit) == []
    visit.shot(shots, f"colour-{colour[1:]}-{theme}")


def active(visit: Visit) -> str:
    """The name of what has the focus, in the widget or on the page."""
    return str(
        visit.page.evaluate(
            """() => {
          const on = document.activeElement;
          const it = on.shadowRoot ? on.shadowRoot.activeElement : on;
          return it.ariaLabel || it.id || it.textContent || it.localName;
        }"""
        )
    )


def test_everything_is_done_by_keyboard_alone(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    stack.model.reply(TELLING)
    keys = visit.page.keyboard
    visit.go(page_at("/keys", body='<a id="last" href="#x">Last</a>'))
    expect(visit.launcher).to_be_visible()
    visit.page.locator("#last").focus()
    keys.press("Tab")
    assert active(visit) == "Open chat"
    keys.press("Enter")
    expect(visit.field).to_be_focused()
    keys.type("How do I reset my password?")
    keys.press("Shift+Enter")
    keys.press("Enter")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    expect(visit.field).to_be_focused()

    order = []
    visit.page.get_by_role("button", name="Start over").focus()
    for _ in range(12):
        order.append(active(visit))
        keys.press("Tab")
    assert order[:3] == ["Start over", "Close chat", "Conversation"]
    assert order[3].startswith("the page") and order[4].startswith("Source 1")
    assert [name for name in order if name in ("Helpful", "Not helpful", "Add images", "Message")] == [
        "Helpful", "Not helpful", "Add images", "Message",
    ]  # fmt: skip

    visit.page.get_by_role("button", name="Start over").focus()
    keys.press("Enter")
    assert active(visit) == "Start over"
    keys.press("Escape")
    assert active(visit) == "Start over"
    expect(visit.panel).to_be_visible()
    keys.press("Escape")
    expect(visit.panel).to_be_hidden()
    assert active(visit) == "Open chat", "focus returns to where it came from"


def test_answers_are_announced_whole_and_once(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    stack.model.reply(chunks=["It ", "comes ", "on ", "Monday."], chunk_delay=0.15)
    visit.go(page_at()).open()
    visit.page.evaluate(
        """() => {
      window.heard = [];
      const log = document.querySelector('halo-agents').shadowRoot.querySelector('[role=log]');
      new MutationObserver((list) => list.forEach((one) => one.addedNodes.forEach((node) => window.heard.push(node.textContent))))
        .observe(log, { childList: true, subtree: true });
    }"""
    )
    visit.asked("When?", "It comes on Monday.")

    assert visit.page.evaluate("window.heard") == ["Nova: It comes on Monday."]
    assert visit.page.locator("halo-agents [role=log]").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize(("width", "height"), [(320, 640), (640, 400), (320, 256)])
def test_narrow_screens_and_zoomed_pages_show_everything(
    stack: Stack, visits: Callable[..., Visit], page_at: Callable[..., str], width: int, height: int, shots: Path
) -> None:
    stack.model.reply(TELLING.replace("Settings", "Settings" * 8))
    visit = visits(width=width, height=height)
    visit.go(page_at()).open().say("How do I reset my password?" + "x" * 60)
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    visit.shot(shots, f"narrow-{width}x{height}")

    for name in ("Send", "Close chat", "Add images", "Start over"):
        box = visit.panel.get_by_role("button", name=name).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width, name
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, name
    assert visit.page.locator("halo-agents .list").evaluate("list => list.scrollWidth <= list.clientWidth")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # The panel covers the page, so the focus stays in it.
    for _ in range(16):
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement.localName") == "halo-agents"


def test_who_wants_no_motion_gets_none(stack: Stack, visits: Callable[..., Visit], page_at: Callable[..., str]) -> None:
    stack.model.reply("Later", delay=5)
    visit = visits(reduced_motion="reduce")
    visit.go(page_at()).open().say("Hello")
    dot = visit.page.locator("halo-agents .dots i").first
    expect(dot).to_be_visible()

    # Asked until it holds: the dots are drawn anew with each status.
    for element in (dot, visit.panel, visit.launcher):
        expect(element).to_have_css("animation-name", "none")
        expect(element).to_have_css("transition-property", re.compile("^(none|all)$"))
    assert visit.launcher.evaluate("one => getComputedStyle(one).transitionDuration") == "0s"
