"""Questions that were not answered, like ones together: what an article is missing for."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet

from agents.answer_types import AnswerType
from agents.knowledge.embedding import Vectors, embed
from conversations.models import Message, Turn, UnansweredQuestion
from halo.db import release_connection
from orgs.models import Organization

# Of one run of the counting; the rest is for the next.
MOST_EMBEDDED, BATCH = 500, 64
# The newest that a page puts into groups.
MOST_GROUPED, MOST_GROUPS, EXAMPLES = 2_000, 50, 4
# Similarity of two questions from which on they ask the same: paraphrases are above, other questions on the same
# subject mostly below.
ALIKE = 0.62
LONGEST = 300
WORDLESS = "(an image without words)"


@dataclass(frozen=True, slots=True)
class Question:
    """One of a group, as it was asked."""

    text: str
    conversation_id: uuid.UUID
    asked_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions that ask the same; `asked` is the one most like the others."""

    asked: Question
    count: int
    conversations: int
    last: dt.datetime
    examples: tuple[Question, ...]

    @property
    def title(self) -> str:
        """What an article about it could be called, to begin with."""
        return " ".join(self.asked.text.split())[:200]


def unknown(org: Organization) -> QuerySet[Turn]:
    """Messages that the agent had no answer to; by an index of their own."""
    found: QuerySet[Turn] = Turn.objects.for_org(org).filter(
        Q(answer_type=AnswerType.NOT_IN_KNOWLEDGE) | Q(withheld=True)
    )
    return found


def take_up(*, org: Organization, now: dt.datetime) -> int:
    """Makes vectors of the questions that have none yet, the newest first; how many."""
    known = UnansweredQuestion.objects.filter(turn=OuterRef("pk"))
    recent = unknown(org).filter(~Exists(known), accepted_at__gt=now - dt.timedelta(days=365))
    waiting = list(recent.order_by("-accepted_at").values_list("pk", "accepted_at")[:MOST_EMBEDDED])
    for start in range(0, len(waiting), BATCH):
        batch = dict(waiting[start : start + BATCH])
        texts = _texts(org, batch)
        keys = [key for key in batch if key in texts]
        release_connection()
        vectors: Iterable[Any] = embed([texts[key][0] for key in keys]) if keys else ()
        # Turns that were deleted meanwhile are left out.
        there = set(Turn.objects.for_org(org).filter(pk__in=keys).values_list("pk", flat=True))
        UnansweredQuestion.objects.bulk_create(
            [
                UnansweredQuestion(org=org, turn_id=key, asked_at=batch[key], embedding=vector)
                for key, vector in zip(keys, vectors, strict=True)
                if key in there
            ],
            ignore_conflicts=True,
        )
    return len(waiting)


def gaps(
    org: Organization, *, since: dt.datetime, until: dt.datetime, agent: uuid.UUID | None = None
) -> tuple[list[Gap], int]:
    """The largest groups of the newest questions in between, and how many questions were looked at."""
    found = UnansweredQuestion.objects.for_org(org).filter(asked_at__gte=since, asked_at__lt=until)
    if agent is not None:
        found = found.filter(turn__agent_version__agent=agent)
    rows = list(found.order_by("-asked_at").values_list("turn_id", "asked_at", "embedding")[:MOST_GROUPED])
    if not rows:
        return [], 0
    groups = group(np.array([row[2] for row in rows], dtype=np.float32))[:MOST_GROUPS]
    shown = {rows[member][0] for members in groups for member in members[: EXAMPLES * 3]}
    texts = _texts(org, shown)
    talks = dict(Turn.objects.for_org(org).filter(pk__in=[row[0] for row in rows]).values_list("pk", "conversation_id"))
    made = [_gap([rows[member][:2] for member in members], texts, talks) for members in groups]
    return [gap for gap in made if gap is not None], len(rows)


def group(vectors: Vectors) -> list[list[int]]:
    """Numbers of the rows, those together that are like one of them, which is the first; the largest group first."""
    alike = vectors @ vectors.T >= ALIKE
    free = np.ones(len(vectors), dtype=bool)
    neighbours = alike.sum(axis=1)
    groups = []
    while free.any():
        middle = int(np.where(free, neighbours, -1).argmax())
        # A vector of nothing is like nothing, not even itself.
        members = np.flatnonzero((alike[middle] | (np.arange(len(free)) == middle)) & free)
        order = sorted(members, key=lambda member: (member != middle, -float(vectors[middle] @ vectors[member])))
        groups.append([int(member) for member in order])
        free[members] = False
        neighbours -= alike[:, members].sum(axis=1)
    return sorted(groups, key=len, reverse=True)


def _gap(
    members: Sequence[tuple[uuid.UUID, dt.datetime]],
    texts: dict[uuid.UUID, tuple[str, uuid.UUID]],
    talks: dict[uuid.UUID, uuid.UUID],
) -> Gap | None:
    questions = [Question(texts[key][0][:LONGEST], texts[key][1], at) for key, at in members if key in texts]
    if not questions:
        return None
    others: dict[str, Question] = {}
    for question in questions[1:]:
        others.setdefault(question.text.lower(), question)
    others.pop(questions[0].text.lower(), None)
    return Gap(
        asked=questions[0],
        count=len(members),
        conversations=len({talks[key] for key, _ in members if key in talks}),
        last=max(at for _, at in members),
        examples=tuple(others.values())[:EXAMPLES],
    )


def _texts(org: Organization, turns: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[str, uuid.UUID]]:
    """What was asked, and in which conversation, by turn."""
    asked = Message.objects.for_org(org).filter(turn__in=list(turns), part=Message.Part.MESSAGE)
    rows = asked.values_list("turn", "text", "conversation_id")
    return {turn: (text.strip() or WORDLESS, conversation) for turn, text, conversation in rows}
