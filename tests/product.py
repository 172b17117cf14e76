"""The whole product as real processes: `manage.py up` on a data folder of its own, in front of a fake model."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from halo.embedded import locate
from tests.fake_model import FakeModel

ROOT = Path(__file__).resolve().parents[1]
# Long, as tests may have to share the machine with much else.
START_SECONDS = 180

OFFER_TOOL = """
from agents.models import Agent, CustomTool
from agents.services import change_agent
from agents.tools.services import add_tool
agent = Agent.objects.select_related("org").get(pk="{agent}")
schema = {{"type": "object", "properties": {{"order_id": {{"type": "string"}}}}, "required": ["order_id"]}}
tool = CustomTool(org=agent.org, name="{name}", description="Pays an order.", method="POST", parameters=schema,
                  needs_verified_user=False, needs_confirmation=False, url_template="{url}", is_idempotent={safe})
add_tool(tool=tool, headers={{}}, by=None)
agent.tools = [*agent.tools, str(tool.pk)]
change_agent(agent=agent, names=["tools"], by=None)
"""


@dataclass
class Answer:
    """An HTTP answer as a client sees it."""

    status: int
    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Stack:
    """A running product and what a client of its needs."""

    data_dir: Path
    port: int
    model: FakeModel
    env: dict[str, str]
    process: subprocess.Popen[bytes]
    org: dict[str, str] = field(default_factory=dict)

    def manage(self, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *args], cwd=ROOT, env=self.env, check=True, capture_output=True, text=True
        )
        return done.stdout

    def offer_tool(self, name: str, url: str, *, is_idempotent: bool = False) -> None:
        """Gives the agent a tool that changes something elsewhere."""
        values = {"agent": self.org["agent_id"], "name": name, "url": url, "safe": is_idempotent}
        self.manage("shell", "-c", OFFER_TOOL.format(**values))

    def say(self, message: str, *, headers: dict[str, str] | None = None, timeout: float = 70, **body: Any) -> Answer:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/sdk/chat",
            data=json.dumps({"message": message, **body}).encode(),
            headers={
                "Authorization": f"Bearer {self.org['widget_key']}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                raw = response.read()
                return Answer(response.status, json.loads(raw), raw, dict(response.headers))
        except urllib.error.HTTPError as error:
            raw = error.read()
            return Answer(error.code, json.loads(raw), raw, dict(error.headers))

    def in_background(self, message: str, **kwargs: Any) -> Waiting:
        return Waiting(self, message, kwargs)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def start(self) -> None:
        """Starts what `stop` has stopped, on the same data."""
        self.process = up(self.env)

    def pid(self, name: str) -> int:
        return int((self.data_dir / "run" / f"{name}.pid").read_text())

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        pid = self.pid(name)
        os.kill(pid, how)
        return pid

    def sql(self, query: str, *args: Any) -> list[tuple[Any, ...]]:
        socket_dir = str(locate(self.data_dir).socket_dir)
        with psycopg.connect(host=socket_dir, user="halo", dbname="halo", autocommit=True) as connection:
            return connection.execute(query, args).fetchall()

    def answers(self, message: str = "And now?", **kwargs: Any) -> bool:
        """Whether a message is answered right now; a refused connection is a no."""
        try:
            return self.say(message, **kwargs).status == 200
        except OSError:
            return False

    def worker_answers(self) -> bool:
        """Whether a message is answered by a worker: while Redis is away the web process does it itself."""
        try:
            turn_id = self.say("Who is there?").body.get("turn_id", "nobody")
        except OSError:
            return False
        log = (self.data_dir / "logs" / "worker.log").read_text(errors="replace")
        return any(turn_id in line and "turn_answered" in line for line in log.splitlines())


class Waiting:
    """A request in a thread; `answer()` joins it."""

    def __init__(self, stack: Stack, message: str, kwargs: dict[str, Any]) -> None:
        self.result: Answer | None = None
        self.error: Exception | None = None

        def run() -> None:
            try:
                self.result = stack.say(message, **kwargs)
            except Exception as error:
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def answer(self, timeout: float = 70) -> Answer:
        self.thread.join(timeout)
        if self.error is not None:
            raise self.error
        assert self.result is not None, "no answer in time"
        return self.result


def until(condition: Any, *, seconds: float, what: str) -> None:
    """Waits for `condition()` to be true."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(data_dir: Path) -> Iterator[Stack]:
    """The product on an empty data folder; stopped at the end."""
    port = free_port()
    with FakeModel() as model:
        env = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
        env |= {
            "HALO_DATA_DIR": str(data_dir),
            "HALO_PORT": str(port),
            "HALO_RATE_LIMITS": "off",
            # So that a test knows which worker a turn is in the hands of.
            "HALO_LLM_WORKERS": "1",
            "HALO_OUTGOING_HOSTS": "127.0.0.1",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_API_KEY": "test",
            "HALO_MODEL": "fake",
        }
        stack = Stack(data_dir, port, model, env, up(env))
        try:
            until(lambda: is_ready(port), seconds=START_SECONDS, what="the product is ready")
            stack.org = json.loads(stack.manage("create_org", "Acme", "--json").splitlines()[-1])
            yield stack
        finally:
            stack.stop()


def up(env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "up", "--no-demo"],
        cwd=ROOT,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as response:
            return bool(json.loads(response.read())["status"] == "ready")
    except (OSError, ValueError):
        return False
