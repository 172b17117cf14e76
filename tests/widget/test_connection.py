"""Lines that are cut, networks that go away, pages that are loaded anew, and tabs side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.fake_model import Reply
from tests.product import Stack, until
from tests.widget.browsing import Visit
from tests.widget.wires import Wire

SLOWLY = Reply(chunks=["One ", "answer, ", "which ", "comes ", "in ", "many ", "small ", "pieces."], chunk_delay=0.25)
WHOLE = "One answer, which comes in many small pieces."
SAID = "SELECT text FROM conversations_message WHERE author = 'visitor' AND text LIKE %s ORDER BY id"


@pytest.fixture
def wired(visit: Visit, page_at: Callable[..., str], wire: Wire) -> Visit:
    """A visit whose requests go over a wire that can be cut; the files do not."""
    visit.hosts.add(wire.base.removeprefix("http://"))
    return visit.go(page_at(more={"apiBase": wire.base}))


def test_a_stream_that_is_cut_goes_on_where_it_stopped(stack: Stack, wired: Visit, wire: Wire) -> None:
    stack.model.script(SLOWLY)
    positions: list[str] = []
    wired.page.on("request", lambda request: positions.append(request.headers.get("last-event-id", "")))
    wired.open()
    wire.cut_behind("event: delta", times=2)

    wired.asked("Tell me", WHOLE)

    assert wire.cuts == 2
    assert any(positions), "it says how far it had come"
    assert len(stack.model.requests) == 1


def test_a_message_whose_answer_was_lost_is_not_sent_twice(stack: Stack, wired: Visit, wire: Wire) -> None:
    stack.model.reply("Got it.")
    wired.open()
    wire.lose("X-Turn-Id")

    wired.asked("Only once please", "Got it.")

    assert wire.cuts == 1
    assert stack.sql(SAID, "Only once please") == [("Only once please",)]


def test_what_is_written_offline_is_sent_in_order_when_the_network_is_back(
    stack: Stack, wired: Visit, wire: Wire, shots: Path
) -> None:
    wired.open()
    wire.down()
    for text in ("offline one", "offline two", "offline three"):
        wired.say(text)
    expect(wired.page.get_by_text("Not sent yet")).to_have_count(3)
    expect(wired.page.get_by_text("No connection.")).to_be_visible()
    wired.shot(shots, "offline-light")

    wire.up()

    expect(wired.page.locator("halo-agents .thumbs")).to_have_count(3)
    assert stack.sql(SAID, "offline %") == [("offline one",), ("offline two",), ("offline three",)]
    expect(wired.page.get_by_text("Not sent yet")).to_have_count(0)
    expect(wired.page.get_by_text("No connection.")).to_be_hidden()


def test_what_was_never_sent_survives_a_reload(stack: Stack, wired: Visit, wire: Wire) -> None:
    wired.open()
    wire.down()
    wired.say("kept one").say("kept two")
    expect(wired.page.get_by_text("Not sent yet")).to_have_count(2)

    wired.page.reload()
    wire.up()
    wired.open()

    expect(wired.page.locator("halo-agents .thumbs")).to_have_count(2)
    expect(wired.typed).to_have_text(["kept one", "kept two"])
    assert stack.sql(SAID, "kept %") == [("kept one",), ("kept two",)]
    assert wired.debug()["queued"] == 0


def test_a_page_loaded_anew_in_mid_answer_reads_on(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    stack.model.script(SLOWLY)
    visit.go(page_at()).open().say("Tell me")
    expect(visit.answers.last).to_contain_text("One answer")

    visit.page.reload()
    visit.open()

    expect(visit.answers.last).to_have_text(WHOLE)
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    expect(visit.typed).to_have_text(["Tell me"])
    assert len(stack.model.requests) == 1


def test_two_tabs_are_one_conversation(stack: Stack, visits: Callable[..., Visit], page_at: Callable[..., str]) -> None:
    stack.model.reply("To the first.").reply("To the second.")
    first = visits().go(page_at()).open()
    second = visits(beside=first).go(page_at()).open()

    first.asked("From the first tab", "To the first.")
    expect(second.typed).to_have_text(["From the first tab"])
    expect(second.answers.last).to_have_text("To the first.")
    second.asked("From the second tab", "To the second.")

    expect(first.typed).to_have_text(["From the first tab", "From the second tab"])
    expect(first.answers.last).to_have_text("To the second.")
    sessions = "SELECT count(DISTINCT conversation_id) FROM conversations_message WHERE text LIKE 'From the %% tab'"
    assert stack.sql(sessions) == [(1,)]


def test_a_chat_that_is_not_open_holds_no_connection(visit: Visit, page_at: Callable[..., str]) -> None:
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.go(page_at())
    expect(visit.launcher).to_be_visible()
    visit.page.wait_for_timeout(500)

    assert [url for url in asked if "/api/" in url and "/config" not in url] == []


def test_a_rest_that_cannot_be_loaded_is_tried_again(visit: Visit, page_at: Callable[..., str], stack: Stack) -> None:
    attempts: list[str] = []

    def refuse_first(route: object) -> None:
        attempts.append(route.request.url)  # type: ignore[attr-defined]
        route.abort() if len(attempts) == 1 else route.continue_()  # type: ignore[attr-defined]

    visit.page.route("**/widget/halo-*.js*", refuse_first)
    visit.go(page_at())

    expect(visit.launcher).to_be_visible()
    until(lambda: len(attempts) == 2, seconds=1, what="a second attempt")
