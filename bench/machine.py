"""What processes used, read from /proc, and how fast the CPU was meanwhile.

CPU seconds depend on what else a machine does far less than clocks, but where two threads share a core they still do:
the same work then takes up to twice as many. So a fixed piece of Python is timed beside every measure.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# The product's processes: forks by the names that they have (of 15 letters), others by what their command lines hold.
_NAMES = {
    "halo web": "web",
    "halo worker": "worker",
    "halo worker-def": "worker-default",
    "halo beat": "beat",
    "halo fork-serve": "fork-server",
}
_ROLES = (
    ("web", "gunicorn"),
    ("worker", "-Q llm"),
    ("worker-default", "-Q default"),
    ("beat", " beat"),
    ("postgres", "postgres"),
    ("valkey", "valkey"),
)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of a family of processes, by role."""

    by_role: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(self.by_role.values())

    def since(self, earlier: Usage) -> Usage:
        return Usage({role: used - earlier.by_role.get(role, 0.0) for role, used in self.by_role.items()})


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    cpu: float


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # Its own time, and that of children that have ended and were waited for.
        found[int(entry.name)] = _Process(int(entry.name), int(fields[1]), sum(map(int, fields[11:15])) / TICKS)
    return found


def family(*roots: int) -> list[tuple[int, str, float]]:
    """Process id, role and CPU seconds of the processes `roots` and all their living descendants."""
    all_of_them = _processes()
    members = set(roots) & all_of_them.keys()
    while grown := {one.pid for one in all_of_them.values() if one.parent in members} - members:
        members |= grown
    return [(pid, role_of(pid), all_of_them[pid].cpu) for pid in sorted(members)]


def role_of(pid: int) -> str:
    """What a process of the product is."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "up"
    # The second worker's name ends with its number.
    return _NAMES.get(name.rstrip("-0123456789")) or next((role for role, sign in _ROLES if sign in line), "up")


def usage(*roots: int) -> Usage:
    """What the processes and their descendants have used since they began."""
    by_role: dict[str, float] = {}
    for _, role, cpu in family(*roots):
        by_role[role] = by_role.get(role, 0.0) + cpu
    return Usage(by_role)


def memory(*roots: int, roles: Collection[str] | None = None) -> dict[str, float]:
    """MiB by role (of these; None: of all), a shared page counted in parts (PSS)."""
    by_role: dict[str, float] = {}
    for pid, role, _ in family(*roots):
        if roles is not None and role not in roles:
            continue
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        pss = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        by_role[role] = by_role.get(role, 0.0) + pss / 1024
    return by_role


def busy_seconds() -> float:
    """CPU seconds of everything on this machine."""
    user, nice, system, _idle, _wait, irq, soft, *_ = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    )
    return (user + nice + system + irq + soft) / TICKS


def load_average() -> float:
    return os.getloadavg()[0]


class Pace:
    """Milliseconds of CPU that a fixed piece of Python takes, twice a second while the block lasts; `ms` the median."""

    def __enter__(self) -> Pace:
        self._over = threading.Event()
        self._found = [_fixed_work()]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        self.ms = statistics.median(self._found)

    def _run(self) -> None:
        while not self._over.wait(0.5):
            self._found.append(_fixed_work())


def _fixed_work() -> float:
    began = time.thread_time()
    held: dict[str, int] = {}
    for number in range(10_000):
        held[str(number)] = number
        if len(held) > 500:
            held.clear()
    for _ in range(50):
        json.loads(json.dumps({"a": [1, 2, 3] * 20, "b": {"c": "x" * 100}}))
    return (time.thread_time() - began) * 1000
