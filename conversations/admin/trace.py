"""How one answer came about, as analysts read it and take it away: everything of a turn on one page."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db.models import Q

from conversations.admin import trace_parts as parts
from conversations.admin.explaining import explain
from conversations.admin.transcript import together
from conversations.models import AnswerLabel, Conversation, Message, ToolCall, Turn, TurnTrace
from conversations.money import money
from conversations.redacting import Redactor, redactor_for
from halo.markdown import link, render

TONES = {"answerable": "good", "not_in_knowledge": "fair", "not_allowed": "fair", "needs_person": "fair"}
KEPT_OF_TURN = (
    "status", "outcome", "mode", "verified", "request_id", "attempt", "lost", "confidence", "confidence_inputs",
    "answer_type", "withheld", "escalated", "explanation", "error_code", "error_detail", "model_name", "prompt_tokens",
    "completion_tokens", "snapshot",
)  # fmt: skip


class Told:
    """A turn with all that is known of it, free of secrets. Six queries.

    SECURITY: what visitors, tools and models brought in is searched for secrets here as well as when a trace is
    stored: tool calls are kept as they were, so that they can be replayed, and traces may be older than the search.
    """

    def __init__(self, turn: Turn) -> None:
        org = turn.org_id
        self.turn = turn
        self.redactor: Redactor = redactor_for(org=turn.org, agent=turn.agent_version.agent)
        self.trace = TurnTrace.objects.for_org(org).filter(turn=turn).first()
        # The turn's own, and those that its reply answers too, or the reply that answers it.
        merged = Turn.objects.for_org(org).filter(merged_into=turn).values_list("pk", flat=True)
        asked = [turn.pk, *(merged if turn.covers_to is not None else ())]
        of_both = Q(turn__in=asked) | Q(turn=turn.merged_into_id or turn.pk, part=Message.Part.REPLY)
        self.messages = list(Message.objects.for_org(org).filter(of_both).order_by("seq", "part", "id"))
        calls = ToolCall.objects.for_org(org).filter(turn=turn).select_related("custom_tool")
        self.calls = list(calls.order_by("step"))
        labels = AnswerLabel.objects.for_org(org).filter(turn=turn).select_related("person")
        self.labels = list(labels.order_by("created_at", "pk"))
        clean = self.redactor.json
        trace = self.trace
        self.prompt = clean(trace.prompt) if trace else []
        self.passages = clean(trace.passages) if trace else []
        self.model_calls = clean(trace.model_calls) if trace else []
        self.timings = clean(trace.timings) if trace else {}

    @property
    def asked(self) -> list[Message]:
        """What the reply answers, as far as this turn goes: all of it for the turn that it hangs on."""
        return [message for message in self.messages if message.part == Message.Part.MESSAGE]

    @property
    def answered(self) -> Message | None:
        return next((message for message in self.messages if message.part == Message.Part.REPLY), None)

    @property
    def waited_ms(self) -> float | None:
        return _between(self.turn.accepted_at, self.turn.claimed_at)

    @property
    def took_ms(self) -> float | None:
        return _between(self.turn.claimed_at, self.turn.finished_at)


def find(conversation: Conversation, turn_id: uuid.UUID) -> Told | None:
    """The turn of this conversation with this id; None where there is none."""
    turns = Turn.objects.for_org(conversation.org_id).filter(conversation=conversation, pk=turn_id)
    turn = turns.select_related("org", "agent_version__agent", "routing_rule", "merged_into").first()
    return Told(turn) if turn else None


def page(told: Told) -> dict[str, Any]:
    """What the template shows."""
    turn, clean = told.turn, told.redactor
    asked, answered = told.asked, told.answered
    citations = [citation for citation in answered.citations if isinstance(citation, dict)] if answered else []
    rounds = _rounds(told)
    raw = next((call["said"] for call in reversed(rounds) if call["said"] and not call["tools"]), "")
    sent = clean.text(answered.text) if answered else ""
    for name in ("model_name", "error_detail", "request_id", "explanation"):
        setattr(turn, name, clean.json(getattr(turn, name)))
    for label in told.labels:
        label.comment = clean.text(label.comment)
    total = (told.waited_ms or 0.0) + told.took_ms if told.took_ms is not None else None
    snapshot = clean.json(turn.snapshot)
    return {
        "turn": turn,
        "trace": told.trace,
        "tone": TONES.get(turn.answer_type, ""),
        "asked": [clean.text(message.text) for message in asked],
        "together": together(turn, len(asked)),
        "answer": render(sent) if answered and answered.author == Message.Author.AGENT else None,
        "sent": sent,
        "answered": answered,
        "cost": money(turn.cost, turn.org.currency),
        "total": parts.duration(total) if total is not None else "",
        "asked_on": str(snapshot.get("page") or "") if isinstance(snapshot, dict) else "",
        "bars": parts.bars(told.timings, waited_ms=told.waited_ms, took_ms=told.took_ms),
        "rounds": rounds,
        "raw": parts.cut(raw),
        "difference": parts.difference(raw, sent) if raw and answered else None,
        "passages": _passages(told, citations),
        "calls": [_call(call, clean) for call in told.calls],
        "shares": parts.shares(clean.json(turn.confidence_inputs)),
        "explanation": explain(turn),
        "layers": parts.layers(told.prompt),
        "snapshot": parts.readable(snapshot) if snapshot else "",
        "labels": told.labels,
        "why_no_trace": "" if told.trace else _why_no_trace(turn),
    }


def download(told: Told) -> dict[str, Any]:
    """Everything of a turn as JSON, free of secrets."""
    turn, clean = told.turn, told.redactor
    calls = [
        {
            **{name: getattr(call, name) for name in ("step", "round", "name", "arguments", "status", "result")},
            **{name: getattr(call, name) for name in ("effect_key", "http_status")},
            **{name: _iso(getattr(call, name)) for name in ("created_at", "started_at", "finished_at")},
        }
        for call in told.calls
    ]
    labels = [
        {"verdict": label.verdict, "by": label.by, "comment": label.comment, "at": _iso(label.created_at)}
        for label in told.labels
    ]
    facts: dict[str, Any] = {
        "turn": str(turn.pk),
        "conversation": str(turn.conversation_id),
        "merged_into": str(turn.merged_into_id) if turn.merged_into_id else None,
        "agent": str(turn.agent_version.agent_id),
        "version": turn.agent_version.number,
        **{name: getattr(turn, name) for name in KEPT_OF_TURN},
        "cost": None if turn.cost is None else str(turn.cost),
        "currency": turn.org.currency,
        **{name: _iso(getattr(turn, name)) for name in ("accepted_at", "claimed_at", "finished_at")},
        "messages": [
            {
                "turn": str(message.turn_id),
                "author": message.author,
                "text": message.text,
                "citations": message.citations,
            }
            for message in told.messages
        ],
        "tool_calls": calls,
        "labels": labels,
        "trace": {
            "prompt": told.prompt,
            "passages": told.passages,
            "model_calls": told.model_calls,
            "timings": told.timings,
        },
    }
    cleaned: dict[str, Any] = clean.json(facts)
    return cleaned


def _rounds(told: Told) -> list[dict[str, Any]]:
    return [
        {
            "attempt": call.get("attempt", 1),
            "round": call.get("round", place),
            "model": call.get("model", ""),
            "ms": parts.duration(parts.number(call["ms"])) if "ms" in call else "",
            "tokens_in": int(parts.number(call.get("prompt_tokens"))),
            "tokens_out": int(parts.number(call.get("completion_tokens"))),
            "tools": [str(name) for name in call["tools"]] if isinstance(call.get("tools"), list) else [],
            "error": str(call.get("error", "")),
            "retries": [
                {"error": str(retry.get("error", "")), "pause": parts.duration(parts.number(retry.get("pause_ms")))}
                for retry in parts.objects(call.get("retries"))
            ],
            "said": str(call.get("said", "")),
        }
        for place, call in enumerate(parts.objects(told.model_calls), 1)
    ]


def _passages(told: Told, citations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    quotes: dict[Any, list[str]] = {}
    for citation in citations:
        quotes.setdefault(citation.get("n"), []).append(told.redactor.text(str(citation.get("quote") or "")))
    return [
        {
            "n": passage.get("n"),
            "source": link(str(passage.get("url") or ""), str(passage.get("title") or passage.get("article_id") or "")),
            "score": round(parts.number(passage.get("score")), 3),
            "lead": round(parts.number(passage["lead"]), 3) if "lead" in passage else None,
            "is_cited": passage.get("n") in quotes,
            "text": parts.marked(parts.cut(str(passage.get("text", ""))), quotes.get(passage.get("n"), [])),
        }
        for passage in parts.objects(told.passages)
    ]


def _call(call: ToolCall, clean: Redactor) -> dict[str, Any]:
    took = _between(call.started_at or call.created_at, call.finished_at)
    return {
        "call": call,
        "name": clean.text(call.name),
        "effect_key": clean.text(call.effect_key),
        "took": parts.duration(took) if took is not None else "",
        "said": clean.text(call.said),
        # As text before it is parsed: a secret may stand across what JSON takes apart.
        "arguments": parts.readable(clean.text(call.arguments)),
        "result": parts.readable(clean.text(call.result)) if call.result else "",
        "tone": {"done": "good", "failed": "bad", "unknown": "bad"}.get(call.status, "fair"),
    }


def _why_no_trace(turn: Turn) -> str:
    if turn.merged_into_id:
        return "This message was answered by one reply with an earlier one; the trace is with that."
    if turn.outcome == Turn.Outcome.ROUTED:
        return "A routing rule sent this message to a team before any model was asked."
    if turn.outcome == Turn.Outcome.HUMAN:
        return "A teammate had taken over, so no model was asked."
    if turn.status in Turn.IN_FLIGHT:
        return "This message is still being answered."
    if turn.status == Turn.Status.FAILED and turn.claimed_at is None:
        return "No process came to answer this message in time, so no model was asked."
    if turn.status == Turn.Status.FAILED and turn.lost:
        return "The process that answered was lost before it could write anything down."
    days = turn.org.retain_traces_days
    return f"There is no trace: it was never made, or is older than the {days} days that traces are kept."


def _between(start: dt.datetime | None, end: dt.datetime | None) -> float | None:
    return max((end - start).total_seconds() * 1000, 0.0) if start and end else None


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
