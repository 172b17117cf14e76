"""What a second machine adds: `python bench/nodes.py [--share 0.5] [--turns 600] [--json FILE]`, as root, on Linux.

Each node is a network namespace of its own with one web and one worker process, which together may use `--share` of
a CPU, so that they are what is measured and not this machine; it reaches PostgreSQL and Valkey by TCP through a
virtual cable. Those live in a third namespace, which has the rest of the machine. Prints turns a second of one node
and of two, CPU of a turn by role, connections, and how many turns each worker has answered. No address is put on an
interface of the machine itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import machine
from bench.load_rig import MAKE_ORGANISATIONS
from halo.embedded.accounts import make_run_folders
from halo.embedded.postgres import Postgres
from halo.embedded.servers import Servers, stop, throw_away_folder

HUB, NODES = "halo-hub", ("halo-node1", "halo-node2")
HUB_ADDRESS, NETWORK, PORT = "10.77.0.1", "10.77.0.0/24", 8000
WORKER = ["-m", "celery", "-A", "halo", "worker", "--without-gossip", "--without-mingle", "--without-heartbeat"]
PERIOD_US = 100_000
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@contextmanager
def namespaces() -> Iterator[None]:
    """The hub with a bridge, and each node on a cable to it; gone afterwards."""
    with ExitStack() as stack:
        for name in (HUB, *NODES):
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", HUB, "link", "add", "bridge", "type", "bridge")
        run("ip", "-n", HUB, "addr", "add", f"{HUB_ADDRESS}/24", "dev", "bridge")
        run("ip", "-n", HUB, "link", "set", "bridge", "up")
        for number, name in enumerate(NODES, start=1):
            cable = f"to-node{number}"
            run("ip", "-n", HUB, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "-n", HUB, "link", "set", cable, "master", "bridge", "up")
            run("ip", "-n", name, "addr", "add", f"10.77.0.{10 + number}/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        yield


@contextmanager
def limited(name: str, share: float) -> Iterator[int]:
    """A control group whose processes together have `share` of a CPU, as the open file by which they enter it.

    A namespace does not see the folder of control groups, but keeps what was opened before.
    """
    root = Path("/sys/fs/cgroup")
    unified = (root / "cgroup.controllers").exists()
    group = (root if unified else root / "cpu") / name
    group.mkdir()
    try:
        quota = round(share * PERIOD_US)
        if unified:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        with (group / "cgroup.procs").open("w") as entrance:
            yield entrance.fileno()
    finally:
        while (group / "cgroup.procs").read_text():
            time.sleep(0.1)
        group.rmdir()


@contextmanager
def process(command: Sequence[str], *, inside: str = "", group: int | None = None, **options: Any) -> Iterator[Any]:
    """A process of the namespace `inside`, and of a control group, for as long as the block lasts."""
    start = ["ip", "netns", "exec", inside] if inside else []
    enter = None if group is None else lambda: os.write(group, b"0") and None
    one = subprocess.Popen([*start, *command], cwd=ROOT, text=True, preexec_fn=enter, **options)
    try:
        yield one
    finally:
        one.terminate()
        one.wait(timeout=90)


@contextmanager
def servers(folder: Path) -> Iterator[None]:
    """PostgreSQL and Valkey of this namespace, by TCP."""
    make_run_folders(folder)
    both = Servers(folder)
    both.prepare()
    for part in both.parts:
        if isinstance(part, Postgres):
            with (part.data / "pg_hba.conf").open("a") as access:
                access.write(f"host all halo {NETWORK} trust\n")
    by_tcp = {
        "postgres": ["-c", f"listen_addresses={HUB_ADDRESS}"],
        "valkey": ["--port", "6379", "--bind", HUB_ADDRESS, "--protected-mode", "no"],
    }
    programs = [dataclasses.replace(one, argv=[*one.argv, *by_tcp[one.name]]) for one in both.programs()]
    try:
        for program in programs:
            program.start()
        while not both.are_ready():
            time.sleep(0.1)
        yield
    finally:
        stop(programs)


@dataclass(frozen=True, slots=True)
class Node:
    """A namespace with a web and a worker process, and a model and a load of its own."""

    name: str
    pids: tuple[int, ...]

    def say(self, *, turns: int, clients: int, key: str) -> dict[str, Any]:
        plan = {
            "ports": [PORT],
            "path": "/api/sdk/chat",
            "body": '{"message": "How do I deploy Halo to production? I ask for the @th time."}',
            "headers": {"Authorization": f"Bearer {key}"},
            "clients": clients,
            "turns": turns,
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with process([sys.executable, "bench/load_clients.py"], inside=self.name, **pipes) as load:
            done: dict[str, Any] = json.loads(load.communicate(json.dumps(plan))[0])
        if done["statuses"].get("200") != turns:
            raise SystemExit(f"{self.name}: not all were answered: {done['statuses']}")
        return done


@contextmanager
def node(name: str, *, group: int, env: dict[str, str]) -> Iterator[Node]:
    with ExitStack() as stack:
        model = stack.enter_context(
            process([sys.executable, "bench/lean_model.py"], inside=name, stdout=subprocess.PIPE)
        )
        own = env | {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{int(model.stdout.readline())}/v1",
            "HALO_BIND": f"127.0.0.1:{PORT}",
        }
        place = {"inside": name, "group": group, "env": own, **QUIET}
        web = [sys.executable, "-m", "gunicorn", "halo.wsgi", "-c", "halo/gunicorn_conf.py"]
        worker = [sys.executable, *WORKER, "-Q", "llm", "-P", "threads", "-c", "640", "-n", f"llm@{name}"]
        started = [stack.enter_context(process(command, **place)) for command in (web, worker)]
        ready = f"import bench.load_rig as rig; rig.until_answered({PORT}, '/health/ready')"
        subprocess.run(["ip", "netns", "exec", name, sys.executable, "-c", ready], cwd=ROOT, check=True)
        yield Node(name, tuple(one.pid for one in started))


def measure(nodes: Sequence[Node], *, turns: int, key: str) -> dict[str, Any]:
    """All nodes at once, 24 clients each."""
    pids = {pid: one.name for one in nodes for pid in one.pids}
    database = [pid for pid, role, _ in machine.family(os.getpid()) if role in ("postgres", "valkey")]
    before = machine.usage(*pids, *database)
    with ThreadPoolExecutor(len(nodes)) as threads:
        results = list(threads.map(lambda one: one.say(turns=turns, clients=24, key=key), nodes))
    used = machine.usage(*pids, *database).since(before)
    answered = turns * len(nodes)
    return {
        "turns a second": round(sum(turns / done["seconds"] for done in results), 1),
        "p50 ms": [round(done["times"][turns // 2] * 1000) for done in results],
        "CPU of a turn, ms": {
            role: round(cpu / answered * 1000, 1) for role, cpu in sorted(used.by_role.items()) if cpu
        },
    }


def carried() -> dict[str, int]:
    """Connections to the database, and turns by the process that answered them."""
    with psycopg.connect(host=HUB_ADDRESS, user="halo", dbname="halo") as connection:
        (connections,) = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'halo'").fetchone()  # type: ignore[misc]
        answered = connection.execute("SELECT count(*) FROM conversations_turn GROUP BY claimed_by").fetchall()
    return {"connections": connections - 1, "turns by worker": sorted(number for (number,) in answered)}  # type: ignore[dict-item]


def inside(options: argparse.Namespace) -> dict[str, Any]:
    """The measure itself, in the hub."""
    with ExitStack() as stack:
        folder = stack.enter_context(throw_away_folder())
        stack.enter_context(servers(folder))
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HALO_", "DATABASE_"))}
        env |= {
            "HALO_DATA_DIR": str(folder),
            "DATABASE_URL": f"postgres://halo@{HUB_ADDRESS}/halo",
            "REDIS_URL": f"redis://{HUB_ADDRESS}:6379/0",
            "HALO_RATE_LIMITS": "off",
            "HALO_WEB_WORKERS": "1",
            "OPENAI_API_KEY": "bench",
            "HALO_MODEL": "fake",
        }
        run_manage = [sys.executable, "manage.py"]
        subprocess.run([*run_manage, "migrate", "-v", "0"], cwd=ROOT, env=env, check=True)
        make = [*run_manage, "shell", "-v", "0", "-c", MAKE_ORGANISATIONS]
        made = subprocess.run(make, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
        key = json.loads(made.stdout.splitlines()[-1])["plain"]
        figures: dict[str, Any] = {"load average before": round(machine.load_average(), 1)}
        nodes: list[Node] = []
        # The second starts when the first has been measured: its worker would help.
        for title, name, group in zip(("one node", "two nodes"), NODES, options.inside, strict=True):
            nodes.append(stack.enter_context(node(name, group=group, env=env)))
            nodes[-1].say(turns=60, clients=8, key=key)
            figures[title] = measure(nodes, turns=options.turns, key=key)
            print(f"{title}: {figures[title]}", flush=True)
        return figures | carried()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=0.5, help="of a CPU that each node has")
    parser.add_argument("--turns", type=int, default=600, help="that each node is asked for in each measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--inside", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(inside(options)))
        return
    with ExitStack() as stack:
        groups = [stack.enter_context(limited(name, options.share)) for name in NODES]
        stack.enter_context(namespaces())
        told = stack.enter_context(tempfile.TemporaryFile("w+"))
        again = ["ip", "netns", "exec", HUB, sys.executable, __file__, "--turns", str(options.turns)]
        again += ["--inside", *map(str, groups)]
        subprocess.run(again, cwd=ROOT, check=True, stdout=told, pass_fds=groups)
        told.seek(0)
        *lines, last = told.read().splitlines()
    print("\n".join(lines))
    figures = json.loads(last)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
