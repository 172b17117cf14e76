"""Whatever a model, a document or a person says: nothing of it runs, and nothing of it calls home."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.product import Stack
from tests.widget import hostile
from tests.widget.browsing import Visit

# Everything in the widget, as it stands.
LOOK = """() => {
  const root = document.querySelector('halo-agents').shadowRoot;
  const all = [...root.querySelectorAll('*')];
  return {
    tags: [...new Set(all.map((one) => one.localName))],
    attributes: [...new Set(all.flatMap((one) => one.getAttributeNames()))],
    links: [...root.querySelectorAll('a')].map((one) => [one.protocol, one.rel, one.textContent]),
    frames: document.querySelectorAll('iframe, object, embed').length,
    widgets: document.querySelectorAll('halo-agents').length,
  };
}"""
TAGS = set(
    "a bdi blockquote br button canvas code details div em form h2 header i input li ol p path pre q s section span "
    "strong summary svg table tbody td textarea th thead time tr ul".split()
)
ATTRIBUTES = set(
    "accept class d data-drop data-side data-theme datetime dir disabled enterkeyhint focusable hidden href lang "
    "maxlength multiple open placeholder rel role rows start style tabindex target title type value viewBox".split()
)


def check(visit: Visit) -> dict[str, Any]:
    """Nothing ran, nothing was asked of anybody, and only what we make is there."""
    found: dict[str, Any] = visit.page.evaluate(LOOK)
    assert set(found["tags"]) <= TAGS, set(found["tags"]) - TAGS
    named = {name for name in found["attributes"] if not name.startswith("aria-")}
    assert named <= ATTRIBUTES, named - ATTRIBUTES
    assert found["frames"] == 0 and found["widgets"] == 1
    for protocol, rel, text in found["links"]:
        assert protocol in ("http:", "https:", "mailto:"), (protocol, text)
        assert rel == "noopener noreferrer"
    assert visit.dialogs == [] and visit.foreign == []
    return found


def test_no_answer_runs_anything_or_calls_anybody(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    assert len(hostile.ALL) >= 60
    groups = [hostile.ALL[at : at + 13] for at in range(0, len(hostile.ALL), 13)]
    for group in groups:
        text = "\n\n".join(group)
        # In pieces that break words and marks anywhere, as half a link is another text than a whole one.
        stack.model.reply(chunks=[text[at : at + 17] for at in range(0, len(text), 17)], chunk_delay=0.005)
    visit.go(page_at("/hostile")).open()

    for number, group in enumerate(groups, 1):
        visit.say(f"Number {number}")
        expect(visit.page.locator("halo-agents .thumbs")).to_have_count(number)
        check(visit)
        for line in group:
            if line.startswith("<") and "\n" not in line:
                expect(visit.answers.last).to_contain_text(line[1:12])

    hosts = ("ok.example", "evil.example", urlsplit(visit.page.url).netloc)
    assert all(any(host in text for host in hosts) for _, _, text in check(visit)["links"]), "each says where it leads"
    visit.page.reload()
    visit.open()
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(len(groups))
    check(visit)


def test_what_a_visitor_writes_is_text(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    text = "\n".join([*hostile.SCRIPTS[:6], "**not bold** [x](https://ok.example)"])
    visit.go(page_at()).open().say(text)

    expect(visit.typed.last).to_contain_text("<script>alert(1)</script>")
    assert visit.typed.last.evaluate("bubble => bubble.childElementCount") == 0
    # With its answer: who left before would take another test's.
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    check(visit)


def test_a_server_that_was_taken_over_could_not_do_more(visit: Visit, page_at: Callable[..., str]) -> None:
    done = {
        "text": "See [1], [2] and [3].",
        "session_id": "sess_x",
        "agent_id": "a",
        "confidence": 0.5,
        "message_id": "m1",
        "turn_id": "t1",
        "citations": [
            {
                "n": 1,
                "article_id": "",
                "title": "<img src=x onerror=alert(1)>",
                "url": "javascript:alert(1)",
                "quote": "<b>",
            },
            {"n": 2, "article_id": "", "title": "Two", "url": "data:text/html,<script>alert(1)</script>", "quote": ""},
            {"n": 3, "article_id": "", "title": "https://bank.example", "url": hostile.EVIL, "quote": ""},
        ],
        "actions": [
            {"type": "navigate", "url": "javascript:alert(1)"},
            {"type": "navigate", "url": f"{hostile.EVIL}/login"},
            {"type": "navigate", "url": "//evil.example/login"},
            {"type": "navigate", "url": "\\\\evil.example"},
            {"type": "navigate", "url": 5},
            {"type": "highlight", "selector": "]]]<script>", "label": "<img src=x onerror=alert(1)>"},
            {"type": "highlight", "selector": "*" + ":has(*)" * 200},
            {"type": "highlight", "selector": {"not": "text"}},
            {"type": "highlight", "selector": "h1", "label": "<img src=x onerror=alert(1)>"},
            {"type": "made-up", "html": "<script>alert(1)</script>"},
        ],
    }
    stream = f"id: 1\nevent: delta\ndata: {json.dumps({'text': done['text']})}\n\nid: 2\nevent: done\ndata: {json.dumps(done)}\n\n"
    headers = {
        "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-Session-Id, X-Turn-Id",
        "X-Session-Id": "sess_x", "X-Turn-Id": "t1", "Content-Type": "text/event-stream",
    }  # fmt: skip
    visit.page.route("**/chat/stream", lambda route: route.fulfill(status=200, headers=headers, body=stream))
    visit.go(page_at()).open().say("Hello")

    expect(visit.page.locator("halo-agents .sources")).to_be_visible()
    expect(visit.page.locator("halo-agents .note")).to_have_text("<img src=x onerror=alert(1)>")
    expect(visit.page.get_by_role("button", name="Go to")).to_have_count(0)
    visit.page.locator("halo-agents summary").click()
    found = check(visit)
    assert [text for _, _, text in found["links"]] == ["https://bank.exampleevil.example"], "it says where it leads"
    for _ in range(2):
        visit.page.get_by_role("button", name="Show me").first.click()
    check(visit)
