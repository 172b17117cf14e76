"""One made-up conversation: who writes, what is answered how surely, and what becomes of it."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from decimal import Decimal
from typing import Any

from agents import escalation
from agents.answer_types import AnswerType
from conversations.bulk import phrases
from conversations.bulk.house import House
from conversations.bulk.pictures import png
from conversations.bulk.wording import Wording
from conversations.bulk.writing import Rows, Values
from conversations.models import AnswerLabel, Conversation, Message, MessageImage, Ticket, ToolCall, Turn
from halo.ids import uuid7_at
from sessions.models import SESSION_LIFETIME, ChatSession, Event, new_session_id

# How often an answer is of which kind, and around which confidence.
KINDS = {
    AnswerType.ANSWERABLE: (0.74, 0.84),
    AnswerType.NEEDS_FACT: (0.09, 0.72),
    AnswerType.AMBIGUOUS: (0.03, 0.66),
    AnswerType.NOT_IN_KNOWLEDGE: (0.08, 0.28),
    AnswerType.NOT_ALLOWED: (0.02, 0.58),
    AnswerType.NEEDS_PERSON: (0.04, 0.41),
}
_DRAWN = tuple(kind for kind, (share, _) in KINDS.items() for _ in range(round(share * 100)))
ERRORS = (("model_timeout", "The model did not answer in time."), ("unavailable", "The model answered with a 503."),
          ("rate_limited", "The model answered with a 429."))  # fmt: skip
MODES = ("chat",) * 95 + ("livehelp",) * 3 + ("voice",) * 2
PICTURES = tuple(png(number) for number in range(4))
INPUT_PRICE, OUTPUT_PRICE = Decimal("0.40") / 1_000_000, Decimal("1.60") / 1_000_000
LIVE_FOR = dt.timedelta(hours=6)
_json = json.JSONEncoder(ensure_ascii=False).encode


class Talk:
    """Lays one conversation out in rows."""

    def __init__(
        self, rows: Rows, house: House, chance: random.Random, *, began: dt.datetime, now: dt.datetime
    ) -> None:
        self.rows, self.house, self.chance, self.began, self.now = rows, house, chance, began, now
        self.clock = began
        self.common = {"org_id": house.org.pk}
        self.person = chance.choice(house.people) if chance.random() < 0.68 else None
        tongue = self.person.tongue if self.person else chance.choice(phrases.SPOKEN)
        self.language, self.wording = tongue.language, Wording(tongue, chance)
        self.verified = self.person is not None and chance.random() < 0.65
        self.seq = self.messages = 0
        self.lowest: float | None = None
        self.answered: list[tuple[uuid.UUID, float]] = []

    def make(self, *, share: float) -> None:
        """`share`: how far this conversation stands between the first of all and the last; versions follow it."""
        chance = self.chance
        agent, versions = chance.choices(self.house.agents, [1 / (n + 1) for n in range(len(self.house.agents))])[0]
        self.version = versions[min(int(share * len(versions)), len(versions) - 1)]
        self.session, self.conversation = uuid7_at(self.began, chance), uuid7_at(self.began, chance)
        self.page = f"https://www.customer.example{chance.choice(phrases.PAGES)}"
        self.row: Values = self.rows.add(
            Conversation,
            **self.common,
            id=self.conversation,
            session_id=self.session,
            agent_id=agent,
            agent_version_id=self.version,
            created_at=self.began,
            language=self.language,
            verified=self.verified,
            origin=Conversation.Origin.GENERATED,
        )
        # Most are short, some are not.
        for number in range(1, min(1 + int(chance.expovariate(0.42)), 24) + 1):
            if number == 1 and self._is_routed(agent):
                break
            if not self._turn(first=number == 1):
                break
        self._finish()
        self._visit()

    # --- What is said ------------------------------------------------------------------------------------------------

    def _turn(self, *, first: bool) -> bool:
        """A message and what became of it; False where the agent has nothing more to say."""
        chance = self.chance
        self._later(8, 150) if not first else None
        wants_person = chance.random() < 0.02
        asked = self.wording.question(first=first, wants_person=wants_person)
        turn, accepted = self._ask(asked)
        if chance.random() < 0.012:
            self._fail(turn, accepted)
            return chance.random() < 0.5
        kind = AnswerType.NEEDS_PERSON if wants_person else self._kind()
        confidence = round(min(max(chance.gauss(KINDS[kind][1], 0.12), 0.02), 0.995), 4)
        escalated = kind == AnswerType.NEEDS_PERSON or (confidence < 0.25 and chance.random() < 0.6)
        if chance.random() < 0.14:
            self._look_up(turn, asked)
        self._later(1.2, 9)
        text, citations = self.wording.answer(kind, escalated=escalated)
        row = self._end(turn, accepted, outcome="answered", text=text, citations=citations)
        read, written = chance.randint(900, 5200), len(text) // 4 + chance.randint(5, 40)
        row |= {
            "confidence": confidence,
            "confidence_inputs": _json(self._inputs(confidence, escalated)),
            "answer_type": kind.value,
            "escalated": escalated,
            "withheld": kind == AnswerType.NOT_IN_KNOWLEDGE and chance.random() < 0.3,
            "model_name": "generated",
            "prompt_tokens": read,
            "completion_tokens": written,
            "cost": (read * INPUT_PRICE + written * OUTPUT_PRICE).quantize(Decimal("0.000001")),
        }
        self.lowest = confidence if self.lowest is None else min(self.lowest, confidence)
        self.answered.append((turn, confidence))
        self.row |= {"answer_type": kind.value}
        if self.row.get("outcome") not in ("escalated", "human"):
            self.row["outcome"] = "escalated" if escalated else "answered"
        if escalated:
            team = chance.choice(self.house.teams) if self.house.teams else None
            row["explanation"] = _json(_why(team[1] if team else "", by_visitor=wants_person))
            self._ticket(turn, asked, team=team[0] if team else None)
            return not self._teammate()
        return True

    def _ask(self, text: str) -> tuple[uuid.UUID, dt.datetime]:
        chance, moment = self.chance, self.clock
        self.seq += 1
        turn, message = uuid7_at(moment, chance), uuid7_at(moment, chance)
        pictures = 1 if chance.random() < 0.02 else 0
        self._say(message, author="visitor", text=text, turn_id=turn, image_count=pictures)
        if pictures:
            self.row["has_images"] = True
            self.rows.add(
                MessageImage, **self.common, message_id=message, media_type="image/png", data=chance.choice(PICTURES)
            )
        return turn, moment

    def _end(self, turn: uuid.UUID, accepted: dt.datetime, *, outcome: str, text: str, citations: str = "[]") -> Values:
        """The turn's row, and the reply."""
        chance = self.chance
        self._say(uuid7_at(self.clock, chance), author="agent", text=text, turn_id=turn, part=1, citations=citations)
        return self.rows.add(
            Turn,
            **self.common,
            id=turn,
            conversation_id=self.conversation,
            seq=self.seq,
            agent_version_id=self.version,
            mode=chance.choice(MODES),
            verified=self.verified,
            snapshot=_json(self._snapshot()),
            accepted_at=accepted,
            answer_by=accepted + dt.timedelta(seconds=55),
            claimed_at=accepted + dt.timedelta(milliseconds=chance.randint(8, 90)),
            finished_at=self.clock,
            outcome=outcome,
            response=_json({"text": text, "actions": []}),
        )

    def _fail(self, turn: uuid.UUID, accepted: dt.datetime) -> None:
        chance = self.chance
        code, detail = chance.choice(ERRORS)
        self._later(5, 50)
        self.rows.of(Message)[-1]["unanswered"] = True
        self.row["has_error"] = True
        if not self.row.get("outcome"):
            self.row["outcome"] = "failed"
        self.rows.add(
            Turn,
            **self.common,
            id=turn,
            conversation_id=self.conversation,
            seq=self.seq,
            status="failed",
            agent_version_id=self.version,
            verified=self.verified,
            snapshot=_json(self._snapshot()),
            accepted_at=accepted,
            answer_by=accepted + dt.timedelta(seconds=55),
            claimed_at=accepted,
            finished_at=self.clock,
            error_code=code,
            error_detail=detail,
            attempt=2,
        )

    def _is_routed(self, agent: uuid.UUID) -> bool:
        rules = [rule for rule in self.house.rules if rule[1] == agent]
        if not rules or self.chance.random() > 0.05:
            return False
        rule, _, team, name, team_name = self.chance.choice(rules)
        asked = self.wording.question(first=True, wants_person=False)
        turn, accepted = self._ask(asked)
        row = self._end(turn, accepted, outcome="routed", text=self.wording.handed_over())
        row |= {"routing_rule_id": rule, "explanation": _json({"result": "routed", "rule": name, "team": team_name})}
        self.row["outcome"] = "routed"
        self._ticket(turn, asked, team=team)
        return True

    def _teammate(self) -> bool:
        """Whether somebody of the team steps in, and what they write."""
        chance = self.chance
        if not self.house.staff or chance.random() > 0.45:
            return False
        person = chance.choice(self.house.staff)
        self._later(60, 4000)
        self.row |= {"outcome": "human", "taken_over_by_id": person, "taken_over_at": self.clock, "epoch": 1}
        for _ in range(chance.randint(1, 3)):
            self._later(20, 600)
            self.seq += 1
            text = self.wording.of_teammate()
            self._say(uuid7_at(self.clock, chance), author="teammate", text=text, person_id=person)
        return True

    def _say(self, key: uuid.UUID, **values: Any) -> None:
        self.messages += 1
        self.rows.add(
            Message,
            **self.common,
            id=key,
            conversation_id=self.conversation,
            seq=self.seq,
            created_at=self.clock,
            **values,
        )

    # --- What belongs to it ------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """The conversation's summary, its session, and what people thought of it."""
        chance, last = self.chance, self.clock
        is_live = last > self.now - LIVE_FOR
        if self.answered and chance.random() < 0.2:
            turn, confidence = self.answered[-1]
            is_right = chance.random() < confidence
            self.row["rating"] = "up" if is_right else "down"
            self._label(turn, is_right, by="visitor")
        if self.answered and chance.random() < 0.015 and self.house.staff:
            turn, confidence = chance.choice(self.answered)
            self._label(turn, chance.random() < confidence, by="teammate", person_id=chance.choice(self.house.staff))
        self.row |= {
            "seq": self.seq,
            "status": "open" if is_live else "closed",
            "last_message_at": last,
            "message_count": self.messages,
            "lowest_confidence": self.lowest,
        }
        self.rows.add(
            ChatSession,
            **self.common,
            id=self.session,
            session_id=new_session_id(),
            end_user_id=self.person.id if self.person else None,
            company_id=self.person.company if self.person else None,
            verified_only=self.verified,
            started_at=self.began,
            expires_at=self.began + SESSION_LIFETIME,
            closed_at=None if is_live else min(last + dt.timedelta(hours=1), self.now),
        )

    def _label(self, turn: uuid.UUID, is_right: bool, *, by: str, person_id: uuid.UUID | None = None) -> None:
        self.rows.add(
            AnswerLabel,
            **self.common,
            turn_id=turn,
            verdict="right" if is_right else "wrong",
            by=by,
            person_id=person_id,
            created_at=self.clock,
        )

    def _ticket(self, turn: uuid.UUID, asked: str, *, team: uuid.UUID | None) -> None:
        chance = self.chance
        age = self.now - self.clock
        fresh = age < dt.timedelta(days=3)
        status = chance.choice(("open", "open", "in_progress", "snoozed")) if fresh else chance.choices(
            ("resolved", "spam", "open"), (0.93, 0.03, 0.04)
        )[0]  # fmt: skip
        self.rows.add(
            Ticket,
            **self.common,
            id=uuid7_at(self.clock, chance),
            session_id=self.session,
            conversation_id=self.conversation,
            turn_id=turn,
            team_id=team,
            assignee_id=chance.choice(self.house.staff) if self.house.staff and chance.random() < 0.6 else None,
            subject=asked[:117],
            message=asked,
            source="agent",
            priority="priority" if chance.random() < 0.12 else "normal",
            status=status,
            created_at=self.clock,
            updated_at=min(self.clock + dt.timedelta(hours=chance.randint(1, 60)), self.now),
        )

    def _look_up(self, turn: uuid.UUID, asked: str) -> None:
        chance = self.chance
        if chance.random() < 0.4:
            state = chance.choice(("paid", "packed", "sent"))
            name, arguments, result = (
                "order_status",
                {"order": self.wording.about["order"]},
                _json({"state": state}),
            )
        else:
            name, arguments, result = "search_knowledge", {"query": asked[:80]}, '{"passages": []}'
        started = self.clock
        self._later(0.1, 1.4)
        self.rows.add(
            ToolCall,
            **self.common,
            turn_id=turn,
            step=0,
            round=0,
            call_id=f"call_{chance.getrandbits(48):012x}",
            name=name,
            arguments=_json(arguments),
            status="failed" if chance.random() < 0.04 else "done",
            result=result,
            started_at=started,
            created_at=started,
            finished_at=self.clock,
        )

    def _visit(self) -> None:
        """What the visitor did on the site; nothing is kept of that for longer than a month."""
        if self.now - self.began > dt.timedelta(days=28):
            return
        for _ in range(self.chance.randint(0, 3)):
            self.rows.add(
                Event,
                **self.common,
                session_id=self.session,
                end_user_id=self.person.id if self.person else None,
                event_type=self.chance.choice(("page_view", "page_view", "click", "rage_click")),
                page_url=f"https://www.customer.example{self.chance.choice(phrases.PAGES)}",
                created_at=self.began - dt.timedelta(seconds=self.chance.randint(5, 300)),
            )

    # --- Facts -----------------------------------------------------------------------------------------------------

    def _snapshot(self) -> dict[str, Any]:
        person = self.person
        if person is None:
            return {"page": self.page}
        plan = {"label": "Plan", "type": "text", "value": person.plan}
        return {
            "user_id": person.external_id,
            "page": self.page,
            "custom_fields": {"name": person.name, "plan": person.plan},
            "context": {"plan": plan},
        }

    def _inputs(self, confidence: float, escalated: bool) -> dict[str, Any]:
        chance = self.chance
        return {
            "head": "generated",
            "answerability": round(min(max(confidence + chance.gauss(0, 0.08), 0), 1), 4),
            "pair_support": round(min(max(confidence + chance.gauss(0, 0.12), 0), 1), 4),
            "weak_sentences": chance.choice((0, 0, 0, 1)),
            "unknown_facts": 0 if confidence > 0.5 else chance.randint(0, 3),
            "escalated": int(escalated),
        }

    def _kind(self) -> AnswerType:
        return self.chance.choice(_DRAWN)

    def _later(self, least: float, most: float) -> None:
        self.clock = min(self.clock + dt.timedelta(seconds=self.chance.uniform(least, most)), self.now)


def _why(team: str, *, by_visitor: bool) -> dict[str, Any]:
    """Why people were called in, as agents.escalation says it."""
    by, reason = (escalation.VISITOR, escalation.VISITOR_ASKS) if by_visitor else ("agent", "It is not sure.")
    signs = [{"sign": by, "reason": reason}]
    return {"result": escalation.HANDED_OVER, "by": by, "team": team, "signs": signs, "mode": escalation.ALWAYS}
