"""Thumbs: a visitor says whether an answer was helpful, about their own session and nobody else's."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import labels, takeover
from conversations.models import AnswerLabel, Conversation, Message, Turn
from orgs.models import Organization
from sessions.models import ChatSession, EndUser
from tests.cast import Cast, House
from tests.conversations.refusals import assert_refused


def answered(house: House, *, user: str = "", verified: bool = False, **fields: Any) -> Message:
    """An answer of the agent in a session of its own; `fields` are the turn's."""
    org, now = house.org, timezone.now()
    end_user = EndUser.objects.get_or_create(org=org, external_id=user)[0] if user else None
    session = ChatSession.objects.create(org=org, end_user=end_user, verified_only=verified)
    conversation = Conversation.objects.create(org=org, session=session, agent=house.agent)
    return another(house, conversation, now=now, **fields)


def another(house: House, conversation: Conversation, *, now: dt.datetime | None = None, **fields: Any) -> Message:
    now = now or timezone.now()
    seq = conversation.turns.count() + 1
    values = {"outcome": "answered", "confidence": 0.7, "response": {"text": "x"}, "status": "done", **fields}
    turn = Turn.objects.create(
        org=house.org, conversation=conversation, seq=seq, agent_version=house.agent.current_version,
        accepted_at=now, answer_by=now, finished_at=now, **values,
    )  # fmt: skip
    for part, author in enumerate(("visitor", "agent")):
        message = Message.objects.create(
            org=house.org, conversation=conversation, turn=turn, seq=seq, part=part, author=author, text=author
        )
    return message


class Rater:
    def __init__(self, house: House) -> None:
        self.key, self.client = house.key.value, Client(raise_request_exception=False)

    def rate(self, message: Any, rating: Any = "up", *, data: bytes | None = None, **body: Any) -> Any:
        session = message.conversation.session.session_id if isinstance(message, Message) else "sess_x"
        sent = data or json.dumps({"session_id": session, "rating": rating, **body})
        url = f"/api/sdk/messages/{message.pk if isinstance(message, Message) else message}/feedback"
        return self.client.generic(
            "POST", url, sent, content_type="application/json", headers={"Authorization": f"Bearer {self.key}"}
        )


@pytest.fixture
def rater(cast: Cast) -> Rater:
    return Rater(cast.acme)


def test_a_thumb_is_stored_and_a_second_one_replaces_it(cast: Cast, rater: Rater) -> None:
    message = answered(cast.acme)
    response = rater.rate(message, "down", comment="Wrong \x00 page")
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert response["Access-Control-Allow-Origin"] == "*"
    label = AnswerLabel.objects.get()
    assert (label.verdict, label.by, label.comment, label.person) == ("wrong", "visitor", "Wrong � page", None)
    assert Conversation.objects.get().rating == "down"
    assert rater.rate(message, "up").status_code == 200
    label = AnswerLabel.objects.get()
    assert (label.verdict, label.comment) == ("right", "")
    assert Conversation.objects.get().rating == "up"


def test_a_conversation_is_rated_down_while_any_of_its_answers_is(cast: Cast, rater: Rater) -> None:
    first = answered(cast.acme)
    second = another(cast.acme, first.conversation)
    rater.rate(first, "down")
    rater.rate(second, "up")
    assert Conversation.objects.get().rating == "down"
    rater.rate(first, "up")
    assert Conversation.objects.get().rating == "up"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rating": "sideways"}, "rating"),
        ({"rating": 1}, "rating"),
        ({"rating": ""}, "rating"),
        ({"rating": None}, "rating"),
        ({"session_id": ""}, "session_id"),
        ({"session_id": 5}, "session_id"),
        ({"session_id": "x" * 256}, "session_id"),
        ({"session_id": "a\x00"}, "session_id"),
        ({"comment": "x" * 2001}, "comment"),
        ({"comment": []}, "comment"),
        ({"user_token": {}}, "user_token"),
    ],
)
def test_a_flawed_body_is_refused(cast: Cast, rater: Rater, body: dict[str, Any], field: str) -> None:
    message = answered(cast.acme)
    assert_refused(rater.rate(message, **body), 400, "invalid_request", field)
    assert rater.rate(message, comment="x" * 2000, unknown=1, user_token=None).status_code == 200


def test_json_is_strict_and_the_key_comes_first(cast: Cast, rater: Rater) -> None:
    message = answered(cast.acme)
    assert_refused(rater.rate(message, data=b'{"rating": "up", "rating": "up"}'), 400, "invalid_request")
    rater.key = "ab_live_nope"
    assert_refused(rater.rate("x", data=b"["), 401, "invalid_key")


def test_a_browser_may_ask_first(cast: Cast, rater: Rater) -> None:
    response = rater.client.options("/api/sdk/messages/x/feedback", headers={"Origin": "https://shop.example"})
    assert response.status_code in (200, 204)
    assert response["Access-Control-Allow-Origin"] == "*"


