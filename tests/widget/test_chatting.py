"""What a visitor does with the widget on a stranger's page: ask, read, judge, begin anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.fake_model import Reply
from tests.product import Stack, until
from tests.widget.browsing import Visit
from tests.widget.site import PNG

CITING = (
    "Open **Settings** and choose *Security*. [1]\n\n- A link comes\n- by e-mail\n\n"
    '[1]: "open Settings and choose Security"'
)
# A picture larger than any that is sent, put together where it is needed.
LARGE_PICTURE = """async (kind) => {
  const canvas = document.createElement('canvas');
  canvas.width = 3000; canvas.height = 2000;
  const pen = canvas.getContext('2d');
  for (let at = 0; at < 400; at++) {
    pen.fillStyle = `hsl(${at * 7} 80% 50%)`;
    pen.fillRect((at * 97) % 3000, (at * 61) % 2000, 300, 200);
  }
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
  const data = new DataTransfer();
  data.items.add(new File([blob], 'lamp.png', { type: 'image/png' }));
  const root = document.querySelector('halo-agents').shadowRoot;
  const event = kind === 'paste'
    ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
  root.querySelector(kind === 'paste' ? '.composer textarea' : '.panel').dispatchEvent(event);
}"""


def test_a_stranger_asks_reads_the_answer_and_where_it_is_from(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    stack.model.reply(CITING)
    visit.go(page_at())
    expect(visit.launcher).to_be_visible()
    expect(visit.panel).to_be_hidden()
    visit.shot(shots, "launcher-light")
    visit.open()
    expect(visit.field).to_be_focused()
    visit.shot(shots, "empty-light")

    visit.asked("How do I reset my password?", "Open Settings and choose Security. 1A link comesby e-mail")

    assert visit.answers.last.locator("strong").inner_text() == "Settings"
    visit.page.get_by_role("button", name="Source 1: Resetting a password").click()
    source = visit.page.get_by_role("link", name="Resetting a password")
    expect(source).to_have_attribute("href", "https://help.northwind.example/reset")
    expect(source).to_have_attribute("rel", "noopener noreferrer")
    expect(source).to_contain_text("help.northwind.example")
    visit.shot(shots, "citations-light")
    assert visit.foreign == [] and visit.dialogs == [] and visit.console == []


def test_an_answer_is_read_as_it_is_written(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    stack.model.reply(
        chunks=["Let me ", "see. ", *["Your lamp ", "is on ", "its way. "] * 12], chunk_delay=0.08, delay=1.0
    )
    visit.go(page_at()).open()

    visit.say("Where is my order?")
    expect(visit.page.locator("halo-agents .typing:visible")).to_be_visible()
    expect(visit.answers.last).to_contain_text("Let me see. Your")
    assert visit.page.locator("halo-agents .thumbs").count() == 0, "it is being written"
    visit.shot(shots, "streaming-light")

    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    expect(visit.answers.last).to_have_text(
        "Let me see. " + "Your lamp is on its way. " * 11 + "Your lamp is on its way."
    )


def test_words_that_the_model_takes_back_are_forgotten(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    pointing = ("highlight", {"selector": "#nowhere"})
    stack.model.script(Reply(chunks=["It ", "will ", "surely ", "arrive. "], chunk_delay=0.3, tool_calls=[pointing]))
    stack.model.reply("It arrives on Tuesday.", delay=0.5)
    visit.go(page_at()).open()

    visit.say("When does it arrive?")
    expect(visit.answers.last).to_contain_text("It will surely")
    expect(visit.answers.last).to_have_text("It arrives on Tuesday.")


def test_suggestions_are_sent_with_one_click(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    stack.model.reply("On its way.")
    visit.go(page_at()).open()

    visit.page.get_by_role("button", name="Where is my order?").click()

    expect(visit.typed).to_have_text(["Where is my order?"])
    expect(visit.answers.last).to_have_text("On its way.")
    expect(visit.page.get_by_role("button", name="Where is my order?")).to_be_hidden()


def test_a_thumb_and_its_reason_reach_the_desk_and_are_there_after_a_reload(
    stack: Stack, visit: Visit, page_at: Callable[..., str]
) -> None:
    stack.model.reply("Somewhere.")
    visit.go(page_at()).open().asked("Where is it?", "Somewhere.")

    visit.page.get_by_role("button", name="Not helpful").click()
    reason = visit.page.get_by_role("textbox", name="What was missing or wrong?")
    expect(reason).to_be_focused()
    reason.fill("Where exactly?")
    reason.locator("..").get_by_role("button", name="Send").click()
    expect(visit.page.get_by_text("Thank you.")).to_be_visible()

    rated = "SELECT verdict, comment FROM conversations_answerlabel ORDER BY id DESC LIMIT 1"
    until(lambda: stack.sql(rated)[0][1] == "Where exactly?", seconds=5, what="the reason is stored")
    visit.page.reload()
    visit.open()
    expect(visit.page.get_by_role("button", name="Not helpful")).to_have_attribute("aria-pressed", "true")
    expect(visit.answers.last).to_have_text("Somewhere.")


def test_whoever_begins_anew_is_asked_first_and_leaves_nothing_behind(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    visit.go(page_at()).open().say("My secret is lamp")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)

    visit.page.get_by_role("button", name="Start over").click()
    visit.shot(shots, "restart-light")
    visit.page.keyboard.press("Escape")
    expect(visit.lines).to_have_count(2)
    visit.page.get_by_role("button", name="Start over").click()
    visit.page.get_by_role("alertdialog").get_by_role("button", name="Start over").click()

    expect(visit.lines).to_have_count(0)
    expect(visit.field).to_be_focused()
    stack.model.reset()
    visit.say("Again")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)
    assert "lamp" not in str([message for message in stack.model.requests[-1].messages if message["role"] == "user"])


def test_a_person_can_be_asked_for(stack: Stack, visit: Visit, page_at: Callable[..., str]) -> None:
    visit.go(page_at()).open().say("Hello")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)

    visit.page.get_by_role("button", name="Talk to a person").click()

    expect(visit.answers.last).to_contain_text("I have passed this on to our team")
    expect(visit.page.get_by_text("Passed on to our team").first).to_be_visible()
    assert stack.sql("SELECT source FROM conversations_ticket ORDER BY number DESC LIMIT 1") == [("handover",)]


def test_pictures_are_made_small_shown_and_sent(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    stack.model.reply("A fine lamp.")
    visit.go(page_at()).open()
    visit.page.evaluate(LARGE_PICTURE, "paste")
    expect(visit.page.get_by_role("img", name="Image 1")).to_be_visible()
    visit.page.evaluate(LARGE_PICTURE, "drop")
    expect(visit.page.get_by_role("img", name="Image 2")).to_be_visible()
    picked = {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}
    visit.page.locator("halo-agents input[type=file]").set_input_files(picked)
    expect(visit.page.get_by_role("img", name="Image 3")).to_be_visible()
    visit.page.get_by_role("button", name="Remove image 3").click()
    assert visit.page.get_by_role("button", name="Send").is_disabled(), "a picture alone says nothing"
    visit.shot(shots, "images-light")

    visit.asked("Which lamp is this?", "A fine lamp.")

    content = stack.model.requests[-1].messages[-1]["content"]
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    assert len(urls) == 2 and all(url.startswith("data:image/jpeg;base64,") and len(url) < 900_000 for url in urls)
    visit.page.reload()
    visit.open()
    expect(visit.typed.locator("canvas")).to_have_count(2)


def test_what_is_no_picture_is_refused_with_a_word(visit: Visit, page_at: Callable[..., str]) -> None:
    visit.go(page_at()).open()
    fake = {"name": "not.png", "mimeType": "image/png", "buffer": b"<svg onload=alert(1)>"}
    visit.page.locator("halo-agents input[type=file]").set_input_files(fake)

    expect(visit.page.get_by_text("This image could not be read.")).to_be_visible()
    assert visit.dialogs == []


def test_what_is_too_long_is_said_before_it_is_sent(visit: Visit, page_at: Callable[..., str]) -> None:
    visit.go(page_at()).open()

    visit.field.fill("é" * 10_001)

    expect(visit.page.get_by_text("1 characters too many")).to_be_visible()
    assert visit.page.get_by_role("button", name="Send").is_disabled()


def test_an_answer_that_came_while_the_panel_was_closed_leaves_a_dot(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    stack.model.reply("Here it is.", delay=1)
    visit.go(page_at()).open().say("Where?")
    visit.page.keyboard.press("Escape")

    expect(visit.page.get_by_role("button", name="Open chat, new messages")).to_be_visible()
    expect(visit.page.locator("halo-agents .dot")).to_be_visible()
    visit.shot(shots, "unread-light")
    expect(visit.panel).to_be_hidden()
    visit.open()
    expect(visit.page.locator("halo-agents .dot")).to_be_hidden()
    visit.page.reload()
    expect(visit.launcher).to_be_visible()
    visit.page.wait_for_timeout(300)
    expect(visit.page.locator("halo-agents .dot")).to_be_hidden()


def test_a_model_that_fails_says_so_and_can_be_asked_again(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    stack.model.reply(status=500, times=3)
    stack.model.reply("Now it works.")
    visit.go(page_at()).open().say("Are you there?")

    again = visit.page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    visit.shot(shots, "error-light")
    again.click()

    expect(visit.answers.last).to_have_text("Now it works.")
    expect(visit.typed).to_have_text(["Are you there?"])
    said: list[Any] = stack.sql(
        "SELECT count(*) FROM conversations_message WHERE text = 'Are you there?' AND author = 'visitor'"
    )
    assert said == [(1,)], "the same turn was taken up again"
