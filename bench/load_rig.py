"""What bench/load.py measures: the product on a folder of its own, a model, the references, and the load."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench import machine
from halo.embedded import locate

ROOT = Path(__file__).resolve().parent.parent
# Much is imported at the start, and the machine may be busy with other things.
START_SECONDS = 300.0
# Threads come to be when they are needed, so that these cost nothing while nobody waits. One organisation alone has
# four fifths of a worker's.
THREADS = {"HALO_WEB_THREADS": "1200", "HALO_LLM_CONCURRENCY": "3200"}
# An agent as it is made; one that also searches our documentation; one whose text leaves as it comes. All
# of them have more patience with a model than the slowest that is measured.
MAKE_ORGANISATIONS = """
import json
from agents import services
from agents.knowledge.importing import import_articles, read_articles
from django.conf import settings
keys = {}
for name in ("plain", "knowing", "unguarded"):
    ready = services.create_ready_org(name=name)
    if name == "knowing":
        import_articles(org=ready.org, source_name="docs", drafts=list(read_articles(settings.BASE_DIR / "docs")))
    ready.agent.guard = name != "unguarded"
    ready.agent.deadline_seconds = 50
    services.change_agent(agent=ready.agent, names=["guard", "deadline_seconds"], by=None)
    keys[name] = ready.widget_key
print(json.dumps(keys))
"""


class Failed(Exception):
    """Something did not start, or the load broke."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process for as long as the block lasts."""
    process = subprocess.Popen(command, cwd=ROOT, text=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)


@contextmanager
def lean(name: str, *arguments: str) -> Iterator[Target]:
    """One of the small servers of this folder."""
    command = [sys.executable, f"bench/{name}.py", *arguments]
    with running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Target(name, [int(process.stdout.readline())], (process.pid,))


@dataclass(frozen=True, slots=True)
class Target:
    """Something that can be asked: where, how, and which processes it is."""

    name: str
    ports: list[int]
    pids: tuple[int, ...]
    path: str = "/v1/chat/completions"
    body: str = '{"model": "fake", "messages": [{"role": "user", "content": "Question @"}]}'
    headers: dict[str, str] = field(default_factory=dict)
    stream_path: str = "/v1/chat/completions"
    stream_body: str = '{"model": "fake", "stream": true, "messages": [{"role": "user", "content": "Question @"}]}'
    stream_headers: dict[str, str] = field(default_factory=dict)
    first: str = r'"content": ?"[^"]'

    def plan(self, *, streamed: bool = False, **how: Any) -> dict[str, Any]:
        """A plan for bench/load_clients.py."""
        if streamed:
            what = {"path": self.stream_path, "body": self.stream_body, "first": self.first}
            return what | {"ports": self.ports, "headers": self.headers | self.stream_headers} | how
        return {"path": self.path, "body": self.body, "ports": self.ports, "headers": self.headers} | how


