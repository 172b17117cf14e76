"""The install page in a browser: its snippet on a website, and the page that says so while somebody looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.product import Stack
from tests.widget.browsing import Visit
from tests.widget.site import Site
from tests.widget.test_accessibility import AXE, RULES


def test_the_snippet_of_the_page_works_and_the_page_says_so_by_itself(
    stack: Stack, visits: Callable[..., Visit], site: Site, halo: str, shots: Path
) -> None:
    made = json.loads(stack.manage("create_org", "Installed", "--json").splitlines()[-1])
    person = json.loads(
        stack.manage("create_staff", "ines@installed.example", "--org", "installed", "--role", "owner", "--json")
        .splitlines()[-1]
    )  # fmt: skip
    staff = visits(permissions=["clipboard-read", "clipboard-write"])
    page = staff.go(f"{halo}/admin/install/").page
    page.fill("input[name=username]", person["email"])
    page.fill("input[name=password]", person["password"])
    page.click("button[type=submit]")
    expect(page.locator(".halo-verdict")).to_have_text("Nothing has arrived yet.")
    staff.shot(shots, "install-nothing-yet")

    page.locator("[data-copy='#halo-snippet']").click()
    expect(page.locator("[data-copy='#halo-snippet']")).to_have_text("Copied")
    snippet = page.evaluate("navigator.clipboard.readText()")
    assert made["widget_key"] in snippet and made["org_id"] in snippet
    page.get_by_role("tab", name="PHP").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("hash_hmac('sha256'")
    page.get_by_role("tab", name="PHP").press("ArrowRight")
    expect(page.get_by_role("tabpanel")).to_contain_text('require "jwt"')

    site.pages["/installed"] = ("text/html", f"<!doctype html><body>{snippet}</body>".encode(), {})
    stack.model.reply("Hello!")
    visitor = visits().go(f"{site.base}/installed").open().say("Hi")
    expect(visitor.answers.last).to_be_visible()

    expect(page.locator(".halo-verdict")).to_contain_text(f"It works: a request came from {site.base}")
    expect(page.locator("#halo-said")).to_contain_text("It works")
    assert staff.foreign == [] and not [line for line in staff.console if line.startswith("error")]
    staff.shot(shots, "install-arrived")
    if AXE.exists():
        page.evaluate(AXE.read_text())
        found = page.evaluate(
            "(tags) => axe.run({ include: [['.halo-install']] }, { runOnly: { type: 'tag', values: tags } })", RULES
        )
        assert [(rule["id"], rule["nodes"][0]["html"][:160]) for rule in found["violations"]] == []
