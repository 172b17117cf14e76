"""One product and one browser for the tests of the widget: what people see on the pages of others."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.product import ROOT, Stack, running
from tests.widget.browsing import Visit
from tests.widget.site import Site
from tests.widget.wires import Wire

CHROMIUM = os.environ.get("HALO_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = ROOT / ".venv" / "screenshots"

# An organisation beside Acme that asks whoever names a user to prove it, and agents with something to say.
# Guard and handing over have tests of their own: here the model's words are what is to be shown.
FURNISH = """
import json
from agents.models import Agent
from agents.services import change_agent, create_ready_org
from agents.knowledge.importing import Draft, import_articles
made = create_ready_org(name="Verified", verify_identity=True)
for agent in Agent.objects.select_related("org"):
    agent.name, agent.guard, agent.escalation = "Nova", False, "off"
    agent.greeting = "Hi! Ask me anything about Northwind."
    agent.suggested_messages = ["Where is my order?", "How do I reset my password?"]
    change_agent(agent=agent, names=["name", "guard", "escalation", "greeting", "suggested_messages"], by=None)
    resetting = Draft(external_id="doc_017", title="Resetting a password", url="https://help.northwind.example/reset",
                      content="To reset your password, open Settings and choose Security. A link comes by e-mail.")
    import_articles(org=agent.org, source_name="Help", drafts=[resetting])
print(json.dumps({"org_id": str(made.org.pk), "widget_key": made.widget_key, "identity_secret": made.identity_secret}))
"""

OPEN_TURNS = "SELECT FROM conversations_turn WHERE status IN ('queued', 'running') LIMIT 1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of a process also waits for the product to start."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, dict[str, str]]]:
    """The product, and an organisation of its that asks whoever names a user to prove it."""
    if CHROMIUM is None:
        pytest.skip("no chromium here: install Debian's chromium, or name one in HALO_CHROMIUM")
    with running(tmp_path_factory.mktemp("widget")) as stack:
        yield stack, json.loads(stack.manage("shell", "-c", FURNISH).splitlines()[-1])


@pytest.fixture(scope="session")
def stack(houses: tuple[Stack, dict[str, str]]) -> Stack:
    return houses[0]


@pytest.fixture(scope="session")
def verified(houses: tuple[Stack, dict[str, str]]) -> dict[str, Any]:
    """What the snippet of the site says whose users prove who they are."""
    return {"orgId": houses[1]["org_id"], "apiKey": houses[1]["widget_key"]}


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    """One a file: while playwright is at work its thread must not use Django's database."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.stop()


@pytest.fixture
def halo(stack: Stack) -> str:
    """Where the product is, for a test that needs no more of it than an address."""
    # An answer that nobody waited for would be one of those that this test has ready. Some never come: so long at most.
    ends_at = time.monotonic() + 5
    while time.monotonic() < ends_at and stack.sql(OPEN_TURNS):
        time.sleep(0.05)
    stack.model.reset()
    return f"http://127.0.0.1:{stack.port}"


@pytest.fixture
def wire(stack: Stack) -> Iterator[Wire]:
    wire = Wire(stack.port)
    yield wire
    wire.stop()


@pytest.fixture
def config(stack: Stack) -> dict[str, Any]:
    """What the snippet of Acme's site says."""
    return {"orgId": stack.org["org_id"], "apiKey": stack.org["widget_key"]}


@pytest.fixture
def page_at(site: Site, halo: str, config: dict[str, Any]) -> Callable[..., str]:
    """Puts a page with the snippet there; `more` goes into the snippet's configuration."""

    def put(path: str = "/", *, more: dict[str, Any] | None = None, **kwargs: Any) -> str:
        return site.page(path, halo=halo, config={**config, **(more or {})}, **kwargs)

    return put


@pytest.fixture
def visits(browser: Browser, halo: str, site: Site) -> Iterator[Callable[..., Visit]]:
    """Begins visits, each by a person of their own, or in another tab of the same one (`beside`)."""
    contexts = []

    def begin(*, beside: Visit | None = None, width: int = 1280, height: int = 800, **options: Any) -> Visit:
        if beside is None:
            context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", **options)
            contexts.append(context)
        else:
            context = beside.context
        return Visit(context, hosts={halo.removeprefix("http://"), site.base.removeprefix("http://")})

    yield begin
    for context in contexts:
        context.close()


@pytest.fixture
def visit(visits: Callable[..., Visit]) -> Visit:
    return visits()


@pytest.fixture
def token(houses: tuple[Stack, dict[str, str]]) -> Callable[..., str]:
    """Signs identity tokens as the server of that site does."""

    def sign(user_id: str = "u1", *, lives: float = 600, **claims: Any) -> str:
        claims = {"user_id": user_id, "exp": int(time.time() + lives), **claims}
        return jwt.encode(claims, houses[1]["identity_secret"], algorithm="HS256")

    return sign


@pytest.fixture
def shots() -> Path:
    """Screenshots are kept, for people to look at."""
    return SHOTS
