"""Another system that custom tools call, and the tools that call it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agents.models import CustomTool
from agents.services import change_agent
from agents.tools.services import add_tool
from tests.cast import Cast, House
from tests.fake_model import FakeModel

SECRET = "tok-s3cret/9f8e"
SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string", "maxLength": 40}, "note": {"type": "string"}},
    "required": ["order_id"],
}
ORDER = {"order_id": "A 1"}


class Receiver:
    """Another system: notes what it is asked, and answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b'{"state": "shipped"}')
        self.delay = 0.0
        self.before: Callable[[], object] = lambda: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((self.command, self.path, headers, body))
                outer.before()
                time.sleep(outer.delay)
                status, more, payload = outer.answer
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(payload))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"


def configure(cast: Cast, **values: Any) -> None:
    agent = cast.acme.agent
    agent.refresh_from_db()
    for name, value in values.items():
        setattr(agent, name, value)
    change_agent(agent=agent, names=list(values), by=None)


def offer(
    house: House, cast: Cast, receiver: Receiver, *, path: str = "/orders/{order_id}", **fields: Any
) -> CustomTool:
    """A custom tool of `house`, which Acme's agent may use (if it could)."""
    values = {
        "name": "order_status",
        "description": "Where an order is.",
        "parameters": SCHEMA,
        "needs_verified_user": False,
        "url_template": receiver.base + path,
    }
    tool = CustomTool(org=house.org, **{**values, **fields})
    add_tool(tool=tool, headers={"Authorization": f"Bearer {SECRET}"}, by=None)
    configure(cast, tools=[*cast.acme.agent.tools, str(tool.pk)])
    return tool


def ask(model: FakeModel, arguments: Any = ORDER, *, name: str = "order_status", then: str = "It is shipped.") -> None:
    model.reply("", tool_calls=[(name, arguments)]).reply(then)
