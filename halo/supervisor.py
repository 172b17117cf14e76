"""What `manage.py up` runs: starts the servers and Halo's processes, keeps them running, stops them in order.

It knows no Django, so that it is there at once and stays small. Django is loaded by the fork server, which becomes each
of the other processes: see halo/embedded/forking.py.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from halo import address
from halo.embedded import EmbeddedError, processes
from halo.embedded.accounts import make_run_folders
from halo.embedded.forking import ForkServer
from halo.embedded.processes import ENOUGH_FILES, MARK, Program, end, last_words, marked, raise_file_limit, rotate
from halo.embedded.servers import START_SECONDS, Servers, holding

CHECKOUT = Path(__file__).resolve().parent.parent
HELP = (
    "Starts Halo: PostgreSQL and Valkey (each only where DATABASE_URL or REDIS_URL does not name one of yours), "
    "the migrations, web, workers and beat. Keeps them running until Ctrl-C or SIGTERM. "
    "Process ids are in run/ and logs in logs/ of the data folder."
)
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
# A process that has run this long is started again at once, one that ends sooner after a growing pause.
STEADY_SECONDS = 3.0
LONGEST_PAUSE = 5.0
TRIES_AT_START = 3
MIGRATE_SECONDS = 3600.0
DEMO_SECONDS = 3600.0
WEB_GRACE, WORKER_GRACE = 60.0, 10.0


class Stopped(Exception):
    """Somebody asked `up` to stop."""


@dataclass
class Kept:
    """A process that is started again whenever it ends."""

    program: Program
    started: float = 0.0
    ends: int = 0
    quick_ends: int = 0
    start_at: float | None = None

    def start(self) -> None:
        self.program.start()
        self.started, self.start_at = time.monotonic(), None

    def look_after(self, now: float) -> str | None:
        """Starts the process again if it is time to; returns a sentence when it was found to have ended."""
        if self.start_at is not None:
            if now >= self.start_at:
                try:
                    self.start()
                except OSError as error:  # no memory, no disk: that may pass
                    self.start_at = now + LONGEST_PAUSE
                    return f"{self.program.name} cannot be started ({error}); trying again in {LONGEST_PAUSE:g} s."
            return None
        if self.program.is_running():
            return None
        if now - self.started > STEADY_SECONDS:
            self.quick_ends = 0
        pause = min(LONGEST_PAUSE, 0.5 * 2 ** (self.quick_ends - 1)) if self.quick_ends else 0.0
        self.quick_ends += 1
        self.ends += 1
        self.start_at = now + pause
        again = f"in {pause:g} s" if pause else "now"
        return f"{self.program.name} ended ({_how(self.program)}); starting it again {again}. Log: {self.program.log}"


class Supervisor:
    """One `up` on one data folder."""

    def __init__(self, data_dir: Path, port: int, *, demo: bool) -> None:
        self.data_dir = data_dir
        self.demo = demo
        self.bind = os.environ.get("HALO_BIND") or f"127.0.0.1:{port}"
        self.port = port
        self.servers: list[Kept] = []
        self.children: list[Kept] = []
        # What does its work once, and is not started again.
        self.helpers: list[Program] = []
        self.next_rotation = 0.0
        # How long the processes may take to stop: what is in flight is worth waiting for.
        self.patient = True

    def run(self) -> int:
        """Everything from the first line to the last; returns the exit code."""
        # Signals are fetched with sigtimedwait below, so none interrupts us half-way through anything.
        # Under nohup SIGHUP stays ignored.
        self.signals = {number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}
        self.signals.add(signal.SIGCHLD)
        signal.pthread_sigmask(signal.SIG_BLOCK, self.signals)
        processes.adopt_orphans()
        embedded = {"postgres": not os.environ.get("DATABASE_URL"), "valkey": not os.environ.get("REDIS_URL")}
        try:
            make_run_folders(self.data_dir)
            with holding(self.data_dir, f"process {os.getpid()}, http://{self.bind}"):
                try:
                    self._start(Servers(self.data_dir, **embedded))
                    while True:
                        self._pause(1.0)
                except Stopped:
                    say("Stopping ...")
                    return 0
                except (EmbeddedError, OSError) as error:
                    self.patient = False
                    return _give_up(error)
                finally:
                    self._stop()
        except (EmbeddedError, OSError) as error:
            return _give_up(error)

    def _start(self, servers: Servers) -> None:
        began = time.monotonic()
        if (files := raise_file_limit()) < ENOUGH_FILES:
            say(
                f"Only {files} files may be open at once here (`ulimit -Hn`), which bounds how many visitors can be "
                f"served at the same time. {ENOUGH_FILES} or more are better."
            )
        if left := marked(self.data_dir):
            say(f"Stopping what an earlier start left behind ({len(left)} of its processes).")
            end(left, (signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0))
        address.check_is_free(self.bind)
        endpoints = servers.prepare()
        self.run_dir, self.log_dir = endpoints.run_dir, endpoints.log_dir
        # Loads the application while the servers start.
        self.fork_server = ForkServer(**self._running("fork-server"), argv=[])
        self._start_children([self.fork_server])
        for name in servers.orphans:
            say(f"Stopped the {name} server that an earlier start left behind.")
        self.servers = [Kept(program) for program in servers.programs()]
        for kept in self.servers:
            kept.start()
        self._until(servers.are_ready, START_SECONDS, self.servers)
        if self.servers:
            say(f"Running: {', '.join(part.title for part in servers.parts)}.")
        self._migrate()
        say("The database is up to date.")
        self._until(self.fork_server.is_ready, START_SECONDS, self.children)
        self.fork_server.is_first = False
        first, later = self._programs()
        self._start_children(first)
        self._until(lambda: address.is_answered(self.bind), START_SECONDS, self.children)
        # Nobody waits for what these do, and those that answer visitors had the processors for themselves.
        self._start_children(later)
        say(f"Halo answers at http://{self.bind} after {time.monotonic() - began:.1f} s; logs in {self.log_dir}.")
        if self.demo:
            self._show_demo()
        say("Ctrl-C stops everything.")

    def _migrate(self) -> None:
        migrate = self._program("migrate", "django", "prepare")
        self._help(migrate, MIGRATE_SECONDS)
        if _code(migrate):
            hint = " Does the server that DATABASE_URL names answer?" if os.environ.get("DATABASE_URL") else ""
            raise EmbeddedError(f"`manage.py migrate` failed.{hint}\n{last_words(migrate.log)}")

    def _show_demo(self) -> None:
        """Makes the first organisation where there is none, and shows what a newcomer needs."""
        # SECURITY: a password is in it, once; so it is in no log.
        with open(os.memfd_create("demo"), "r+b") as told:
            demo = self._program("demo", "django", "demo", "--port", str(self.port))
            demo.output = told.fileno()
            self._help(demo, DEMO_SECONDS)
            told.seek(0)
            text = told.read().decode(errors="replace")
        if _code(demo):
            say(f"There is no first organisation to try; `manage.py demo` says more.\n{text}")
        else:
            with suppress(OSError):
                sys.stdout.write(text)
                sys.stdout.flush()

    def _help(self, program: Program, seconds: float) -> None:
        """Runs something from its beginning to its end, looking after everything else."""
        self.helpers.append(program)
        program.start()
        self._until(lambda: not program.is_running(), seconds, [])
        program.forget()
        self.helpers.remove(program)

    def _start_children(self, programs: list[Program]) -> None:
        for program in programs:
            self.children.append(Kept(program))
            self.children[-1].start()

    def _running(self, name: str) -> dict[str, Any]:
        """Where a process of Halo's runs, and as what."""
        return {
            "name": name,
            "log": self.log_dir / f"{name}.log",
            "pid_file": self.run_dir / f"{name}.pid",
            "cwd": CHECKOUT,
            "env": self._environment(),
        }

    def _program(self, name: str, *argv: str, grace: float = WORKER_GRACE) -> Program:
        argv = (sys.executable, "-m", *argv)
        return Program(**self._running(name), argv=argv, grace=grace, forks=self.fork_server)

    def _programs(self) -> tuple[list[Program], list[Program]]:
        """Those that answer visitors, and those that may come a moment later."""
        worker = ["celery", "-A", "halo", "worker", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        llm = os.environ.get("HALO_LLM_CONCURRENCY", "640")
        default = os.environ.get("HALO_DEFAULT_CONCURRENCY", "1")
        schedule = str(self.run_dir / "celerybeat-schedule")
        return [
            self._program("web", "gunicorn", "halo.wsgi", "-c", "halo/gunicorn_conf.py", grace=WEB_GRACE),
            *(
                self._program(f"worker{suffix}", *worker, *f"-Q llm -P threads -c {llm} -n llm{suffix}@%h".split())
                for suffix in ["", *(f"-{number}" for number in range(2, _answering_workers() + 1))]
            ),
        ], [
            self._program("worker-default", *worker, *f"-Q default -P prefork -c {default} -n default@%h".split()),
            self._program("beat", "celery", "-A", "halo", "beat", "-s", schedule),
        ]

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            MARK: str(self.data_dir),
            "HALO_DATA_DIR": str(self.data_dir),
            "HALO_PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "halo.settings",
            "PYTHONUNBUFFERED": "1",
        }

    def _until(self, done: Callable[[], bool], seconds: float, starting: list[Kept]) -> None:
        """Waits for `done`, looking after everything; raises when that takes too long, or `starting` keep ending."""
        limit = time.monotonic() + seconds
        while not done():
            for kept in starting:
                if kept.ends >= TRIES_AT_START:
                    raise EmbeddedError(f"{kept.program.name} did not start:\n{last_words(kept.program.log)}")
            if time.monotonic() > limit:
                raise EmbeddedError(f"it took longer than {seconds:g} s. The logs are in {self.data_dir / 'logs'}.")
            self._pause(0.03)

    def _pause(self, seconds: float) -> None:
        """Sleeps until a child ends or time is up, then looks after them all; raises Stopped when asked to stop."""
        due = [kept.start_at for kept in self.servers + self.children if kept.start_at is not None]
        until = min([time.monotonic() + seconds, *due])
        got = signal.sigtimedwait(self.signals, max(0.0, until - time.monotonic()))
        if got is not None and got.si_signo in STOP_SIGNALS:
            raise Stopped
        now = time.monotonic()
        for kept in self.servers + self.children:
            if sentence := kept.look_after(now):
                say(sentence)
                kept.look_after(now)
        programs = [*self.helpers, *(kept.program for kept in self.servers + self.children)]
        processes.bury_orphans({program.process.pid for program in programs if program.process})
        if now > self.next_rotation:
            self.next_rotation = now + 60.0
            for kept in self.servers + self.children:
                with suppress(OSError):
                    rotate(kept.program.log)

    def _stop(self) -> None:
        """Web first, which finishes its requests with the workers' help; then those workers; the servers last."""
        by_name = {kept.program.name: kept.program for kept in self.children}
        for helper in self.helpers:
            helper.kill()
            helper.forget()
        web = [by_name.pop("web")] if "web" in by_name else []
        workers = [by_name.pop(name) for name in list(by_name) if name.rstrip("-0123456789") == "worker"]
        # No visitor waits for what these have begun.
        others = list(by_name.values())
        asked = _ask(others)
        self._wait_for(web, _ask(web))
        self._wait_for(workers, _ask(workers))
        self._wait_for(others, asked)
        # Such as the workers of a killed gunicorn, which were still finishing their requests.
        end(marked(self.data_dir), (signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0))
        self.patient = True  # with the data
        servers = [kept.program for kept in self.servers]
        self._wait_for(servers, _ask(servers))
        if self.servers or self.children:
            say("Everything has stopped.")

    def _wait_for(self, programs: list[Program], asked: float) -> None:
        """Sees to the end of programs that were asked to stop, at once when somebody asks a second time."""
        for program in programs:
            while program.is_running() and time.monotonic() < asked + program.grace and self.patient:
                got = signal.sigtimedwait(self.signals, 0.05)
                self.patient = got is None or got.si_signo not in STOP_SIGNALS
            if program.is_running():
                program.kill()
            program.forget()


