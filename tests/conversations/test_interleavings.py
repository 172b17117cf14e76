"""Any order of messages, attempts, deaths, takeovers, hand-backs and closings: nobody is answered twice or too late.

Each step is the product's own transaction against PostgreSQL, and steps of different people are mixed at random; half of
the orders have an agent that answers quick messages together. Beside it runs an account of what must have become of
every turn. An order that fails is shortened to the steps that matter and
printed; HALO_INTERLEAVINGS says how many are tried, HALO_SEED which.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.db import transaction

from agents.models import Agent
from agents.publishing import amend
from agents.services import create_agent
from conversations import processes
from halo import wire
from orgs.models import WidgetKey
from tests.cast import Cast
from tests.conversations.stage import PROCESSES, Order, Stage

ORDERS = int(os.environ.get("HALO_INTERLEAVINGS", "150"))
# How often a step is drawn; each comes with a number that chooses among what there is to choose from.
WEIGHTS = {
    "say": 4,
    "retry": 2,
    "claim": 7,
    "record": 6,
    "fail": 2,
    "give_back": 1,
    "die": 2,
    "run_out": 1,
    "take_over": 3,
    "hand_back": 3,
    "close": 1,
}
# Quick messages, and attempts at them that mostly come to nothing.
BURSTS = WEIGHTS | {"say": 12, "claim": 14, "fail": 5, "die": 4, "take_over": 1}


@dataclass
class Theatre:
    """Where orders are played, each on an empty stage."""

    cast: Cast
    key: WidgetKey
    locks: psycopg.Connection[Any]
    merging: Agent

    def failure_of(self, steps: Order, *, merging: bool) -> str:
        """What went wrong, or nothing; whatever was stored is gone afterwards."""
        with transaction.atomic():
            try:
                with transaction.atomic():
                    Stage(self.cast, self.key, self.locks, str(self.merging.pk) if merging else "").play(steps)
            except Exception as error:
                return str(error).partition("\n")[0] or type(error).__name__
            finally:
                transaction.set_rollback(True)
        return ""

    def shortened(self, steps: Order, *, merging: bool) -> Order:
        """The failing order without the steps that it fails without."""
        for place in reversed(range(len(steps))):
            without = steps[:place] + steps[place + 1 :]
            if self.failure_of(without, merging=merging):
                steps = without
        return steps


@pytest.fixture
def theatre(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Theatre]:
    # Redis is away: nobody is to hear the bell but this test.
    monkeypatch.setattr(wire, "_away_until", float("inf"))
    with processes._connect() as locks:
        assert all(processes._try_lock(locks, process_id) for process_id in PROCESSES)
        merging = create_agent(org=cast.acme.org, name="Patient", by=None)
        amend(agent=merging, by=None, note="", merge_bursts=True)
        yield Theatre(cast, WidgetKey.objects.select_related("org").get(pk=cast.acme.key.pk), locks, merging)


@pytest.mark.timeout(7200)
def test_in_any_order_of_steps_each_turn_ends_once_and_no_agent_speaks_after_a_takeover(theatre: Theatre) -> None:
    seed = int(os.environ.get("HALO_SEED") or time.time_ns() % 1_000_000)
    dice = random.Random(seed)
    for number in range(ORDERS):
        merging = number % 2 == 1
        weights = BURSTS if merging else WEIGHTS
        length = dice.randint(12, 24) if merging else dice.randint(5, 16)
        drawn = dice.choices(list(weights), list(weights.values()), k=length)
        steps = [(name, dice.randrange(4)) for name in drawn]
        if theatre.failure_of(steps, merging=merging):
            shortest = theatre.shortened(steps, merging=merging)
            failure = theatre.failure_of(shortest, merging=merging)
            pytest.fail(f"{failure}: {shortest} (merging: {merging}, HALO_SEED={seed})")
