"""Who is who: tokens that expire or are refused, and conversations that belong to somebody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.product import Stack
from tests.widget.browsing import Visit
from tests.widget.site import Site

TOKENS = """
window.asked = 0; window.failures = [];
extra.getUserToken = async () => { window.asked++; return (await fetch('/token')).json(); };
extra.onIdentityFailure = (error) => window.failures.push(error.code);
"""
VERIFIED = "SELECT verified FROM conversations_turn ORDER BY accepted_at DESC LIMIT 1"


def answered(visit: Visit, count: int = 1) -> None:
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(count)


def test_a_token_is_asked_for_when_it_is_missing_and_when_it_has_expired(
    stack: Stack, visit: Visit, page_at: Callable[..., str], site: Site, verified: Any, token: Callable[..., str]
) -> None:
    tokens = iter([token(lives=5), token(lives=600)])
    site.asked["/token"] = lambda: next(tokens)
    visit.go(page_at(more={**verified, "userId": "u1"}, script=TOKENS)).open()

    visit.say("Who am I?")
    answered(visit)
    assert stack.sql(VERIFIED) == [(True,)]
    # The first one is about to expire, so the second is there before the server would say so.
    visit.say("And now?")
    answered(visit, 2)

    assert stack.sql(VERIFIED) == [(True,)]
    assert visit.page.evaluate("[window.asked, window.failures]") == [2, []]


def test_a_token_that_is_refused_is_replaced_once(
    stack: Stack, visit: Visit, page_at: Callable[..., str], site: Site, verified: Any, token: Callable[..., str]
) -> None:
    site.asked["/token"] = lambda: token("u2")
    config = {**verified, "userId": "u2", "userToken": token("somebody-else")}
    visit.go(page_at(more=config, script=TOKENS)).open()

    visit.say("Who am I?")
    answered(visit)

    assert stack.sql(VERIFIED) == [(True,)]
    assert visit.page.evaluate("[window.asked, window.failures]") == [1, []]


def test_whoever_is_refused_for_good_is_told_so_and_can_try_again(
    stack: Stack, visit: Visit, page_at: Callable[..., str], site: Site, verified: Any, token: Callable[..., str]
) -> None:
    given = {"token": token("somebody-else")}
    site.asked["/token"] = lambda: given["token"]
    visit.go(page_at(more={**verified, "userId": "u3"}, script=TOKENS)).open()

    visit.say("Let me in")
    expect(visit.page.get_by_role("alert")).to_contain_text("You could not be identified")
    assert "identity_failed" in visit.page.evaluate("window.failures")
    assert stack.model.requests == []

    given["token"] = token("u3")
    visit.page.get_by_role("button", name="Try again").click()
    answered(visit)
    expect(visit.typed).to_have_text(["Let me in"])


def test_an_anonymous_conversation_becomes_the_users(
    stack: Stack, visit: Visit, page_at: Callable[..., str], verified: Any, token: Callable[..., str]
) -> None:
    visit.go(page_at(more=verified)).open().say("Hello")
    answered(visit)
    session = json.loads(visit.page.evaluate("Object.values(localStorage)[0]"))["session"]

    visit.page.evaluate(
        "([token]) => HaloAgents.getInstance().identify('u4', { name: 'Uma' }, { userToken: token })", [token("u4")]
    )
    visit.say("It is me")
    answered(visit, 2)

    owner = (
        "SELECT u.external_id, u.name FROM chat_sessions_chatsession s JOIN chat_sessions_enduser u ON u.id = s.end_user_id "
        "WHERE s.session_id = %s"
    )
    assert stack.sql(owner, session) == [("u4", "Uma")]
    expect(visit.typed).to_have_text(["Hello", "It is me"])


def test_what_one_user_said_the_next_one_on_the_same_machine_does_not_see(
    visits: Callable[..., Visit], page_at: Callable[..., str], verified: Any, token: Callable[..., str]
) -> None:
    first = visits()
    first.go(page_at(more={**verified, "userId": "u5", "userToken": token("u5")})).open().say("My secret")
    answered(first)

    second = visits(beside=first)
    second.go(page_at(more={**verified, "userId": "u6", "userToken": token("u6")})).open()

    second.page.wait_for_timeout(500)
    expect(second.lines).to_have_count(0)
    first.page.reload()
    second.page.close()
    first.go(page_at(more={**verified, "userId": "u5", "userToken": token("u5")})).open()
    expect(first.typed).to_have_text(["My secret"])


def test_nothing_but_ids_is_kept_in_the_browser_and_debugging_shows_no_secret(
    visit: Visit, page_at: Callable[..., str], verified: Any, token: Callable[..., str]
) -> None:
    signed = token("u7")
    visit.go(page_at(more={**verified, "userId": "u7", "userToken": signed})).open().say("Something private")
    answered(visit)

    kept = json.dumps(visit.page.evaluate("Object.entries(localStorage)"))
    shown = json.dumps(visit.debug())
    session = json.loads(visit.page.evaluate("Object.values(localStorage)[0]"))["session"]
    for secret in (signed, verified["apiKey"], "Something private"):
        assert secret not in kept and secret not in shown
    assert session not in shown and visit.debug()["identified"] and visit.debug()["hasSession"]
