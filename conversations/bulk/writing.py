"""Rows of many conversations on their way into the database: collected a table each, stored by COPY."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection, models, transaction

from conversations.models import (
    AnswerLabel,
    Conversation,
    Message,
    MessageImage,
    Ticket,
    ToolCall,
    Turn,
    TurnTrace,
)
from sessions.models import ChatSession, Company, EndUser, Event

# A value that every row brings itself.
_OWN: Any = object()
_PERSON: Mapping[str, Any] = {
    "renewal_status": "",
    "contract_term": "",
    "payment_terms": "",
    "custom_fields": "{}",
    "context": "{}",
    "updated_at": _OWN,
}
# Tables in an order in which what is pointed at comes first, with what a row has that does not say otherwise. Columns
# that may be empty, and are, stand only where some row fills them.
_TABLES: Mapping[type[models.Model], Mapping[str, Any]] = {
    Company: {"id": _OWN, "org_id": _OWN, "external_id": _OWN, "name": "", "domain": "", "industry": "", "plan": "",
              "employee_count": None, "created_at": _OWN, **_PERSON},
    EndUser: {"id": _OWN, "org_id": _OWN, "external_id": _OWN, "name": "", "email": "", "email_verified": False,
              "company_id": None, "first_seen": _OWN, "last_seen": _OWN, **_PERSON},
    ChatSession: {"id": _OWN, "org_id": _OWN, "session_id": _OWN, "end_user_id": None, "company_id": None,
                  "verified_only": False, "started_at": _OWN, "expires_at": _OWN, "closed_at": None},
    Conversation: {"id": _OWN, "org_id": _OWN, "session_id": _OWN, "agent_id": _OWN, "status": "closed", "seq": _OWN,
                   "epoch": 0, "taken_over_by_id": None, "taken_over_at": None, "created_at": _OWN,
                   "last_message_at": _OWN, "message_count": _OWN, "outcome": "", "lowest_confidence": None,
                   "answer_type": "", "has_error": False, "rating": "", "language": "", "agent_version_id": _OWN,
                   "has_images": False, "verified": False, "origin": _OWN, "origin_key": ""},
    Turn: {"id": _OWN, "org_id": _OWN, "conversation_id": _OWN, "seq": _OWN, "status": "done",
           "agent_version_id": _OWN, "mode": "chat", "verified": False, "snapshot": "{}", "request_id": "",
           "accepted_at": _OWN, "answer_by": _OWN, "claimed_at": None, "finished_at": _OWN, "attempt": 1, "lost": 0,
           "rings": 0, "outcome": "", "response": None, "confidence": None, "confidence_inputs": "{}",
           "answer_type": "", "withheld": False, "escalated": False, "explanation": "{}", "routing_rule_id": None,
           "error_code": "", "error_detail": "", "model_name": "", "prompt_tokens": 0, "completion_tokens": 0,
           "cost": None},
    Message: {"id": _OWN, "org_id": _OWN, "conversation_id": _OWN, "turn_id": None, "seq": _OWN, "part": 0,
              "author": _OWN, "person_id": None, "text": _OWN, "citations": "[]", "image_count": 0,
              "unanswered": False, "created_at": _OWN},
    MessageImage: {"org_id": _OWN, "message_id": _OWN, "position": 0, "url": "", "media_type": "", "data": None},
    ToolCall: {"org_id": _OWN, "turn_id": _OWN, "step": _OWN, "round": _OWN, "said": "", "call_id": _OWN,
               "name": _OWN, "arguments": _OWN, "status": "done", "result": "", "effect_key": "", "started_at": None,
               "created_at": _OWN, "finished_at": None},
    TurnTrace: {"turn_id": _OWN, "org_id": _OWN, "prompt": "[]", "passages": "[]", "timings": "{}",
                "model_calls": "[]", "created_at": _OWN},
    Ticket: {"id": _OWN, "org_id": _OWN, "number": _OWN, "session_id": None, "conversation_id": None, "turn_id": None,
             "team_id": None, "assignee_id": None, "subject": _OWN, "message": _OWN, "summary": "", "metadata": "{}",
             "source": "agent", "priority": "normal", "status": "open", "effect_key": "", "created_at": _OWN,
             "updated_at": _OWN},
    AnswerLabel: {"org_id": _OWN, "turn_id": _OWN, "verdict": _OWN, "by": _OWN, "person_id": None, "comment": "",
                  "created_at": _OWN},
    Event: {"org_id": _OWN, "session_id": None, "end_user_id": None, "event_type": _OWN, "element_selector": "",
            "page_url": "", "metadata": "{}", "created_at": _OWN},
}  # fmt: skip

Values = dict[str, Any]


class Rows:
    """What is to be stored together; values are as COPY takes them, so JSON is text."""

    def __init__(self) -> None:
        self._rows: dict[type[models.Model], list[Values]] = {model: [] for model in _TABLES}

    def add(self, model: type[models.Model], **values: Any) -> Values:
        """A row of `model`'s columns, which may be changed until it is stored."""
        self._rows[model].append(values)
        return values

    def of(self, model: type[models.Model]) -> list[Values]:
        return self._rows[model]

    def store(self) -> None:
        """Writes all rows, or none where it fails, and forgets them."""
        with transaction.atomic():
            self._number_tickets()
            for model, rows in self._rows.items():
                if rows:
                    _copy(model, _TABLES[model], rows)
        for rows in self._rows.values():
            rows.clear()

    def _number_tickets(self) -> None:
        """Numbers without a gap, as conversations.tickets gives them; the organisation's row serialises."""
        tickets = self._rows[Ticket]
        if not tickets:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE orgs_organization SET ticket_counter = ticket_counter + %s WHERE id = %s"
                " RETURNING ticket_counter",
                [len(tickets), tickets[0]["org_id"]],
            )
            last = cursor.fetchone()[0]
        for number, ticket in enumerate(tickets, last - len(tickets) + 1):
            ticket["number"] = number


def _copy(model: type[models.Model], defaults: Mapping[str, Any], rows: list[Values]) -> None:
    names = list(defaults)
    statement = f"COPY {model._meta.db_table} ({', '.join(names)}) FROM STDIN"
    usual = list(defaults.items())
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] if value is _OWN else row.get(name, value) for name, value in usual])
