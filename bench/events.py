"""What events cost, and how many are taken: `python bench/events.py [--seconds N] [--rate N]`, from the root.

Starts the whole product on a folder of its own and sends it batches of a hundred events from a process apart: first
as fast as eight clients can, then at a steady rate for some seconds. Prints CPU a batch by process, PostgreSQL and
Valkey included, and the rates. CPU is read from /proc and is the figure to trust; clocks say as much about what else
the machine did, which is printed too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import load_rig, machine
from halo.embedded.processes import raise_file_limit

BATCH = 100
EVENT = {
    "event_type": "click",
    "element_selector": "main > section.checkout button#pay",
    "page_url": "https://shop.example/checkout/payment?step=2",
    "metadata": {"x": 612, "y": 240, "timestamp": 1_764_250_000_000, "text": "Pay now"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the steady rate lasts")
    parser.add_argument("--rate", type=float, default=50.0, help="batches a second of the steady rate")
    options = parser.parse_args()
    raise_file_limit()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="halo-events-")))
        model = stack.enter_context(load_rig.lean("lean_model"))
        halo, _ = stack.enter_context(load_rig.halo(folder / "data", model))
        rig = load_rig.Rig(model, halo, halo, folder / "data", [])
        # A user a batch, one of a thousand: each is made or seen in the same transaction.
        body = json.dumps({"user_id": "user-@", "events": [EVENT] * BATCH})
        target = dataclasses.replace(halo, path="/api/sdk/events", body=body)
        rig.load(target.plan(clients=8, turns=100))
        tell("eight clients", rig, target.plan(clients=8, turns=1000))
        tell(
            f"{options.rate * BATCH:,.0f} events/s",
            rig,
            target.plan(rate=options.rate, seconds=options.seconds),
        )
        with rig.database() as database:
            stored = database.execute("SELECT count(*) FROM chat_sessions_event").fetchone()
        print(f"stored: {stored[0] if stored else 0:,} events")
    return 0


def tell(name: str, rig: load_rig.Rig, plan: dict[str, Any]) -> None:
    before = machine.usage(*rig.halo.pids)
    done = rig.load(plan)
    used = machine.usage(*rig.halo.pids).since(before)
    batches = done["statuses"].get("200", 0)
    each = {role: round(seconds / batches * 1000, 2) for role, seconds in used.by_role.items() if seconds}
    times = done["times"]
    print(
        f"{name}: {batches * BATCH / done['seconds']:,.0f} events/s taken in {done['seconds']:.1f} s, "
        f"{used.seconds / batches * 1000:.1f} ms of CPU a batch {each}, p50 {times[len(times) // 2] * 1000:.0f} ms, "
        f"p95 {times[int(len(times) * 0.95)] * 1000:.0f} ms, answers {done['statuses']}; other processes used "
        f"{done['foreign_cpus']:.2f} CPUs, fixed piece of Python {done['pace']:.1f} ms",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
