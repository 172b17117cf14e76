"""`manage.py up` as its user sees it: real processes, killed and started again."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from django.conf import settings

from halo.embedded.processes import command_line, die_with_parent
from halo.embedded.servers import throw_away_folder
from halo.supervisor import STEADY_SECONDS

CHILDREN = ("web", "worker", "worker-2", "worker-default", "beat", "fork-server")
SERVERS = ("postgres", "valkey")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def up(data_dir: Path, port: int, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "up", "--data-dir", str(data_dir), "--port", str(port), "--no-demo"],
        cwd=settings.BASE_DIR,
        env={**os.environ, "HALO_DATA_DIR": str(data_dir), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=partial(die_with_parent, signal.SIGTERM),
    )


def refusal(refused: subprocess.Popen[str]) -> str:
    """What an `up` says that should not start; stops it if it does."""
    try:
        said, _ = refused.communicate(timeout=60)
    finally:
        refused.terminate()
    assert refused.returncode == 1, said
    return said


def eventually(what: Callable[[], bool], seconds: float) -> float:
    """Waits for `what`; returns the seconds it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


class Product:
    """One data folder and its `up`."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.up = up(self.data_dir, self.port, HALO_LLM_WORKERS="2")
        assert self.up.stdout is not None
        lines = []
        for line in self.up.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                return
        raise AssertionError("".join(lines))

    def pid(self, name: str) -> int:
        return int((self.data_dir / "run" / f"{name}.pid").read_text())

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as answer:
                return b'"ready"' in answer.read()
        except OSError:
            return False

    def is_gone(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with throw_away_folder() as folder:
        product = Product(folder)
        yield product
        pids = [product.pid(name) for name in CHILDREN + SERVERS]
        product.up.send_signal(signal.SIGINT)
        assert product.up.wait(60) == 0
        assert all(product.is_gone(pid) for pid in pids)
        assert not list((product.data_dir / "run").glob("*.pid"))


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_process_is_started_again_within_a_second(product: Product, name: str) -> None:
    eventually(product.is_ready, 20)
    # What another test has killed a moment ago would be started after a pause.
    started = (product.data_dir / "run" / f"{name}.pid").stat().st_mtime
    time.sleep(max(0.0, started + STEADY_SECONDS + 0.5 - time.time()))
    before = product.pid(name)
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: product.pid(name) != before, 5) < 1.0
    eventually(product.is_ready, 20)


def test_without_the_fork_server_processes_are_started_all_the_same(product: Product) -> None:
    # What has run for a while is started again at once, and not after a pause in which that is loaded.
    eventually(product.is_ready, 20)
    time.sleep(STEADY_SECONDS + 0.5)
    before = {name: product.pid(name) for name in ("fork-server", "web")}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: all(product.pid(name) != pid for name, pid in before.items()), 5)
    eventually(product.is_ready, 20)
    assert "gunicorn" in command_line(product.pid("web")), "executed, as the application was not loaded yet"

    def forks() -> bool:
        pid = product.pid("beat")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: product.pid("beat") != pid, 10)
        return "fork_server" in command_line(product.pid("beat"))

    eventually(forks, 30)


def test_processes_that_lost_their_parent_leave_no_zombies(product: Product) -> None:
    eventually(product.is_ready, 20)
    os.kill(product.pid("web"), signal.SIGKILL)
    eventually(product.is_ready, 20)

    def zombies() -> list[str]:
        children = Path(f"/proc/{product.up.pid}/task/{product.up.pid}/children").read_text().split()
        return [pid for pid in children if product.is_gone(int(pid))]

    eventually(lambda: not zombies(), 20)


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_comes_back_and_the_product_with_it(product: Product, name: str) -> None:
    before = product.pid(name)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: product.pid(name) != before, 5)
    assert eventually(product.is_ready, 20) < 10


def test_a_second_start_on_the_same_folder_names_the_first(product: Product) -> None:
    said = refusal(up(product.data_dir, free_port()))
    assert f"already runs on the data folder {product.data_dir}: process {product.up.pid}" in said
    assert f"http://127.0.0.1:{product.port}" in said
    eventually(product.is_ready, 10)


def test_an_address_in_use_is_named(product: Product, tmp_path: Path) -> None:
    said = refusal(up(tmp_path / "data", product.port))
    assert f"cannot listen on 127.0.0.1:{product.port}" in said
    assert "--port" in said


def test_after_a_kill_of_up_nothing_is_left_and_it_starts_again(product: Product) -> None:
    left = [product.pid(name) for name in CHILDREN + SERVERS]
    product.up.kill()
    product.up.wait()
    eventually(lambda: all(product.is_gone(pid) for pid in left), 10)
    product.start()
    assert product.is_ready()


def test_the_master_of_the_web_workers_forks_with_a_single_thread(product: Product) -> None:
    # The application is loaded before the fork, and a thread started by that would be missing in the workers.
    assert len(list(Path(f"/proc/{product.pid('web')}/task").iterdir())) == 1


def test_who_answers_gives_way_to_who_refuses(product: Product) -> None:
    def niceness(name: str) -> tuple[int, str]:
        pid = product.pid(name)
        group = Path(f"/proc/{pid}/autogroup")
        return os.getpriority(os.PRIO_PROCESS, pid), group.read_text().split()[-1] if group.exists() else ""

    eventually(lambda: niceness("worker")[0] == niceness("web")[0] + 2, 10)
    assert niceness("worker")[1] in ("2", "")
    assert niceness("web")[1] in ("0", "")


def test_a_process_that_does_not_start_is_reported_with_the_end_of_its_log() -> None:
    with throw_away_folder() as folder:
        said = refusal(up(folder, free_port(), HALO_WEB_WORKERS="many"))
    assert re.search(r"web did not start:(.|\n)*ValueError.*many", said)


@pytest.mark.parametrize("number", ["many", "0", "-1"])
def test_a_number_of_workers_that_is_none_is_refused_in_a_sentence(number: str) -> None:
    with throw_away_folder() as folder:
        said = refusal(up(folder, free_port(), HALO_LLM_WORKERS=number))
    assert "HALO_LLM_WORKERS is a number of processes" in said
    assert "Traceback" not in said
