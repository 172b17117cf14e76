"""Sessions: minted here, continued by their owner only, never revealed to anyone else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from agents import languages
from conversations import takeover
from conversations.models import Conversation, Message
from orgs.models import Organization
from sessions.models import ChatSession
from tests.cast import Cast
from tests.conversations.conftest import Visitor

Sign = Callable[..., str]


def session_of(visitor: Visitor, **body: object) -> str:
    return str(visitor.told(**body)["session_id"])


def test_a_session_is_continued_in_one_conversation(visitor: Visitor) -> None:
    session = session_of(visitor)

    assert session_of(visitor, session_id=session) == session
    assert Conversation.objects.count() == 1
    assert list(Message.objects.order_by("seq", "part").values_list("seq", "author")) == [
        (1, "visitor"),
        (1, "agent"),
        (2, "visitor"),
        (2, "agent"),
    ]


def test_a_clients_own_invention_is_never_adopted(visitor: Visitor) -> None:
    for invented in ("sess_mine", "x" * 255, "' OR 1=1 --", "sess_" + "A" * 32):
        assert session_of(visitor, session_id=invented) != invented
    assert ChatSession.objects.count() == 4


def test_an_expired_session_is_answered_in_a_fresh_one_and_a_burst_lands_in_the_same(visitor: Visitor) -> None:
    session = session_of(visitor)
    ChatSession.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    fresh = session_of(visitor, session_id=session)

    assert fresh != session
    assert session_of(visitor, session_id=session) == fresh
    assert session_of(visitor, session_id=fresh) == fresh


def test_a_session_lives_for_seven_days(visitor: Visitor) -> None:
    session_of(visitor)
    session = ChatSession.objects.get()
    assert abs(session.expires_at - session.started_at - dt.timedelta(days=7)) < dt.timedelta(seconds=2)


def test_a_message_on_a_closed_conversation_starts_a_fresh_session(visitor: Visitor, cast: Cast) -> None:
    session = session_of(visitor, user_id="u1")
    takeover.close(conversation=Conversation.objects.get(), by=cast.sue)

    fresh = session_of(visitor, session_id=session, user_id="u1")

    assert fresh != session and Conversation.objects.count() == 2
    assert ChatSession.objects.get(session_id=fresh).end_user.external_id == "u1"  # type: ignore[union-attr]


def test_a_burst_on_a_closed_conversation_lands_in_one_fresh_session(visitor: Visitor, cast: Cast) -> None:
    session = session_of(visitor)
    takeover.close(conversation=Conversation.objects.get(), by=cast.sue)

    def say(number: int) -> str:
        try:
            return session_of(visitor, session_id=session)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(say, range(6)))) == 1


def test_another_organisations_session_is_not_continued(visitor: Visitor, stranger: Visitor) -> None:
    session = session_of(visitor)

    assert session_of(stranger, session_id=session) != session
    assert Message.objects.filter(conversation__session__session_id=session).count() == 2


def test_an_anonymous_session_becomes_the_users_once(visitor: Visitor, acme: Organization) -> None:
    session = session_of(visitor)

    assert session_of(visitor, session_id=session, user_id="u1") == session
    assert ChatSession.objects.get(session_id=session).end_user.external_id == "u1"  # type: ignore[union-attr]
    assert session_of(visitor, session_id=session, user_id="u2") != session
    assert session_of(visitor, session_id=session) == session


def test_after_a_verified_turn_only_verified_requests_of_that_user_continue(
    visitor: Visitor, acme: Organization, token: Sign
) -> None:
    session = session_of(visitor, user_id="u1", user_token=token())

    assert session_of(visitor, session_id=session, user_id="u1", user_token=token()) == session
    assert session_of(visitor, session_id=session, user_id="u1") != session
    assert session_of(visitor, session_id=session) != session
    assert session_of(visitor, session_id=session, user_id="u2", user_token=token("u2")) != session
    Organization.objects.filter(pk=acme.pk).update(verify_identity=True)
    assert session_of(visitor, session_id=session) != session
    assert session_of(visitor, session_id=session, user_id="u1", user_token=token()) == session


def test_two_users_who_claim_one_anonymous_session_at_once_do_not_share_it(
    visitor: Visitor, verifying: Organization, token: Sign
) -> None:
    session = session_of(visitor)

    def claim(user: str) -> str:
        try:
            return session_of(visitor, session_id=session, user_id=user, user_token=token(user))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        sessions = list(pool.map(claim, ["u1", "u2"]))

    assert sessions.count(session) == 1
    owner = ChatSession.objects.get(session_id=session).end_user
    assert owner is not None and owner.external_id == ("u1" if sessions[0] == session else "u2")


@pytest.mark.parametrize("shape", ["unknown", "foreign", "not owned", "expired and not owned"])
def test_nothing_in_an_answer_tells_whether_a_session_exists_elsewhere(
    visitor: Visitor, stranger: Visitor, acme: Organization, token: Sign, shape: str
) -> None:
    if shape == "unknown":
        session = "sess_" + "A" * 32
    elif shape == "foreign":
        session = session_of(stranger)
    else:
        session = session_of(visitor, user_id="u1", user_token=token())
    if shape.startswith("expired"):
        ChatSession.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    answer = visitor.told(session_id=session)

    assert answer["session_id"] != session
    assert set(answer) == {
        "text", "session_id", "agent_id", "actions", "confidence", "citations", "message_id", "turn_id",
    }  # fmt: skip
    assert ChatSession.objects.get(session_id=answer["session_id"]).end_user is None


def test_a_conversation_has_the_language_of_the_first_words_that_tell_it(visitor: Visitor) -> None:
    languages.prepare()
    session = visitor.told("hi")["session_id"]
    conversation = Conversation.objects.get()
    assert conversation.language == "", "that could be anything"
    for message in ("Wo finde ich meine Rechnung für November?", "And where can I change my address?"):
        visitor.told(message, session_id=session)
        conversation.refresh_from_db()
        assert conversation.language == "de"