def test_unknown_foreign_expired_and_other_people_s_are_one_and_the_same_404(cast: Cast, rater: Rater) -> None:
    message, other, foreign = answered(cast.acme), answered(cast.acme), answered(cast.globex)
    asked = Message.objects.get(conversation=message.conversation, author="visitor")
    written = Message.objects.create(
        org=cast.acme.org, conversation=message.conversation, seq=9, author="teammate", text="x", person=cast.sue
    )
    expired = answered(cast.acme)
    ChatSession.objects.filter(conversation=expired.conversation).update(expires_at=timezone.now())
    others_session = {"session_id": other.conversation.session.session_id}
    answers = [
        rater.rate("01890000-0000-7000-8000-000000000000"),
        rater.rate("nonsense"),
        rater.rate("%00"),
        rater.rate(foreign),
        rater.rate(expired),
        rater.rate(asked),
        rater.rate(written),
        rater.rate(message, session_id="sess_unknown"),
        rater.rate(message, **others_session),
    ]
    for answer in answers:
        assert_refused(answer, 404, "not_found")
    assert len({answer.json()["error"] for answer in answers}) == 1
    assert not AnswerLabel.objects.exists()
    assert rater.rate(message).status_code == 200


def test_a_closed_conversation_can_still_be_rated(cast: Cast, rater: Rater) -> None:
    message = answered(cast.acme)
    ChatSession.objects.update(closed_at=timezone.now())
    assert rater.rate(message).status_code == 200


def test_a_verified_user_s_answers_are_rated_with_their_token_alone(
    cast: Cast, rater: Rater, token: Callable[..., str]
) -> None:
    message = answered(cast.acme, user="u1", verified=True)
    assert_refused(rater.rate(message), 404, "not_found")
    assert_refused(rater.rate(message, user_token=token("u2")), 404, "not_found")
    assert_refused(rater.rate(message, user_token="broken"), 404, "not_found")
    assert rater.rate(message, user_token=token("u1")).status_code == 200
    Organization.objects.filter(pk=cast.acme.org.pk).update(verify_identity=True)
    assert_refused(rater.rate(message), 404, "not_found")
    # A token that proves nobody says nothing about the session, whether that exists or not.
    for session in (message.conversation.session.session_id, "sess_unknown"):
        assert_refused(rater.rate(message, session_id=session, user_token="broken"), 403, "identity_failed")
    assert rater.rate(message, user_token=token("u1")).status_code == 200


def test_a_merely_named_user_s_answers_are_their_bearer_s_while_nobody_verifies(cast: Cast, rater: Rater) -> None:
    message = answered(cast.acme, user="u1")
    assert rater.rate(message).status_code == 200
    Organization.objects.filter(pk=cast.acme.org.pk).update(verify_identity=True)
    assert_refused(rater.rate(message), 404, "not_found")
    assert EndUser.objects.filter(org=cast.acme.org).count() == 1


def test_thumbs_have_a_limit_of_their_own(cast: Cast, rater: Rater, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "session=2"
    message = answered(cast.acme)
    assert [rater.rate(message).status_code for _ in range(3)] == [200, 200, 429]
    assert int(rater.rate(message)["Retry-After"]) > 0
    assert_refused(rater.rate("nonsense"), 404, "not_found")


def test_a_thumb_costs_a_fixed_number_of_statements(cast: Cast, rater: Rater) -> None:
    message = answered(cast.acme)
    with CaptureQueriesContext(connection) as queries:
        rater.rate(message)
    # 1 key and organisation · 2 session · 3 message with its turn · 4 conversation, locked · 5 the label before
    # 6 to 8 update_or_create · 9 is any down? · 10 the summary
    written = [query for query in queries.captured_queries if "SAVEPOINT" not in query["sql"]]
    assert len(written) <= 10


@pytest.mark.parametrize(
    ("fields", "labelled"),
    [
        ({}, True),
        ({"escalated": True}, False),
        ({"withheld": True}, False),
        ({"answer_type": "not_in_knowledge"}, False),
        ({"confidence_inputs": {"hedged": 1.0}}, False),
        ({"outcome": "routed", "confidence": None}, False),
    ],
)
def test_a_takeover_labels_the_last_answer_unless_nothing_was_claimed(
    cast: Cast, fields: dict[str, Any], labelled: bool
) -> None:
    message = answered(cast.acme)
    last = another(cast.acme, message.conversation, **fields)
    takeover.take_over(conversation=message.conversation, by=cast.sue)
    found = list(AnswerLabel.objects.values_list("turn_id", "verdict", "by", "person_id"))
    assert found == ([(last.turn_id, "wrong", "takeover", cast.sue.pk)] if labelled else [])


def test_a_teammate_s_word_counts_before_a_visitor_s_and_that_before_a_takeover() -> None:
    said = {"takeover": "wrong", "visitor": "right", "teammate": "wrong"}
    assert labels.effective(said) == ("wrong", "teammate")
    assert labels.effective(said, ["visitor", "takeover"]) == ("right", "visitor")
    assert labels.effective(said, ["takeover"]) == ("wrong", "takeover")
    assert labels.effective(said, []) is None