def _answering_workers() -> int:
    """One leaves web processes enough of two CPUs to refuse at once what is too much: docs/adr/0016."""
    value = os.environ.get("HALO_LLM_WORKERS") or "1"
    if not value.isdecimal() or not int(value):
        raise EmbeddedError(f"HALO_LLM_WORKERS is a number of processes, 1 or more; {value!r} is not.")
    return int(value)


def _ask(programs: list[Program]) -> float:
    """Asks programs to stop, and says when that was."""
    for program in programs:
        program.ask_to_stop()
    return time.monotonic()


def say(text: str, *, to: TextIO = sys.stdout) -> None:
    """A line for the person at the terminal, who may have gone."""
    with suppress(OSError):
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=to, flush=True)


def _give_up(error: Exception) -> int:
    say(f"Halo cannot start: {error}", to=sys.stderr)
    return 1


def _how(program: Program) -> str:
    code = program.process.returncode if program.process else None
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _code(program: Program) -> int | None:
    return program.process.returncode if program.process else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `manage.py up` may be told."""
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        default=os.environ.get("HALO_DATA_DIR") or str(CHECKOUT / ".halo"),
        help="where databases, keys and logs are kept (default: HALO_DATA_DIR, else .halo in the checkout)",
    )
    parser.add_argument(
        "--port",
        metavar="N",
        type=int,
        default=os.environ.get("HALO_PORT") or 8000,
        help="listen on 127.0.0.1:N (default: HALO_PORT, else 8000); HALO_BIND gives another address",
    )
    parser.add_argument(
        "--no-demo", action="store_true", help="do not make and show a first organisation to try things with"
    )


def up(data_dir: str, port: int, *, demo: bool) -> int:
    """Runs everything until it is told to stop; returns the exit code."""
    return Supervisor(Path(os.path.realpath(data_dir)), port, demo=demo).run()


def main(argv: list[str]) -> int:
    """`manage.py up`, without Django."""
    parser = argparse.ArgumentParser(prog="manage.py up", description=HELP)
    add_arguments(parser)
    asked = parser.parse_args(argv)
    return up(asked.data_dir, asked.port, demo=not asked.no_demo)
