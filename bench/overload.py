"""What becomes of the answers when three times as many messages come as can be answered.

Starts the whole product on a folder of its own in front of a fake model with a fixed delay. Finds the peak of answers
a second with clients that send again as soon as they are answered; sends three times that, whether answered or not;
waits ten seconds; measures one client: `python bench/overload.py [--delay 0.5] [--seconds 30]`. Bars: answers at three
times the peak 90 % of it, p99 of refusals 250 ms, latency as before. Clients run on the same machine, and count.

A machine's pace changes within a minute, and the best of several figures is a lucky one. So the peak that answers are
held against is measured anew with the number of clients that was found, half before the load and half after it.

Answers are counted as they come within a window that begins when as many are under way as will be: what was sent
before and came within it counts, what was sent within it and came later does not. Refusals count from the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from bench.load_rig import free_port
from bench.machine import TICKS, role_of

TOO_LONG = 75.0
# Before answers are counted: for clients that wait for theirs, and for the queue to be as long as it will be.
WARM_SECONDS, OVERLOADED_SECONDS = 2.0, 6.0
TOKEN = secrets.token_hex(16)


@dataclass
class Seen:
    """What clients saw: by status, when it came and how many seconds it took."""

    times: dict[int, list[float]] = field(default_factory=dict)
    came: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        self.times.setdefault(status, []).append(seconds)
        self.came.setdefault(status, []).append(time.monotonic())

    def number(self, status: int, *, begins: float, ends: float) -> int:
        return sum(begins <= moment < ends for moment in self.came.get(status, ()))

    @property
    def refusals(self) -> list[float]:
        return sorted(self.times.get(429, []) + self.times.get(503, []))

    def counts(self) -> dict[str, int]:
        return {str(status): len(times) for status, times in sorted(self.times.items())}


def ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cpu_by_process(up: int) -> Counter[str]:
    """CPU seconds so far of the product's processes, by what they are, and of the clients."""
    spent: Counter[str] = Counter(clients=sum(os.times()[:2]))  # type: ignore[arg-type]
    for pid in descendants(up):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent[role_of(pid)] += (int(fields[11]) + int(fields[12])) / TICKS
    return spent


def an_answer(spent: Counter[str], seen: Seen) -> dict[str, float]:
    """What was spent, refusals too, in ms for each answer."""
    answers = len(seen.times.get(200, [])) or 1
    return {name: round(seconds * 1000 / answers, 1) for name, seconds in spent.items() if seconds >= 0.1}


def descendants(root: int) -> set[int]:
    """A process and all that it has started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family


def sheds(port: int) -> dict[str, int]:
    """Refusals by reason, as the product's own metrics tell them."""
    time.sleep(2.5)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request) as response:
        lines = response.read().decode().splitlines()
    found = (line.partition("}") for line in lines if line.startswith("halo_shed_total{"))
    return {name.split('"')[1]: int(float(number)) for name, _, number in found if float(number)}


