"""Starting processes that end with us, and finding those that an earlier `up` left behind."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from halo.embedded.accounts import Account, run_options

# Set for everything that `up` starts; says which data folder a process belongs to.
MARK = "HALO_UP"
LOG_BYTES = 20 * 1024 * 1024
ENOUGH_FILES = 8192

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
_UNLIMITED = 1 << 20


class Process(Protocol):
    """A child of ours, as `subprocess.Popen` is one."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def wait(self) -> int | None: ...

    def send_signal(self, how: int, /) -> None: ...


class Forks(Protocol):
    """Who has the application loaded, and forks."""

    def fork(self, module: str, *arguments: str, name: str, output: int) -> Process | None: ...


@dataclass
class Program:
    """One process: what to run, as whom, and how it is asked to stop.

    `argv` of what `forks` can run begins with an interpreter and `-m`. `output` stands for the log where it is given.
    """

    name: str
    argv: Sequence[str]
    log: Path
    pid_file: Path
    cwd: Path
    env: Mapping[str, str]
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    # What the kernel sends when `up` is gone.
    orphan_signal: signal.Signals = signal.SIGKILL
    grace: float = 10.0
    forks: Forks | None = field(default=None, repr=False)
    output: int | None = None
    # Descriptors that the process inherits.
    keep: tuple[int, ...] = ()
    process: Process | None = field(default=None, repr=False)

    def start(self) -> None:
        """Starts the process and writes its pid file; call it in the only thread, whose end the kernel watches."""
        rotate(self.log)
        with self.log.open("ab") as log:
            output = log.fileno() if self.output is None else self.output
            self.process = self._fork(output) or self._execute(output)
        write_whole(self.pid_file, f"{self.process.pid}\n")

    def _fork(self, output: int) -> Process | None:
        if self.forks is None:
            return None
        _, _, module, *arguments = self.argv
        return self.forks.fork(module, *arguments, name=self.name, output=output)

    def _execute(self, output: int) -> Process:
        parent, orphan_signal = os.getpid(), int(self.orphan_signal)

        def bind_to_parent() -> None:
            die_with_us(parent, orphan_signal)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())

        # A session of its own: Ctrl-C at the terminal reaches `up` alone, which then stops everything in order.
        return subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self.cwd,
            env=dict(self.env),
            start_new_session=True,
            pass_fds=self.keep,
            preexec_fn=bind_to_parent,
            **run_options(self.account),
        )

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self, how: signal.Signals | None = None) -> None:
        if self.process is not None and self.is_running():
            self.process.send_signal(how or self.stop_signal)

    def kill(self) -> None:
        """Ends the process and whatever it started."""
        if self.process is not None:
            signal_group(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def forget(self) -> None:
        """Removes the pid file of a process that has ended."""
        self.pid_file.unlink(missing_ok=True)


def die_with_parent(how: int) -> None:
    """Asks the kernel to send this process the signal `how` once its parent is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, how, 0, 0, 0)


def die_with_us(parent: int, how: int = signal.SIGKILL) -> None:
    """The same in a child of `parent`, which ends at once where that is gone already."""
    die_with_parent(how)
    if os.getppid() != parent:
        os._exit(1)


def give_way(niceness: int) -> None:
    """Lets others go first where the processor is short, by `niceness` from 1 to 19."""
    os.nice(niceness)
    # Linux may divide the processor among sessions first; of one that is shared this is not ours to say.
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))


def adopt_orphans() -> None:
    """Makes this process the parent of those descendants whose own parent ends."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury_orphans(known: Container[int]) -> None:
    """Fetches the ends of adopted children, which would stay as zombies; those of `known` are others' to fetch."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid not in known:
            os.waitpid(ended.si_pid, 0)


def name_process(name: str) -> None:
    """The name of this process in lists of them; its first 15 letters."""
    _libc.prctl(_PR_SET_NAME, f"halo {name}".encode()[:15], 0, 0, 0)


def signal_group(leader: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, how)


def write_whole(path: Path, text: str) -> None:
    """Writes a file that readers see whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.replace(path)


def last_words(log: Path, lines: int = 15) -> str:
    """The end of a log, for the person who wonders why something did not start."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def rotate(log: Path) -> None:
    """Keeps a log below its bound by moving what it holds to one older file; safe while it is written to."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def raise_file_limit() -> int:
    """Raises the number of open files to the hard limit for us and our children; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return file_limit()


def file_limit() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


def read_pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def listener(path: Path) -> int | None:
    """The process that listens on a Unix socket, by connecting to it; None where nobody does."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return None
        # The kernel gives the ids of the process that called listen().
        pid, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid


def command_line(pid: int) -> str:
    """A process's arguments joined by blanks; empty where there is no such process."""
    return _proc(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace")


def marked(data_dir: Path) -> list[int]:
    """Live processes that an `up` on this data folder started, wherever they descend from."""
    mark = f"{MARK}={data_dir}\0".encode()
    own = os.getpid()
    return [pid for pid in _all_pids() if pid != own and mark in _proc(pid, "environ")]


def wait_gone(pids: Sequence[int], seconds: float) -> list[int]:
    """Waits for processes that are not our children to end; returns those that did not."""
    until = time.monotonic() + seconds
    while left := [pid for pid in pids if _is_alive(pid)]:
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    return left


def end(pids: Sequence[int], *steps: tuple[signal.Signals, float]) -> None:
    """Ends processes that are not our children, harder at each step of (signal, seconds to wait)."""
    left = list(pids)
    for how, seconds in steps:
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, how)
        left = wait_gone(left, seconds)


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _proc(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _is_alive(pid: int) -> bool:
    # A zombie has ended; whether its parent has noticed is not our business.
    return _proc(pid, "stat").rpartition(b")")[2][1:2] not in (b"", b"Z")
