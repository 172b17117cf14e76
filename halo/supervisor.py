"""What `manage.py up` runs: starts the servers and Halo's processes, keeps them running, stops them in order.

A process of its own without Django, so that it stays small; HALO_DATA_DIR and HALO_PORT say where. What needs Django
once, at the start, is done by a helper that `up` has forked: see halo/management/commands/up.py.
"""

from __future__ import annotations

import http.client
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from halo.embedded import EmbeddedError
from halo.embedded.accounts import make_run_folders
from halo.embedded.processes import ENOUGH_FILES, MARK, Program, end, last_words, marked, raise_file_limit, rotate
from halo.embedded.servers import START_SECONDS, Servers, holding

CHECKOUT = Path(__file__).resolve().parent.parent
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
# A process that has run this long is started again at once, one that ends sooner after a growing pause.
STEADY_SECONDS = 3.0
LONGEST_PAUSE = 5.0
TRIES_AT_START = 3
MIGRATE_SECONDS = 3600.0
# What supervisor and helper say to each other.
MIGRATE, MIGRATED, SHOW_DEMO = b"m", b".", b"d"
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

    def __init__(self, data_dir: Path, port: int, *, helper: int, wire: socket.socket, demo: bool) -> None:
        self.data_dir = data_dir
        self.demo = demo
        self.helper, self.wire = helper, wire
        wire.setblocking(False)
        self.bind = os.environ.get("HALO_BIND") or f"127.0.0.1:{port}"
        self.port = port
        self.servers: list[Kept] = []
        self.children: list[Kept] = []
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
        self._check_address()
        endpoints = servers.prepare()
        for name in servers.orphans:
            say(f"Stopped the {name} server that an earlier start left behind.")
        self.servers = [Kept(program) for program in servers.programs()]
        for kept in self.servers:
            kept.start()
        self._until(servers.are_ready, START_SECONDS, self.servers)
        if self.servers:
            say(f"Running: {', '.join(part.title for part in servers.parts)}.")
        self.wire.send(MIGRATE)
        self._until(lambda: self._is_migrated(endpoints.log_dir / "migrate.log"), MIGRATE_SECONDS, [])
        say("The database is up to date.")
        first, later = self._programs(endpoints.run_dir, endpoints.log_dir)
        self._start_children(first)
        self._until(self._is_web_ready, START_SECONDS, self.children)
        # Each takes seconds of a processor to load, which those that answer visitors had for themselves.
        self._start_children(later)
        say(f"Halo answers at http://{self.bind} after {time.monotonic() - began:.1f} s; logs in {endpoints.log_dir}.")
        if self.demo:
            with suppress(OSError):
                self.wire.send(SHOW_DEMO)
        self._until(self._is_helper_gone, math.inf, [])
        say("Ctrl-C stops everything.")

    def _start_children(self, programs: list[Program]) -> None:
        for program in programs:
            self.children.append(Kept(program))
            self.children[-1].start()

    def _programs(self, run_dir: Path, log_dir: Path) -> tuple[list[Program], list[Program]]:
        """Those that answer visitors, and those that may come a moment later."""

        def program(name: str, *argv: str, grace: float) -> Program:
            return Program(
                name=name,
                argv=[sys.executable, "-m", *argv],
                log=log_dir / f"{name}.log",
                pid_file=run_dir / f"{name}.pid",
                cwd=CHECKOUT,
                env=self._environment(),
                grace=grace,
            )

        worker = ["celery", "-A", "halo", "worker", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        llm = os.environ.get("HALO_LLM_CONCURRENCY", "640")
        default = os.environ.get("HALO_DEFAULT_CONCURRENCY", "1")
        schedule = str(run_dir / "celerybeat-schedule")
        return [
            program("web", "gunicorn", "halo.wsgi", "-c", "halo/gunicorn_conf.py", grace=WEB_GRACE),
            program("worker", *worker, *f"-Q llm -P threads -c {llm} -n llm@%h".split(), grace=WORKER_GRACE),
        ], [
            program(
                "worker-default",
                *worker,
                *f"-Q default -P prefork -c {default} -n default@%h".split(),
                grace=WORKER_GRACE,
            ),
            program("beat", "celery", "-A", "halo", "beat", "-s", schedule, grace=WORKER_GRACE),
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

    def _check_address(self) -> None:
        if self.bind.startswith("unix:"):
            return
        host, _, port = self.bind.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), int(port)))
            except (OSError, ValueError, OverflowError) as error:
                raise EmbeddedError(
                    f"it cannot listen on {self.bind} ({error}). "
                    f"Choose another address with --port, HALO_PORT or HALO_BIND."
                ) from error

    def _is_web_ready(self) -> bool:
        if self.bind.startswith("unix:"):
            return Path(self.bind.removeprefix("unix:")).exists()
        host, _, port = self.bind.rpartition(":")
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            connection.request("GET", "/health/ready", headers={"Host": "localhost"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _is_migrated(self, log: Path) -> bool:
        """Whether the helper is done; raises when it failed."""
        try:
            answer = self.wire.recv(1)
        except BlockingIOError:
            return False
        if answer != MIGRATED:
            hint = " Does the server that DATABASE_URL names answer?" if os.environ.get("DATABASE_URL") else ""
            raise EmbeddedError(f"`manage.py migrate` failed.{hint}\n{last_words(log)}")
        return True

    def _is_helper_gone(self) -> bool:
        if self.helper:
            ended, _ = os.waitpid(self.helper, os.WNOHANG)
            self.helper = 0 if ended else self.helper
        return not self.helper

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
        if now > self.next_rotation:
            self.next_rotation = now + 60.0
            for kept in self.servers + self.children:
                with suppress(OSError):
                    rotate(kept.program.log)

    def _stop(self) -> None:
        """Web first, which finishes its requests with the workers' help; then the workers; the servers last."""
        by_name = {kept.program.name: kept.program for kept in self.children}
        if not self._is_helper_gone():
            os.kill(self.helper, signal.SIGKILL)
        for names in (("web", "beat"), ("worker", "worker-default")):
            self._stop_all([by_name[name] for name in names if name in by_name])
        # Such as the workers of a killed gunicorn, which were still finishing their requests.
        end(marked(self.data_dir), (signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0))
        self.patient = True  # with the data
        self._stop_all([kept.program for kept in self.servers])
        if self.servers or self.children:
            say("Everything has stopped.")

    def _stop_all(self, programs: list[Program]) -> None:
        """Stops programs, at once when somebody asks a second time."""
        running = [program for program in programs if program.is_running()]
        for program in running:
            program.ask_to_stop()
        asked = time.monotonic()
        for program in programs:
            while program.is_running() and time.monotonic() < asked + program.grace and self.patient:
                got = signal.sigtimedwait(self.signals, 0.05)
                self.patient = got is None or got.si_signo not in STOP_SIGNALS
            if program.is_running():
                program.kill()
            program.forget()


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


def main() -> int:
    helper, wire, *flags = sys.argv[1:]
    return Supervisor(
        Path(os.path.realpath(os.environ["HALO_DATA_DIR"])),
        int(os.environ["HALO_PORT"]),
        helper=int(helper),
        wire=socket.socket(fileno=int(wire)),
        demo="--no-demo" not in flags,
    ).run()


if __name__ == "__main__":
    sys.exit(main())