class Client:
    """Connections to the product that are kept and shared; just enough HTTP, as clients take CPU from it."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        body = json.dumps({"message": "How long does shipping take?"})
        self.request = (
            f"POST /api/sdk/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self.idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def say(self, seen: Seen) -> None:
        began = time.perf_counter()
        status = 0
        try:
            async with asyncio.timeout(TOO_LONG):
                connection = self.idle.pop() if self.idle else await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = connection
                writer.write(self.request)
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split(b" ", 2)[1])
                headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
                await reader.readexactly(int(headers[b"content-length"]))
                if headers.get(b"connection") == b"close":
                    writer.close()
                else:
                    self.idle.append(connection)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            status = 0
        seen.add(status, time.perf_counter() - began)


async def closed_loop(client: Client, clients: int, seconds: float) -> tuple[Seen, float]:
    """`clients` who send again as soon as they are answered; also how many answers a second came."""
    seen, begins = Seen(), time.monotonic() + WARM_SECONDS
    ends = begins + seconds

    async def one() -> None:
        while time.monotonic() < ends:
            await client.say(seen)

    await asyncio.gather(*(one() for _ in range(clients)))
    return seen, seen.number(200, begins=begins, ends=ends) / seconds


async def open_loop(client: Client, rate: float, seconds: float) -> tuple[Seen, float, float]:
    """`rate` messages a second, whatever becomes of them; also how many were sent, and how many answered, a second."""
    seen, tasks, began = Seen(), [], time.monotonic()
    begins = began + OVERLOADED_SECONDS
    ends = begins + seconds
    while (now := time.monotonic()) < ends:
        while len(tasks) < (now - began) * rate:
            tasks.append(asyncio.create_task(client.say(seen)))
        await asyncio.sleep(0.005)
    sent = len(tasks) / (time.monotonic() - began)
    print(f"  when it stopped {sum(not task.done() for task in tasks)} still waited", file=sys.stderr)
    await asyncio.gather(*tasks)
    return seen, sent, seen.number(200, begins=begins, ends=ends) / seconds


async def measure(port: int, key: str, up: int, options: argparse.Namespace) -> dict[str, Any]:
    client = Client(port, key)
    await closed_loop(client, 4, 3)
    before, _ = await closed_loop(client, 1, 5)
    best, at = 0.0, 0
    for clients in (8, 16, 32, 64, 128):
        seen, rate = await closed_loop(client, clients, options.seconds / 3)
        print(f"  {clients} clients: {rate:.1f} answers/s, {seen.counts()}", file=sys.stderr)
        if rate < best:
            break
        best, at = rate, clients
    before_cpu = cpu_by_process(up)
    at_peak, peak_before = await closed_loop(client, at, options.seconds / 2)
    peak_cpu = cpu_by_process(up) - before_cpu
    await asyncio.sleep(5)
    before_cpu = cpu_by_process(up)
    seen, sent, answered = await open_loop(client, 3 * max(best, peak_before), options.seconds)
    cpu = cpu_by_process(up) - before_cpu
    await asyncio.sleep(10)
    after, _ = await closed_loop(client, 1, 5)
    _, peak_after = await closed_loop(client, at, options.seconds / 2)
    peak = (peak_before + peak_after) / 2
    refusals = seen.refusals
    return {
        "peak_per_s": round(peak, 1),
        "peak_of": {"found": round(best, 1), "before": round(peak_before, 1), "after": round(peak_after, 1)},
        "clients": at,
        "sent_per_s": round(sent, 1),
        "answered_per_s": round(answered, 1),
        "kept": round(answered / peak, 3),
        "statuses": seen.counts(),
        "answer_p50_s": round(statistics.median(seen.times.get(200, [0.0])), 3),
        "refusal_p50_ms": round(statistics.median(refusals) * 1000) if refusals else None,
        "refusal_p99_ms": round(refusals[int(len(refusals) * 0.99)] * 1000) if refusals else None,
        "before_p50_ms": round(statistics.median(before.times[200]) * 1000),
        "after_p50_ms": round(statistics.median(after.times[200]) * 1000) if 200 in after.times else None,
        "sheds": sheds(port),
        "cpu_ms_an_answer": {"peak": an_answer(peak_cpu, at_peak), "flood": an_answer(cpu, seen)},
        "load_of_machine": os.getloadavg()[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.5, help="the fake model's own time, in seconds")
    parser.add_argument("--seconds", type=float, default=30, help="how long to send too much")
    options = parser.parse_args()
    model_port, port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="halo-bench-") as folder:
        env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        env |= {
            "HALO_DATA_DIR": folder,
            "HALO_RATE_LIMITS": "off",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1",
            "OPENAI_API_KEY": "bench",
            "HALO_MODEL": "fake",
            "HALO_METRICS_TOKEN": TOKEN,
        }
        fake = [sys.executable, "tests/fake_model.py", "--port", str(model_port), "--delay", str(options.delay)]
        up = [sys.executable, "manage.py", "up", "--data-dir", folder, "--port", str(port), "--no-demo"]
        processes = [
            subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in (fake, up)
        ]
        try:
            while not ready(port):
                time.sleep(0.1)
            create = [sys.executable, "manage.py", "create_org", "Bench", "--json"]
            made = subprocess.run(create, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
            key = json.loads(made.stdout.splitlines()[-1])["widget_key"]
            figures = asyncio.run(measure(port, key, processes[1].pid, options))
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=90)
    print(f"peak: {figures['peak_per_s']} answers/s with {figures['clients']} clients, of {figures['peak_of']}")
    print(f"at three times that: {figures['answered_per_s']} answers/s, {figures['kept']:.0%} of the peak (bar 90 %)")
    print(f"refusals, p99: {figures['refusal_p99_ms']} ms (bar 250)")
    print(f"one client, p50: {figures['before_p50_ms']} ms before, {figures['after_p50_ms']} ms ten seconds after")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
