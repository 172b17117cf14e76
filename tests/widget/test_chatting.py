"""What a visitor does with the widget on a stranger's page: ask, read, judge, begin anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.product import Stack
from tests.widget.browsing import Visit


def test_a_stranger_asks_and_reads_the_answer(
    stack: Stack, visit: Visit, page_at: Callable[..., str], shots: Path
) -> None:
    stack.model.reply("You can reset it under **Settings**.\n\n- Open it\n- Choose *Security*")
    visit.go(page_at())
    expect(visit.panel).to_be_hidden()
    visit.shot(shots, "launcher-light")
    visit.open()
    expect(visit.field).to_be_focused()
    visit.shot(shots, "empty-light")

    visit.asked("How do I reset my password?", "You can reset it under Settings.OpenItChoose Security")
    visit.shot(shots, "conversation-light")

    assert visit.answers.last.locator("strong").inner_text() == "Settings"
    assert visit.foreign == [] and visit.dialogs == []
    assert [line for line in visit.console if line.startswith("error")] == []
