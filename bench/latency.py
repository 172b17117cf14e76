"""What Halo adds to a model's own time for one client at a time, and the CPU of a turn over all processes.

Starts the whole product on a folder of its own in front of a fake model with a fixed delay, and prints a line per
measure: `python bench/latency.py [--turns 200] [--delay 0.2]`. Bars: p50 40 ms, p95 80 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 20
TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def cpu_seconds(root_pid: int) -> float:
    """User and system time of a process and all its living descendants."""
    stats: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            stats[int(entry.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS
    family = {root_pid}
    while grown := {pid for pid, (parent, _) in stats.items() if parent in family} - family:
        family |= grown
    return sum(stats[pid][1] for pid in family if pid in stats)


def ready(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False


def measure(port: int, key: str, turns: int, up: int) -> dict[str, float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=70)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def turn() -> float:
        began = time.perf_counter()
        connection.request("POST", "/api/sdk/chat", json.dumps({"message": "How long does shipping take?"}), headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        return time.perf_counter() - began

    for _ in range(WARM_UP):
        turn()
    cpu = cpu_seconds(up)
    times = sorted(turn() for _ in range(turns))
    cpu = cpu_seconds(up) - cpu
    return {
        "p50_ms": statistics.median(times) * 1000,
        "p95_ms": times[int(len(times) * 0.95)] * 1000,
        "cpu_ms_per_turn": cpu / turns * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0.2, help="the fake model's own time, in seconds")
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
            figures = measure(port, key, options.turns, processes[1].pid)
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)
    delay_ms = options.delay * 1000
    print(f"added latency, one client, p50: {figures['p50_ms'] - delay_ms:.1f} ms (bar 40)")
    print(f"added latency, one client, p95: {figures['p95_ms'] - delay_ms:.1f} ms (bar 80)")
    print(f"CPU per turn, all processes with PostgreSQL and Redis: {figures['cpu_ms_per_turn']:.1f} ms")


if __name__ == "__main__":
    main()
