"""A visitor, two answering processes, a teammate and the sweep on one stage, and an account of what must be true."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import psycopg
from django.db import transaction
from django.utils import timezone

from conversations import ending, processes, services, sweep, takeover, turns
from conversations.models import Conversation, Message, Turn
from conversations.recording import Overtaken, Reply, settle
from conversations.requests import ChatRequest
from conversations.takeover import NotOpen
from conversations.turns import MAX_LOST, Claim
from orgs.models import WidgetKey
from tests.cast import Cast

# Two answering processes, which hold their locks but for the moment in which they die.
PROCESSES = (1 << 61 | 11, 1 << 61 | 13)
Order = list[tuple[str, int]]


@dataclass
class Talk:
    """What must be true of a conversation."""

    pk: uuid.UUID
    session_id: str
    seq: int = 0
    epoch: int = 0
    is_taken: bool = False
    is_closed: bool = False
    heir: Talk | None = None
    # The agent's words when people stepped in or closed; none may be added until they hand back.
    words: int | None = None


@dataclass
class Told:
    """What must be true of a turn."""

    pk: uuid.UUID
    key: str
    named: str
    talk: Talk
    seq: int
    status: str
    outcome: str = ""
    claimed_by: int | None = None
    attempt: int = 0
    lost: int = 0
    # Of an agent that merges, until it is claimed by itself or with another one.
    may_merge: bool = False
    merged_into: Told | None = None
    covers: list[Told] = field(default_factory=list)
    reply_seq: int = 0

    @property
    def is_in_flight(self) -> bool:
        return self.status in ("queued", "running")

    def end(self, status: str, outcome: str = "") -> None:
        assert self.is_in_flight, "it ends once"
        self.status, self.outcome = status, outcome
        if outcome == "answered":
            for other in self.covers:
                other.end(status, outcome)
            return
        # What was merged into it is free, and what it was merged into goes on without it.
        for other in self.covers:
            other.merged_into, other.attempt = None, max(other.attempt, self.attempt)
        self.covers, self.reply_seq = [], self.seq
        if self.merged_into is not None:
            self.merged_into.covers.remove(self)
            self.merged_into = None


@dataclass
class Attempt:
    """An answer on its way; it may have lost its turn without knowing."""

    told: Told
    held: Claim
    turn: Turn
    epoch: int

    @property
    def stands(self) -> bool:
        told, held = self.told, self.held
        return (told.status, told.claimed_by, told.attempt) == ("running", held.process_id, held.attempt)


@dataclass
class Stage:
    """A visitor, two answering processes, a teammate and the sweep, one step at a time."""

    cast: Cast
    key: WidgetKey
    locks: psycopg.Connection[Any]
    # Of the agent that the visitor mostly writes to; empty: of the one that answers each message by itself.
    merging: str = ""
    talks: list[Talk] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    def play(self, steps: Order) -> None:
        self.say(1)
        for name, which in steps:
            getattr(self, name)(which)
            if self.merging:
                self._nothing_is_left_behind()
        self._finish()
        self._compare()

    # --- The visitor ---

    def say(self, which: int) -> None:
        """A new message, in a session that the visitor knows, however old."""
        named = _pick(self.talks, which)
        key = f"message-{len(self.told):08}"
        agent_id = self.merging if which else ""
        turn_id = self._accept(key, named.session_id if named else "", agent_id)
        talk = self._heir_of(named, turn_id)
        talk.seq += 1
        told = Told(turn_id, key, named.session_id if named else "", talk, talk.seq, "queued")
        told.may_merge = bool(agent_id)
        self._unless_taken(told)
        self.told.append(told)

    def retry(self, which: int) -> None:
        """The same message with the same key: joined, replayed, or reopened where it had failed."""
        told = _pick(self.told, which)
        if told is None:
            return
        assert self._accept(told.key, told.named) == told.pk
        if told.status != "failed":
            return
        talk = self._heir_of(told.talk, told.pk)
        talk.seq += 1
        told.talk, told.seq, told.status, told.lost = talk, talk.seq, "queued", 0
        told.may_merge, told.reply_seq = False, 0
        self._unless_taken(told)

    def _accept(self, key: str, session_id: str, agent_id: str = "") -> uuid.UUID:
        return services.accept(
            org=self.key.org,
            key_id=self.key.pk,
            request=ChatRequest(message="Hello", session_id=session_id, agent_id=agent_id, body_hash=key),
            idempotency_key=key,
            address="192.0.2.1",
            request_id="r",
            now=timezone.now(),
        ).turn_id

    def _heir_of(self, talk: Talk | None, turn_id: uuid.UUID) -> Talk:
        """The conversation in which a message to `talk` is said: a fresh one after closed ones."""
        while talk is not None and talk.is_closed and talk.heir is not None:
            talk = talk.heir
        if talk is not None and not talk.is_closed:
            return talk
        row = Conversation.objects.select_related("session").get(turns=turn_id)
        heir = Talk(row.pk, row.session.session_id)
        if talk is not None:
            talk.heir = heir
        self.talks.append(heir)
        return heir

    def _unless_taken(self, told: Told) -> None:
        if told.talk.is_taken:
            told.end("done", "human")

    # --- Whoever answers ---

    def claim(self, which: int) -> None:
        waiting = [told for told in self.told if told.is_in_flight]
        # As often as not the one that has waited longest, which can be claimed unless somebody is at it.
        told = min(waiting, key=lambda one: one.seq, default=None) if which > 1 else _pick(waiting, which)
        if told is not None:
            self._claim(told, PROCESSES[which % 2])

    def _claim(self, told: Told, process_id: int) -> Attempt | None:
        before = [other for other in self.told if other.talk is told.talk and other.seq < told.seq]
        may = told.status == "queued" and not any(other.is_in_flight for other in before)
        held = turns.claim(told.pk, process_id=process_id)
        assert (held is not None) == may
        if held is None:
            return None
        told.status, told.claimed_by, told.attempt = "running", process_id, told.attempt + 1
        self._merge(told)
        assert (held.attempt, held.epoch) == (told.attempt, told.talk.epoch)
        assert set(held.merged) == {other.pk for other in told.covers}, "it answers what it was first claimed with"
        turn = Turn.objects.select_related("agent_version").get(pk=told.pk)
        self.attempts.append(Attempt(told, held, turn, held.epoch))
        return self.attempts[-1]

    def _merge(self, told: Told) -> None:
        """The first claim of a turn takes along what comes right behind it, and nothing ever joins later."""
        if told.may_merge:
            behind = [other for other in self.told if other.talk is told.talk and other.seq > told.seq]
            for other in sorted(behind, key=lambda other: other.seq):
                if other.status != "queued" or not other.may_merge:
                    break
                other.merged_into, other.may_merge = told, False
                told.covers.append(other)
        told.may_merge = False
        # For good: behind what it was claimed with, also where none of that waits for its answer any more.
        if not told.reply_seq:
            told.reply_seq = told.covers[-1].seq if told.covers else told.seq

    def record(self, which: int) -> None:
        attempt = _pick(self.attempts, which)
        if attempt is None:
            return
        self.attempts.remove(attempt)
        try:
            with transaction.atomic():
                settle(attempt.turn, Reply(outcome=Turn.Outcome.ANSWERED, text="Yes"), held=attempt.held)
        except Overtaken:
            assert not (attempt.stands and attempt.epoch == attempt.told.talk.epoch), "a good answer was dropped"
        else:
            assert attempt.stands and attempt.epoch == attempt.told.talk.epoch, "an answer came too late and was kept"
            attempt.told.end("done", "answered")
        ending.announce(attempt.told.pk, attempt.held.conversation_id, org_id=attempt.held.org_id)

    def fail(self, which: int) -> None:
        attempt = _pick(self.attempts, which)
        if attempt is None:
            return
        self.attempts.remove(attempt)
        assert ending.close(attempt.told.pk, code="unavailable", held=attempt.held) == attempt.stands
        if attempt.stands:
            attempt.told.end("failed")

    def give_back(self, which: int) -> None:
        """A deploy: the process returns what it has, though it may go on to answer it all the same."""
        attempt = _pick(self.attempts, which)
        if attempt is not None:
            assert turns.give_back(attempt.held) == attempt.stands
            if attempt.stands:
                attempt.told.status, attempt.told.claimed_by = "queued", None

    def die(self, which: int) -> None:
        """A process is thought dead, and the sweep frees what it had; its attempts go on all the same."""
        process_id = PROCESSES[which % 2]
        self.locks.execute("SELECT pg_advisory_unlock(%s)", [process_id])
        sweep.run(may_free=True)
        assert processes._try_lock(self.locks, process_id)
        for told in self.told:
            if told.status == "running" and told.claimed_by == process_id:
                told.lost += 1
                if told.lost == MAX_LOST:
                    told.end("failed")
                else:
                    told.status, told.claimed_by = "queued", None

    def run_out(self, which: int) -> None:
        """A turn's time is over."""
        told = _pick([told for told in self.told if told.is_in_flight], which)
        if told is not None:
            Turn.objects.filter(pk=told.pk).update(answer_by=timezone.now())
            sweep.run(may_free=False)
            told.end("failed")

    # --- A teammate ---

    def take_over(self, which: int) -> None:
        self._step(which, takeover.take_over, lambda talk: not talk.is_closed, is_taken=True)

    def hand_back(self, which: int) -> None:
        self._step(which, takeover.hand_back, lambda talk: talk.is_taken and not talk.is_closed, is_taken=False)

    def close(self, which: int) -> None:
        self._step(which, takeover.close, lambda talk: not talk.is_closed, is_closed=True)

    def _step(self, which: int, step: Any, may: Any, **changes: bool) -> None:
        # The latest conversations, so that the teammate is where something happens.
        talk = self.talks[-1 - which % min(len(self.talks), 2)]
        try:
            step(
                conversation=Conversation(pk=talk.pk, org=self.key.org, session_id=self._session(talk)),
                by=self.cast.sue,
            )
        except NotOpen:
            assert not may(talk)
            return
        assert may(talk)
        self._agent_was_silent(talk)
        talk.epoch += 1
        for name, value in changes.items():
            setattr(talk, name, value)
        talk.words = self._words(talk) if talk.is_taken or talk.is_closed else None
        for told in self.told:
            if told.talk is talk and told.is_in_flight:
                told.end("done", "human")

    def _session(self, talk: Talk) -> Any:
        return Conversation.objects.values_list("session_id", flat=True).get(pk=talk.pk)

    def _words(self, talk: Talk) -> int:
        return Message.objects.filter(conversation=talk.pk, author=Message.Author.AGENT).count()

    def _agent_was_silent(self, talk: Talk) -> None:
        if talk.words is not None:
            assert self._words(talk) == talk.words, "the agent spoke although a person had stepped in or closed"

    def _nothing_is_left_behind(self) -> None:
        """What is to be answered with another turn waits for one that is being answered."""
        merged = Turn.objects.filter(merged_into__isnull=False).exclude(status="done", merged_into__status="done")
        alone = merged.exclude(status="queued", merged_into__status__in=Turn.IN_FLIGHT)
        assert not alone.exists(), "it waits for a turn that has ended"

    # --- The end ---

    def _finish(self) -> None:
        """Whatever still waits can be answered, in order; nothing is stuck."""
        while waiting := sorted((told for told in self.told if told.is_in_flight), key=lambda told: told.seq):
            told = waiting[0]
            attempt = self._claim(told, PROCESSES[0]) if told.status == "queued" else None
            at_work = attempt or next(one for one in self.attempts if one.told is told and one.stands)
            self.attempts.remove(at_work)
            self.attempts.insert(0, at_work)
            self.record(0)
        while self.attempts:
            self.record(0)

    def _compare(self) -> None:
        for talk in self.talks:
            self._agent_was_silent(talk)
            mine = sorted((told for told in self.told if told.talk is talk), key=lambda told: told.seq)
            rows = (
                Turn.objects.filter(conversation=talk.pk)
                .order_by("seq")
                .values_list("pk", "seq", "status", "outcome", "merged_into")
            )
            assert list(rows) == [
                (told.pk, told.seq, told.status, told.outcome, told.merged_into and told.merged_into.pk)
                for told in mine
            ]
            said = []
            for told in mine:
                said.append((told.pk, told.seq, 0, "visitor", told.status == "failed"))
                if told.outcome and told.merged_into is None:
                    author = "agent" if told.outcome == "answered" else "system"
                    said.append((told.pk, told.reply_seq or told.seq, 1, author, False))
            said.sort(key=lambda line: line[1:3])
            messages = Message.objects.filter(conversation=talk.pk).order_by("seq", "part", "id")
            assert list(messages.values_list("turn_id", "seq", "part", "author", "unanswered")) == said
            row = Conversation.objects.get(pk=talk.pk)
            assert (row.seq, row.epoch, row.message_count) == (talk.seq, talk.epoch, len(said))


def _pick(among: list[Any], which: int) -> Any:
    """The latest few, so that what is chosen is likely to be still on its way."""
    return among[-1 - which % min(len(among), 4)] if among else None
