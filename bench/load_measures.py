"""The measures of bench/load.py, each a function from a rig to figures; what they have in common comes first."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench import machine
from bench.load_rig import Failed, Rig, Target

WARM_UP = {"clients": 8, "turns": 80}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table; `bar` and `aim` as (value, whether lower is better) where there is a goal."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    aim: float | None = None
    lower_is_better: bool = True
    note: str = ""

    def __str__(self) -> str:
        goal = ""
        if self.bar is not None and self.aim is not None:
            sign = "<=" if self.lower_is_better else ">="
            goal = f"bar {sign} {self.bar:g}, aim {sign} {self.aim:g}: {self.verdict}"
        return "  ".join(
            part for part in (f"{self.name:<62} {self.value:>9.2f} {self.unit:<6}", goal, self.note) if part
        )

    @property
    def verdict(self) -> str:
        if self.bar is None or self.aim is None:
            return ""
        sign = 1 if self.lower_is_better else -1
        return (
            "aim reached"
            if sign * self.value <= sign * self.aim
            else "bar reached"
            if sign * self.value <= sign * self.bar
            else "missed"
        )


def _percentile(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))] * 1000


def _check(done: dict[str, Any], what: str) -> None:
    if not done["times"]:
        raise Failed(f"{what}: nothing was answered ({done['statuses']})")


def idle(rig: Rig, *, short: bool) -> list[Figure]:
    """CPU and memory while nobody asks anything."""
    seconds = 5.0 if short else 20.0
    before, began = machine.usage(*rig.halo.pids), time.monotonic()
    time.sleep(seconds)
    used, lasted = machine.usage(*rig.halo.pids).since(before), time.monotonic() - began
    megabytes = machine.memory(*rig.halo.pids)
    roles = ", ".join(f"{role} {size:.0f}" for role, size in sorted(megabytes.items()))
    ticks = ", ".join(f"{role} {cpu / lasted * 1000:.1f}" for role, cpu in sorted(used.by_role.items()))
    return [
        Figure("memory at rest, all processes (PSS)", sum(megabytes.values()), "MiB", 700, 400, note=roles),
        Figure("CPU at rest, milliseconds a second", used.seconds / lasted * 1000, "ms/s", note=ticks),
    ]


def cpu(rig: Rig, *, short: bool) -> list[Figure]:
    """CPU of a stored turn over all processes, four clients; what the product spends at rest is told apart."""
    turns = 150 if short else 600
    rig.behave(delay=0.05)
    found = []
    for target in (rig.halo, rig.knowing):
        rig.load(target.plan(**WARM_UP))
        before, began = machine.usage(*target.pids), time.monotonic()
        time.sleep(5.0)
        at_rest = machine.usage(*target.pids).since(before).seconds / (time.monotonic() - began)
        before, began = machine.usage(*target.pids), time.monotonic()
        done = rig.load(target.plan(clients=4, turns=turns))
        # What is written down after the answer was sent belongs to the turn as well.
        time.sleep(0.5)
        used, lasted = machine.usage(*target.pids).since(before), time.monotonic() - began
        _check(done, "cpu")
        answered = len(done["times"])
        parts = [f"{role} {cpu / answered * 1000:.1f}" for role, cpu in sorted(used.by_role.items()) if cpu > 0.02]
        ticks = at_rest * lasted / answered * 1000
        note = f"{', '.join(parts)}; {ticks:.1f} idle ticks left out; pace {done['pace']:.2f} ms"
        goal = (20, 10) if target is rig.halo else (None, None)
        own = used.seconds / answered * 1000 - ticks
        found.append(Figure(f"CPU of a turn, all processes: {target.name}", own, "ms", *goal, note=note))
        found.append(Figure(f"the same in paces (see below): {target.name}", own / done["pace"], ""))
    return found


def throughput(rig: Rig, *, short: bool) -> list[Figure]:
    """Turns a second with 24 clients and a model that answers at once, and what the references do of the same."""
    rig.behave(delay=0.0)
    rates: dict[str, float] = {}
    found = []
    for target in (rig.halo, rig.knowing, *rig.references):
        own = target in (rig.halo, rig.knowing)
        turns = (300 if short else 1000) if own else 2000
        rig.load(target.plan(**WARM_UP))
        before = machine.usage(*target.pids)
        done = rig.load(target.plan(clients=24, turns=turns))
        used = machine.usage(*target.pids).since(before)
        _check(done, f"throughput of {target.name}")
        rate = rates[target.name] = len(done["times"]) / done["seconds"]
        note = (
            f"{used.seconds / len(done['times']) * 1000:.1f} ms CPU a turn, "
            f"p50 {statistics.median(done['times']) * 1000:.0f} ms, p95 {_percentile(done['times'], 0.95):.0f} ms, "
            f"others used {done['foreign_cpus']:.2f} CPUs; pace {done['pace']:.2f} ms"
        )
        found.append(Figure(f"turns a second, 24 clients, delay 0: {target.name}", rate, "1/s", note=note))
    if "litellm" in rates:
        ratio = rates["halo"] / rates["litellm"]
        found.append(Figure("turns a second in multiples of LiteLLM's", ratio, "", 1.8, 4, lower_is_better=False))
    return found


def latency(rig: Rig, *, short: bool) -> list[Figure]:
    """What Halo adds to the model's own time: for one client, and at half of what it can do."""
    turns, delay = (40 if short else 150), 0.2
    rig.behave(delay=delay)
    own = rig.load(rig.model.plan(clients=1, turns=20))["times"]
    model = statistics.median(own) * 1000
    found = []
    for target in (rig.halo, *rig.references):
        rig.load(target.plan(**WARM_UP))
        times = rig.load(target.plan(clients=1, turns=turns))["times"]
        bars = ((40, 15), (80, 40)) if target is rig.halo else ((None, None), (None, None))
        p50, p95 = statistics.median(times) * 1000 - model, _percentile(times, 0.95) - model
        found.append(Figure(f"added latency, 1 client, p50: {target.name}", p50, "ms", *bars[0]))
        found.append(Figure(f"added latency, 1 client, p95: {target.name}", p95, "ms", *bars[1]))
    rig.behave(delay=0.0)
    probe = rig.load(rig.halo.plan(clients=24, turns=200 if short else 500))
    rate = len(probe["times"]) / probe["seconds"] / 2
    rig.behave(delay=delay)
    done = rig.load(rig.halo.plan(rate=rate, seconds=8 if short else 20))
    _check(done, "half load")
    note = f"{rate:.0f} turns/s, {done['statuses']}"
    found.append(
        Figure("added latency, half load, p50", statistics.median(done["times"]) * 1000 - model, "ms", note=note)
    )
    found.append(Figure("added latency, half load, p95", _percentile(done["times"], 0.95) - model, "ms"))
    return found


