"""The inbox in a browser beside the visitor's: each sees at once what the other does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.product import Stack
from tests.widget.browsing import Visit

PASSWORD = "long enough for a test"
PEOPLE = f"""
from conversations.models import CannedReply
from orgs.members import add_member
from orgs.models import Organization, User
from agents.models import Agent
org = Agent.objects.get(pk="%s").org
for email, name in (("sue@acme.example", "Sue"), ("ben@acme.example", "Ben")):
    if not User.objects.filter(email=email).exists():
        add_member(org=org, user=User.objects.create_user(email, {PASSWORD!r}, name=name), role="support", by=None)
CannedReply.objects.get_or_create(org=org, name="hours", defaults=dict(text="We are there **from nine to five**."))
"""


class Desk:
    """A teammate's browser; `wrong` is what its console complains of."""

    def __init__(self, page: Page, halo: str, email: str) -> None:
        self.page, self.halo = page, halo
        self.wrong: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on(
            "console", lambda told: self.wrong.append(told.text) if "Content Security Policy" in told.text else None
        )
        page.goto(f"{halo}/admin/login/?next=/inbox/?view=live")
        page.fill("input[name=username]", email)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")

    def open(self, words: str) -> Desk:
        self.page.goto(f"{self.halo}/inbox/?view=live")
        self.page.locator("#rows a", has_text=words).click()
        return self

    def write(self, text: str, mode: str = "Reply") -> None:
        self.page.get_by_role("button", name=mode, exact=True).click()
        self.page.locator("#words").fill(text)
        self.page.locator("#words").press("Control+Enter")


@pytest.fixture
def desks(stack: Stack, browser: Browser, halo: str) -> Iterator[Callable[[str], Desk]]:
    stack.manage("shell", "-c", PEOPLE % stack.org["agent_id"])
    contexts = []

    def sit_down(email: str) -> Desk:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB"))
        return Desk(contexts[-1].new_page(), halo, email)

    yield sit_down
    for context in contexts:
        context.close()


