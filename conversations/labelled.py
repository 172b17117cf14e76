"""Answers that somebody labelled: what confidence they had, and who said what."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models.fields.json import KeyTextTransform

from agents import confidence
from agents.budget import ENOUGH, Judged
from conversations import labels
from conversations.models import AnswerLabel, Turn
from orgs.models import Organization

# The newest labels that are looked at.
MOST = 20_000


@dataclass(slots=True)
class Labelled:
    """An answer with its labels; `told` is the confidence it was given with, `estimate` that of the head in use."""

    turn_id: uuid.UUID
    agent_id: uuid.UUID
    answered_at: dt.datetime
    told: float
    estimate: float
    verdicts: dict[str, str] = field(default_factory=dict)


def read_labelled(
    *, org: uuid.UUID | Organization, agent_id: uuid.UUID | None = None, since: dt.datetime | None = None
) -> list[Labelled]:
    """The labelled answers since then, by their newest label; two queries, whatever their number."""
    rows = AnswerLabel.objects.for_org(org).filter(turn__confidence__isnull=False)
    if since is not None:
        # A label is never older than its answer, and the index is on its own date.
        rows = rows.filter(created_at__gte=since, turn__accepted_at__gte=since)
    if agent_id is not None:
        rows = rows.filter(turn__agent_version__agent=agent_id)
    rows = rows.annotate(head=KeyTextTransform("head", "turn__confidence_inputs")).order_by("-created_at", "-pk")
    found: dict[uuid.UUID, Labelled] = {}
    rated_by_others: list[uuid.UUID] = []
    for turn_id, agent, answered_at, told, head, by, verdict in rows.values_list(
        "turn_id",
        "turn__agent_version__agent_id",
        "turn__accepted_at",
        "turn__confidence",
        "head",
        "by",
        "verdict",
    )[:MOST]:
        if turn_id not in found:
            told = told or 0.0
            found[turn_id] = Labelled(turn_id, agent, answered_at, told, told)
            if head not in (None, confidence.head_version()):
                rated_by_others.append(turn_id)
        found[turn_id].verdicts[by] = verdict
    if rated_by_others:
        _rate_again(org, found, rated_by_others)
    return list(found.values())


def judged(answers: Iterable[Labelled], sources: Sequence[str]) -> list[tuple[Labelled, bool]]:
    """Those that one of `sources` spoke about, each with whether it was right by the word that counts most."""
    counted = ((answer, labels.effective(answer.verdicts, sources)) for answer in answers)
    return [(answer, found[0] == labels.Verdict.RIGHT) for answer, found in counted if found]


def for_budget(answers: Sequence[Labelled]) -> list[Judged]:
    """What an error budget is held against.

    A takeover is no judgement: it counts only where there are too few of those, and then on the cautious side.
    """
    counted = judged(answers, labels.EXPLICIT)
    if len(counted) < ENOUGH:
        counted = judged(answers, labels.PRECEDENCE)
    return [Judged(answer.estimate, right) for answer, right in counted]


def _rate_again(org: uuid.UUID | Organization, found: dict[uuid.UUID, Labelled], turns: list[uuid.UUID]) -> None:
    """Thresholds compare with what the head in use says; an answer keeps its own where that misses an input."""
    needed = set(confidence.CONFIDENCE.weights)
    known = Turn.objects.for_org(org).filter(pk__in=turns).values_list("pk", "confidence_inputs")
    for pk, inputs in known.iterator(chunk_size=2000):
        if needed <= set(inputs):
            found[pk].estimate = confidence.estimate(inputs)