def first_token(rig: Rig, *, short: bool) -> list[Figure]:
    """The first streamed text over the model's own, one client, for an agent whose guard is off."""
    turns = 40 if short else 150
    rig.behave(delay=0.2, gap=0.01)
    own = rig.load(rig.model.plan(streamed=True, clients=1, turns=20))["first_times"]
    found = []
    for target in (rig.halo, *rig.references):
        done = rig.load(target.plan(streamed=True, clients=1, turns=10))
        if set(done["statuses"]) == {"404"}:
            print(f"{target.name} does not stream yet ({target.stream_path} is a 404), so its first token is skipped.")
            continue
        times = rig.load(target.plan(streamed=True, clients=1, turns=turns))["first_times"]
        if not times:
            raise Failed(f"{target.name} streamed no text")
        goal = (40, 15) if target is rig.halo else (None, None)
        added = (statistics.median(times) - statistics.median(own)) * 1000
        found.append(Figure(f"first token over the model's own, 1 client, p50: {target.name}", added, "ms", *goal))
    return found


def burst(rig: Rig, *, short: bool) -> list[Figure]:
    """A thousand turns at once before a model that takes five seconds."""
    turns = 200 if short else 1000
    _warm_up(rig)
    rig.behave(delay=5.0)
    held = _Held(rig)
    done = rig.load(rig.halo.plan(clients=turns, turns=turns), watch=held.look)
    found = held.answered(f"{turns} at once, 5 s model", done, sent=turns)
    found.append(Figure(f"{turns} at once, 5 s model: the last was answered after", done["seconds"], "s", 40, 15))
    return found + held.figures(f"{turns} at once, 5 s model", done["most_in_flight"])