def test_a_teammate_takes_over_and_answers_and_each_sees_at_once_what_the_other_does(
    desks: Callable[[str], Desk], visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    visit.go(page_at()).open().say("My parcel is <b>lost</b>")
    expect(visit.page.locator("halo-agents .thumbs")).to_have_count(1)

    sue = desks("sue@acme.example").open("My parcel is")
    expect(sue.page.locator("#talk .msg.visitor .bubble")).to_have_text("My parcel is <b>lost</b>")
    sue.write("Offer a new parcel.", "Hint for the agent")
    expect(sue.page.get_by_text("Waits for the agent's next answer.")).to_be_visible()
    sue.write("I will look it up.")
    expect(visit.page.get_by_role("dialog", name="Sue")).to_be_visible()
    expect(visit.page.locator("halo-agents .line.teammate .bubble")).to_have_text("I will look it up.")
    expect(sue.page.get_by_text("You have this conversation")).to_be_visible()

    visit.say("Thank you!")
    expect(sue.page.locator("#talk .msg.visitor .bubble").last).to_have_text("Thank you!")

    # A second teammate sees that the first is there, and that they write.
    ben = desks("ben@acme.example")
    ben.page.goto(f"{sue.page.url.partition('?')[0]}?view=open")
    expect(ben.page.locator("#here")).to_contain_text("Sue is looking at this too.")
    sue.page.locator("#words").press_sequentially("It is")
    expect(ben.page.locator("#here")).to_contain_text("Sue is writing here right now.")
    expect(visit.page.locator("halo-agents .typing")).to_be_visible()
    ben.write("Called the warehouse.", "Note")
    expect(sue.page.locator("#talk .msg.note .bubble").last).to_have_text("Called the warehouse.")
    expect(sue.page.locator("#words")).to_have_value("It is")

    # What is kept ready comes by its name, and the visitor reads it as it was meant.
    sue.page.locator("#words").fill("")
    sue.page.locator("#words").press_sequentially("/hou")
    sue.page.get_by_role("option", name="/hours").wait_for()
    sue.page.screenshot(path=_at(shots, "inbox-canned"), animations="disabled")
    sue.page.locator("#words").press("Enter")
    expect(sue.page.locator("#words")).to_have_value("We are there **from nine to five**.")
    sue.page.locator("#words").press("Control+Enter")
    expect(visit.page.locator("halo-agents .line.teammate .bubble").last).to_have_text(
        "We are there from nine to five."
    )
    expect(visit.page.locator("halo-agents")).not_to_contain_text("warehouse")

    sue.page.get_by_role("button", name="Make a ticket").click()
    expect(sue.page.locator("#side .inbox-ticket")).to_have_count(1)
    sue.page.get_by_label("Priority").select_option("priority")
    expect(ben.page.locator("#list").get_by_text("priority")).to_have_count(1)
    sue.page.screenshot(path=_at(shots, "inbox"), animations="disabled")

    sue.page.on("dialog", lambda dialog: dialog.accept())
    sue.page.get_by_role("button", name="Close", exact=True).first.click()
    expect(visit.page.get_by_text("This conversation was closed.")).to_be_visible()
    expect(sue.page.locator("#side select[name=status]")).to_have_value("resolved")
    assert sue.wrong == ben.wrong == [] and visit.dialogs == []


def test_what_changes_meanwhile_takes_no_button_from_under_a_finger(
    desks: Callable[[str], Desk], visit: Visit, page_at: Callable[..., str]
) -> None:
    visit.go(page_at()).open().asked("I was told to wait", "You said: I was told to wait")
    sue = desks("sue@acme.example").open("I was told to wait")
    sue.page.get_by_role("button", name="Make a ticket").hover()

    sue.page.mouse.down()
    # What it changes has come.
    with sue.page.expect_response("**/list/**"), sue.page.expect_response("**/part/**"):
        visit.asked("Hello?", "You said: Hello?")
    sue.page.wait_for_timeout(300)
    sue.page.mouse.up()

    expect(sue.page.locator("#side .inbox-ticket")).to_have_count(1)
    expect(sue.page.locator("#talk .msg.visitor .bubble").last).to_have_text("Hello?")


def test_who_goes_by_keys_stays_where_they_are_when_something_changes(
    desks: Callable[[str], Desk], visit: Visit, page_at: Callable[..., str]
) -> None:
    visit.go(page_at()).open().asked("I go by keys", "You said: I go by keys")
    sue = desks("sue@acme.example").open("I go by keys")
    button = sue.page.get_by_role("button", name="Make a ticket")
    button.focus()
    was = button.element_handle()

    visit.asked("Hello?", "You said: Hello?")
    expect(sue.page.locator("#talk .msg.agent .bubble").last).to_have_text("You said: Hello?")

    expect(button).to_be_focused()
    assert was is not None and not was.evaluate("button => button.isConnected"), "it is another one than before"


def test_replies_that_come_late_are_not_offered_for_other_words(
    desks: Callable[[str], Desk], visit: Visit, page_at: Callable[..., str]
) -> None:
    visit.go(page_at()).open().asked("When do you open?", "You said: When do you open?")
    sue = desks("sue@acme.example").open("When do you open?")
    sue.write("One moment.")
    expect(visit.page.locator("halo-agents .line.teammate .bubble")).to_have_text("One moment.")

    held: list[Route] = []
    sue.page.route("**/canned/**", lambda route: held.append(route))
    sue.page.locator("#words").press_sequentially("/h")
    sue.page.locator("#words").fill("At nine.")
    while not held:
        sue.page.wait_for_timeout(50)
    for route in held:
        with sue.page.expect_response("**/canned/**"):
            route.continue_()
    sue.page.locator("#words").press("Control+Enter")

    expect(visit.page.locator("halo-agents .line.teammate .bubble").last).to_have_text("At nine.")
    # And they are for the words that ask for them.
    sue.page.locator("#words").press_sequentially("/h")
    expect(sue.page.get_by_role("option", name="/hours")).to_be_visible()


def _at(shots: Path, name: str) -> Path:
    shots.mkdir(parents=True, exist_ok=True)
    return shots / f"{name}.png"