@dataclass(slots=True)
class Rig:
    """Everything that runs."""

    model: Target
    halo: Target
    knowing: Target
    folder: Path
    references: list[Target]
    foreign: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def behave(self, *, delay: float, tokens: int = 30, gap: float = 0.0) -> None:
        """Tells the model how to answer from now on."""
        _ask(self.model.ports[0], "POST", "/control", json.dumps({"delay": delay, "tokens": tokens, "gap": gap}))

    def calls(self) -> int:
        """How often the model was asked."""
        return int(_ask(self.model.ports[0], "GET", "/calls")[1])

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        socket = str(locate(self.folder).socket_dir)
        with psycopg.connect(host=socket, user="halo", dbname="halo", autocommit=True) as one:
            yield one

    def load(self, plan: dict[str, Any], *, watch: Callable[[], object] | None = None) -> dict[str, Any]:
        """Carries a plan out; calls `watch` every second meanwhile."""
        busy, ours, began = machine.busy_seconds(), self._ours(), time.monotonic()
        with (
            machine.Pace() as pace,
            running([sys.executable, "bench/load_clients.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one,
        ):
            assert one.stdin is not None and one.stdout is not None
            one.stdin.write(json.dumps(plan))
            one.stdin.close()
            over = threading.Event()
            watching = threading.Thread(target=_watch, args=(watch, over), daemon=True)
            watching.start()
            told = one.stdout.read()
            over.set()
            watching.join()
        if not told:
            raise Failed("the load generator ended without a result")
        done: dict[str, Any] = json.loads(told)
        done["foreign_cpu"] = machine.busy_seconds() - busy - (self._ours() - ours) - done["cpu"]
        done["foreign_cpus"] = done["foreign_cpu"] / (time.monotonic() - began)
        done["pace"] = pace.ms
        self.foreign += done["foreign_cpu"]
        return done

    def _ours(self) -> float:
        targets = [self.model, self.halo, *self.references]
        return sum(machine.usage(*target.pids).seconds for target in targets) + sum(os.times()[:2])


def _watch(watch: Callable[[], object] | None, over: threading.Event) -> None:
    while watch is not None and not over.wait(1.0):
        watch()


def _ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def until_answered(port: int, path: str, process: subprocess.Popen[str] | None = None) -> None:
    """Waits for a 200 on a port of this machine; raises Failed when `process` ends first, or after five minutes."""
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and (process is None or process.poll() is None):
        try:
            if _ask(port, "GET", path)[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    raise Failed(f"{process.args if process else port!r} did not start")


@contextmanager
def halo(folder: Path, model: Target) -> Iterator[tuple[Target, Target]]:
    """`manage.py up`, with an agent that has no knowledge, and with one that searches our documentation."""
    port = free_port()
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= THREADS | {
        "HALO_DATA_DIR": str(folder),
        "HALO_RATE_LIMITS": "off",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{model.ports[0]}/v1",
        "OPENAI_API_KEY": "bench",
        "HALO_MODEL": "fake",
    }
    up = [sys.executable, "manage.py", "up", "--data-dir", str(folder), "--port", str(port), "--no-demo"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(up, env=env, **quiet) as process:
        until_answered(port, "/health/ready", process)
        make = [sys.executable, "manage.py", "shell", "-v", "0", "-c", MAKE_ORGANISATIONS]
        made = subprocess.run(make, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
        keys = json.loads(made.stdout.splitlines()[-1])
        message = '{"message": "How do I deploy Halo to production? I ask for the @th time."}'
        plain = Target(
            "halo",
            [port],
            (process.pid,),
            path="/api/sdk/chat",
            body=message,
            headers={"Authorization": f"Bearer {keys['plain']}"},
            stream_path="/api/sdk/chat/stream",
            stream_body=message,
            stream_headers={"Accept": "text/event-stream", "Authorization": f"Bearer {keys['unguarded']}"},
            first="event: delta",
        )
        bearer = {"Authorization": f"Bearer {keys['knowing']}"}
        yield plain, dataclasses.replace(plain, name="halo with knowledge", headers=bearer)


@contextmanager
def litellm(python: Path, folder: Path, model: Target) -> Iterator[Target]:
    """The proxy of LiteLLM without a database, from the environment of `python`.

    One worker: on a busy machine uvicorn gives up on more of them before they have imported everything.
    """
    port = free_port()
    config = folder / "litellm.yaml"
    # It does not start without one.
    key = f"sk-{secrets.token_hex(32)}"
    address = f"http://127.0.0.1:{model.ports[0]}/v1"
    config.write_text(
        "model_list:\n  - model_name: fake\n    litellm_params:\n"
        f"      model: openai/fake\n      api_base: {address}\n      api_key: bench\n"
        f"general_settings:\n  master_key: {key}\n"
    )
    command = [str(python.parent / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    env = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(command, env=env, **quiet) as process:
        until_answered(port, "/health/liveliness", process)
        yield Target("litellm", [port], (process.pid,), headers={"Authorization": f"Bearer {key}"})
