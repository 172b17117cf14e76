"""A visit to a page with the widget, as the person in front of the screen has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Locator, expect

PATIENCE = 15_000
expect.set_options(timeout=PATIENCE)


class Visit:
    """One tab. `foreign` are requests to hosts that are neither the page's nor ours; `dialogs` what popped up."""

    def __init__(self, context: BrowserContext, *, hosts: set[str]) -> None:
        self.context = context
        self.hosts = hosts
        self.foreign: list[str] = []
        self.dialogs: list[str] = []
        self.console: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("dialog", self._dialog)
        self.page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        self.page.on("request", lambda request: self._request(request.url))

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc not in self.hosts:
            self.foreign.append(url)

    def go(self, url: str) -> Visit:
        self.page.goto(url)
        return self

    @property
    def launcher(self) -> Locator:
        return self.page.locator("halo-agents .launcher")

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def field(self) -> Locator:
        return self.page.locator("halo-agents .composer textarea")

    @property
    def lines(self) -> Locator:
        """The messages, without the greeting."""
        return self.page.locator("halo-agents .list > .line:not([hidden])")

    @property
    def answers(self) -> Locator:
        return self.page.locator("halo-agents .list > .line.agent .bubble:visible")

    @property
    def typed(self) -> Locator:
        """What the visitor has said."""
        return self.page.locator("halo-agents .list > .line.user .bubble")

    def open(self) -> Visit:
        self.launcher.click()
        expect(self.panel).to_be_visible()
        return self

    def say(self, text: str) -> Visit:
        self.field.fill(text)
        self.field.press("Enter")
        return self

    def asked(self, text: str, answer: str) -> Visit:
        """Says something and waits for its answer, whole."""
        before = self.page.locator("halo-agents .thumbs").count()
        self.say(text)
        expect(self.answers.last).to_have_text(answer)
        expect(self.page.locator("halo-agents .thumbs")).to_have_count(before + 1)
        return self

    def debug(self) -> dict[str, Any]:
        found: dict[str, Any] = self.page.evaluate("HaloAgents.getInstance().debug()")
        return found

    def shot(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", animations="disabled")
