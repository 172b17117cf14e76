"""Pages of all kinds that the widget is put on, and what their authors can do with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.fake_model import Reply
from tests.product import Stack
from tests.widget.browsing import Visit
from tests.widget.site import PNG, Site

SHOW = [("highlight", {"selector": "#reset-password", "label": "Click here"}), ("navigate", {"url": "/orders?page=2"})]
RING = "halo-agents .ring"
# As frameworks do: all of it anew, from the state, again and again.
SINGLE_PAGE = """
window.draw = (path) => {
  history.pushState({}, '', path);
  document.body.replaceChildren();
  document.body.insertAdjacentHTML('beforeend', `<h1>${path}</h1><p>Long text</p><button id="reset-password">Reset</button>`);
};
"""


def answered(visit: Visit, count: int = 1) -> None:
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(count)


def test_a_strict_policy_has_nothing_to_refuse(
    stack: Stack, visit: Visit, page_at: Callable[..., str], halo: str
) -> None:
    policy = (
        f"default-src 'none'; script-src {halo} 'self'; connect-src {halo}; base-uri 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    stack.model.reply("With **style**.")
    headers = {"Content-Security-Policy": policy, "Cross-Origin-Embedder-Policy": "require-corp"}
    visit.go(page_at("/strict", head="", body="<h1>Northwind</h1>", headers=headers))
    visit.page.evaluate(
        "document.addEventListener('securitypolicyviolation', (e) => console.log('refused', e.blockedURI))"
    )
    visit.open().asked("Hello", "With style.")

    dot = {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}
    visit.page.locator("halo-agents input[type=file]").set_input_files(dot)
    expect(visit.page.get_by_role("img", name="Image 1")).to_be_visible()
    # Of all that was refused there is only the page's own icon.
    assert [line for line in visit.console if "'data:,'" not in line] == []
    box = visit.panel.bounding_box()
    assert box is not None and box["width"] == 400, "the style sheet is there"


def test_nothing_on_the_page_moves(visit: Visit, page_at: Callable[..., str]) -> None:
    script = """
    window.shifts = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shifts += entry.value; })
      .observe({ type: 'layout-shift', buffered: true });
    """
    visit.go(page_at("/still", script=script))
    before = visit.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    visit.open()

    assert visit.page.evaluate("window.shifts") == 0
    assert (
        visit.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == before
    )
    assert visit.page.evaluate("[document.body.style.cssText, document.head.querySelectorAll('style').length]") == [
        "",
        1,
    ]


def test_a_page_that_draws_itself_anew_keeps_its_widget_and_what_is_pointed_out(
    stack: Stack, visit: Visit, page_at: Callable[..., str]
) -> None:
    stack.model.script(Reply(text="", tool_calls=SHOW[:1]), Reply(text="I am showing you."))
    visit.go(page_at("/app", script=SINGLE_PAGE)).open().asked("Where?", "I am showing you.")
    expect(visit.page.locator(RING)).to_be_visible()

    visit.page.evaluate("window.draw('/app/other')")

    expect(visit.panel).to_be_visible()
    expect(visit.answers.last).to_have_text("I am showing you.")
    expect(visit.page.locator(RING)).to_be_visible()
    ring, target = visit.page.locator(RING).bounding_box(), visit.page.locator("#reset-password").bounding_box()
    assert ring is not None and target is not None
    assert abs(ring["x"] + 6 - target["x"]) <= 2 and abs(ring["y"] + 6 - target["y"]) <= 2
    visit.say("Still there?")
    answered(visit, 2)
    expect(visit.page.locator(RING)).to_have_count(0)


def test_an_element_is_scrolled_to_outlined_explained_and_let_go(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    stack.model.script(Reply(text="", tool_calls=SHOW), Reply(text="There it is."))
    visit.go(page_at()).open().asked("Where do I reset it?", "There it is.")

    expect(visit.page.locator("halo-agents .note")).to_contain_text("Click here")
    expect(visit.page.locator("#reset-password")).to_be_in_viewport()
    visit.page.wait_for_timeout(300)
    visit.shot(shots, "highlight-light")
    visit.page.locator("#reset-password").click()
    expect(visit.page.locator(RING)).to_have_count(0)
    visit.page.get_by_role("button", name="Show me: Click here").click()
    visit.page.get_by_role("button", name="Dismiss").click()
    expect(visit.page.locator(RING)).to_have_count(0)
    visit.page.get_by_role("button", name="Show me: Click here").click()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator(RING)).to_have_count(0)


def test_nobody_is_led_anywhere_before_they_say_so(
    stack: Stack, visit: Visit, page_at: Callable[..., str], site: Site
) -> None:
    page_at("/orders", body="<h1>Orders</h1>")
    stack.model.script(Reply(text="", tool_calls=SHOW[1:]), Reply(text="This way."))
    visit.go(page_at()).open().asked("My orders?", "This way.")
    assert visit.page.url == f"{site.base}/"

    visit.page.get_by_role("button", name="Go to /orders?page=2").click()

    visit.page.wait_for_url("**/orders?page=2")
    visit.open()
    expect(visit.answers.last).to_have_text("This way.")


def test_the_page_is_told_what_happens_and_may_act_itself(
    stack: Stack, visit: Visit, page_at: Callable[..., str]
) -> None:
    script = """
    window.told = [];
    for (const name of ['onReady', 'onChatOpen', 'onChatClose']) extra[name] = () => window.told.push(name);
    extra.onMessage = (message) => window.told.push(`${message.role}: ${message.text}`);
    extra.onAction = (action) => { window.told.push(`act: ${action.type}`); return false; };
    """
    stack.model.script(Reply(text="", tool_calls=SHOW[:1]), Reply(text="There."))
    visit.go(page_at(script=script)).open().asked("Where?", "There.")
    visit.page.evaluate("HaloAgents.getInstance().closeChat()")
    expect(visit.panel).to_be_hidden()

    assert visit.page.evaluate("window.told") == [
        "onReady",
        "onChatOpen",
        "agent: There.",
        "act: highlight",
        "onChatClose",
    ]
    expect(visit.page.locator(RING)).to_have_count(0)


def test_calls_before_the_rest_is_there_wait_in_order(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    entry = {"label": "Cart", "type": "status", "value": {"lamp": "two in the cart"}}
    visit.page.route("**/widget/halo-*.js", lambda route: (visit.page.wait_for_timeout(300), route.continue_()))
    visit.go(page_at(more={"context": {"cart": {"label": "Gone", "value": 1}}}))
    visit.page.evaluate(
        """(entry) => { const halo = HaloAgents.getInstance(); halo.clearContext(); halo.setContext('cart', entry);
        halo.openChat(); halo.sendMessage('What is in my cart?'); }""",
        entry,
    )

    answered(visit)
    expect(visit.panel).to_be_visible()
    prompt = str(stack.model.requests[-1].messages)
    assert "two in the cart" in prompt and "Gone" not in prompt


def test_a_second_start_warns_and_an_ended_one_can_be_begun_again(visit: Visit, page_at: Callable[..., str]) -> None:
    visit.go(page_at())
    expect(visit.launcher).to_be_visible()
    again = "window.again = HaloAgents.init({ orgId: 'x', apiKey: 'y' }); window.again === HaloAgents.getInstance()"
    assert visit.page.evaluate(again) is True
    assert any("destroy()" in line for line in visit.console)

    visit.page.evaluate("HaloAgents.getInstance().destroy()")

    assert visit.page.evaluate("[HaloAgents.getInstance(), document.querySelector('halo-agents')]") == [None, None]
    assert visit.page.evaluate("HaloAgents.init({}) === null"), "without an id and a key there is nothing to start"
    visit.page.reload()
    expect(visit.launcher).to_be_visible()


@pytest.mark.parametrize(
    ("ui", "path", "is_shown"),
    [("manual", "/", False), ({"trigger": False}, "/", False), ({}, "/checkout/pay", False), ({}, "/cart", True)],
)
def test_where_the_page_says_so_nothing_is_shown_until_it_is_asked_for(
    visit: Visit, page_at: Callable[..., str], ui: Any, path: str, is_shown: bool
) -> None:
    more = {"ui": ui, "manualOnPaths": ["/checkout*", "/p?y"]}
    visit.go(page_at(path, more=more, script="extra.onReady = () => document.title = 'ready'"))
    visit.page.wait_for_function("document.title === 'ready' && HaloAgents.getInstance().debug().state === 'ready'")

    expect(visit.launcher).to_be_visible(visible=is_shown)
    visit.page.evaluate("HaloAgents.getInstance().openChat()")
    expect(visit.panel).to_be_visible()


def test_an_element_of_the_page_can_be_the_launcher(visit: Visit, page_at: Callable[..., str]) -> None:
    visit.go(page_at(more={"ui": {"trigger": "#buy", "greeting": True}}))
    visit.page.wait_for_function("HaloAgents.getInstance().debug().state === 'ready'")
    expect(visit.launcher).to_be_hidden()

    visit.page.locator("#buy").click()

    expect(visit.panel).to_be_visible()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#buy")).to_be_focused()


def test_a_greeting_is_shown_where_the_page_wants_it_and_dismissed_once(
    visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    visit.go(page_at(more={"ui": {"greeting": True}}))
    greeting = visit.page.get_by_role("button", name="Hi! Ask me anything")
    expect(greeting).to_be_visible()
    visit.shot(shots, "greeting-light")
    visit.page.get_by_role("button", name="Dismiss").click()
    expect(greeting).to_be_hidden()
    visit.page.reload()
    expect(visit.launcher).to_be_visible()
    expect(greeting).to_be_hidden()


@pytest.mark.parametrize(
    ("lang", "asked", "placeholder", "direction"),
    [("de-AT", None, "Nachricht schreiben …", "ltr"), ("fr", "es", "Escriba un mensaje…", "ltr"),
     ("xx", None, "Write a message…", "ltr"), ("ar", None, "اكتب رسالة…", "rtl")],
)  # fmt: skip
def test_it_speaks_the_pages_language(
    stack: Stack, visit: Visit, page_at: Callable[..., str], lang: str, asked: Any, placeholder: str, direction: str,
    shots: Path,
) -> None:  # fmt: skip
    stack.model.reply("مرحبا! **كيف** أساعدك؟" if lang == "ar" else "Hello")
    visit.go(page_at(lang=lang, more={"locale": asked} if asked else {})).open()

    expect(visit.field).to_have_attribute("placeholder", placeholder)
    assert visit.field.evaluate("field => getComputedStyle(field.closest('.root')).direction") == direction
    if direction == "rtl":
        visit.say("أين طلبي؟")
        answered(visit)
        visit.shot(shots, "rtl-light")


def test_side_and_theme_are_the_pages_choice(visit: Visit, page_at: Callable[..., str], shots: Path) -> None:
    visit.go(page_at(more={"position": "bottom-left", "theme": "dark"})).open()

    box = visit.panel.bounding_box()
    assert box is not None and box["x"] == 20
    assert visit.panel.evaluate("panel => getComputedStyle(panel).backgroundColor") == "rgb(23, 25, 31)"
    visit.shot(shots, "left-dark")
