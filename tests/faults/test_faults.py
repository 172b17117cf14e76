"""Faults under load: whatever dies, each accepted turn is there once and in order, and the next visitor is answered.

A short form runs with the other tests; `make faults` runs the long one and prints the table. HALO_FAULTS says how often
each fault strikes, HALO_FAULTS_REPORT where the figures go as JSON.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conversations.receiver import Receiver
from tests.faults.clients import GIVE_UP_SECONDS, PAUSE_SECONDS, PAY, Client, Streamer, model_that_grants
from tests.faults.kinds import DEPLOY, KINDS, Kind
from tests.faults.reckoning import Bout, as_json, reckon, table
from tests.product import Stack, running, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("HALO_FAULTS", "1"))
REPORT = os.environ.get("HALO_FAULTS_REPORT", "")
# Stopping and starting everything takes as long as several of the others, so it comes every second time.
FAULTS = [kind for number in range(ROUNDS) for kind in KINDS if kind.name != DEPLOY or number % 2 == 0]
CLIENTS = 6
# In the short form other tests run beside, and the times are those of a machine that has nothing else to do.
SLACK = 1.0 if REPORT else 4.0


@dataclass
class Field:
    """The product, the shop whose tool the agent calls, and what has happened so far."""

    stack: Stack
    receiver: Receiver
    bouts: list[Bout] = field(default_factory=list)


@pytest.fixture(scope="module")
def battle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    receiver = Receiver()
    with running(tmp_path_factory.mktemp("faults")) as stack:
        stack.offer_tool(PAY, f"{receiver.base}/pay")
        stack.model.default = model_that_grants  # type: ignore[assignment]
        found = Field(stack, receiver)
        yield found
    receiver.server.shutdown()
    receiver.server.server_close()
    print(f"\n{table(found.bouts)}")


@pytest.mark.parametrize(
    "kind", FAULTS, ids=[f"{kind.name}-{number}".replace(" ", "-") for number, kind in enumerate(FAULTS)]
)
def test_every_accepted_turn_is_there_once_and_in_order_after(battle: Field, kind: Kind) -> None:
    bout = fight(battle, kind)

    assert not (bout.lost or bout.doubled or bout.out_of_order or bout.flaws), bout
    assert bout.first <= kind.within * SLACK, f"somebody new waited {bout.first} s, {kind.within} s are promised"


def fight(battle: Field, kind: Kind) -> Bout:
    """One fault under load, until everybody is answered again."""
    stack, prefix = battle.stack, f"b{len(battle.bouts)}"
    bout = Bout(kind.name, kind.within)
    clients = [(Client, Streamer)[number % 2](stack, f"{prefix}-c{number}") for number in range(CLIENTS)]
    for client in clients:
        client.start()
    until(lambda: all(client.answered_since(0) for client in clients), seconds=60, what="everybody is served")
    # Impatient, since its time is what is measured.
    newcomer = Client(stack, f"{prefix}-newcomer", longest_pause=PAUSE_SECONDS)
    struck_at, in_force_at = time.monotonic(), 0.0

    def in_force() -> None:
        nonlocal in_force_at
        in_force_at = time.monotonic()
        newcomer.start()

    kind.strike(stack, clients, in_force)
    everybody = [*clients, newcomer]
    ends_at = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < ends_at and not all(client.answered_since(in_force_at) for client in everybody):
        time.sleep(0.05)
    for client in everybody:
        client.stopping.set()
    for client in everybody:
        client.join(timeout=120)
    answered = [client.answered_since(in_force_at) or float("inf") for client in everybody]
    bout.first, bout.everybody = round(min(answered) - struck_at, 2), round(max(answered) - struck_at, 2)
    reckon(bout, prefix=prefix, clients=everybody, stack=stack, receiver=battle.receiver)
    battle.bouts.append(bout)
    print(f"{kind.name}: {bout.turns} turns, first {bout.first} s, everybody {bout.everybody} s", flush=True)
    if REPORT:
        Path(REPORT).write_text(as_json(battle.bouts))
    return bout