def held(rig: Rig, *, short: bool) -> list[Figure]:
    """Two thousand turns in flight: 66 arrivals a second before a model that takes thirty seconds."""
    rate, delay, seconds = (20, 10.0, 15) if short else (66, 30.0, 45)
    _warm_up(rig)
    rig.behave(delay=delay)
    watched = _Held(rig)
    done = rig.load(rig.halo.plan(rate=rate, seconds=seconds), watch=watched.look)
    name = f"{done['most_in_flight']} in flight, {delay:g} s model"
    found = watched.answered(name, done, sent=round(rate * seconds))
    added = _percentile(done["times"], 0.95) / 1000 - delay
    found.append(Figure(f"{name}: p95 added", added, "s", 2, 0.3, note=f"{rate} arrivals/s for {seconds} s"))
    return found + watched.figures(name, done["most_in_flight"])


def _warm_up(rig: Rig) -> None:
    # The first turns of a process take longer, and of what comes at a fixed rate all behind them would wait.
    rig.behave(delay=0.0)
    rig.load(rig.halo.plan(**WARM_UP))


class _Held:
    """Watches connections and memory while turns wait."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.rest = _answering(rig.halo)
        self.most_memory = self.most_connections = 0.0
        self.looks = 0
        self.calls = rig.calls()
        with rig.database() as database:
            self.turns = _stored(database)

    def look(self) -> None:
        # The kernel walks all pages of a process for it, which took a tenth of the machine when done every second.
        if self.looks % 5 == 0:
            self.most_memory = max(self.most_memory, _answering(self.rig.halo))
        self.looks += 1
        with self.rig.database() as database:
            row = database.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
        self.most_connections = max(self.most_connections, row[0] if row else 0)

    def answered(self, name: str, done: dict[str, Any], *, sent: int) -> list[Figure]:
        _check(done, name)
        with self.rig.database() as database:
            stored = _stored(database) - self.turns
        note = (
            f"{done['statuses']}, {done['distinct']} different turns, {stored} stored and done, "
            f"{self.rig.calls() - self.calls} calls of the model"
        )
        share = min(len(done["times"]), done["distinct"], stored) / sent * 100
        return [Figure(f"{name}: answered, once each", share, "%", 100, 100, lower_is_better=False, note=note)]

    def figures(self, name: str, in_flight: int) -> list[Figure]:
        grown = max(0.0, self.most_memory - self.rest)
        return [
            Figure(f"{name}: connections to PostgreSQL", self.most_connections, "", 40, 32),
            Figure(f"{name}: web and worker memory for one more turn", grown / in_flight * 1024, "KiB"),
            Figure(
                f"{name}: turns in flight per GiB of web and worker memory",
                in_flight / self.most_memory * 1024,
                "",
                2000,
                6000,
                lower_is_better=False,
                note=f"{self.rest:.0f} MiB before, {self.most_memory:.0f} MiB at most",
            ),
        ]


def _answering(target: Target) -> float:
    return sum(machine.memory(*target.pids, roles=("web", "worker")).values())


def _stored(database: Any) -> int:
    row = database.execute("SELECT count(*) FROM conversations_turn WHERE status = 'done'").fetchone()
    return int(row[0])


MEASURES: dict[str, Callable[..., list[Figure]]] = {
    "idle": idle,
    "cpu": cpu,
    "throughput": throughput,
    "latency": latency,
    "first": first_token,
    "burst": burst,
    "held": held,
}
