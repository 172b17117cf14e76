"""`POST /sessions/<id>/handover`: a visitor asks for a person with a button."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection

from agents.services import change_agent
from conversations import takeover
from conversations.models import Conversation, Message, OutboxItem, Ticket, Turn
from orgs.models import Organization, Team
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

CLOSED = {day: [] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


def press(visitor: Visitor, session: str, **body: Any) -> Any:
    return visitor.send(f"sessions/{session}/handover", **body)


def with_team(cast: Cast, **settings: Any) -> Team:
    team = Team.objects.create(org=cast.acme.org, name="Support", email="team@acme.example", **settings)
    cast.acme.agent.escalation_team = team
    change_agent(agent=cast.acme.agent, names=["escalation_team"], by=None)
    return team


def test_a_person_is_called_in_without_asking_the_model(visitor: Visitor, cast: Cast, model: FakeModel) -> None:
    team = with_team(cast)
    session = visitor.told("My parcel is lost")["session_id"]
    asked = len(model.requests)

    answer = press(visitor, session)

    assert answer.status_code == 200 and len(model.requests) == asked
    body, ticket = answer.json(), Ticket.objects.get()
    assert body["text"] == cast.acme.agent.handover_text and body["confidence"] is None
    assert body["routing"] == {"action": "route_to_team", "ticket_id": str(ticket.pk)}
    assert [action["type"] for action in body["actions"]] == ["escalate"]
    assert (ticket.team, ticket.subject, ticket.source) == (team, "My parcel is lost", "handover")
    assert ticket.session is not None and ticket.session.session_id == session
    assert OutboxItem.objects.filter(ticket=ticket).exists()
    shown = visitor.fetch(f"sessions/{session}/messages").json()["messages"]
    assert [(one["role"], one["text"]) for one in shown[2:]] == [
        ("visitor", "Talk to a person"),
        ("agent", cast.acme.agent.handover_text),
    ]
    assert shown[3]["id"] == body["message_id"]
    assert Conversation.objects.get().outcome == "escalated"


def test_pressing_again_is_the_same_answer_until_the_ticket_is_done(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told()["session_id"]
    first = press(visitor, session).json()
    visitor.told("Anything else", session_id=session)
    assert press(visitor, session).json() == first
    assert Ticket.objects.count() == 1 and Message.objects.filter(text="Talk to a person").count() == 1

    Ticket.objects.update(status="resolved")
    assert press(visitor, session).json()["turn_id"] != first["turn_id"]
    assert Ticket.objects.count() == 2


def test_many_presses_at_once_open_one_ticket(visitor: Visitor) -> None:
    session = visitor.told()["session_id"]

    def once(_: int) -> str:
        try:
            return str(press(visitor, session).json()["turn_id"])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        turns = set(pool.map(once, range(4)))
    assert len(turns) == 1 and Ticket.objects.count() == 1


def test_the_ticket_that_an_escalation_opened_is_taken(visitor: Visitor) -> None:
    session = visitor.told("I want to talk to a human")["session_id"]
    assert Ticket.objects.count() == 1
    body = press(visitor, session).json()
    assert body["routing"]["ticket_id"] == str(Ticket.objects.get().pk)


def test_outside_the_teams_hours_the_visitor_is_told_when_it_is_back(visitor: Visitor, cast: Cast) -> None:
    with_team(cast, hours=CLOSED, away_text="We are back {opens}.")
    body = press(visitor, visitor.told()["session_id"]).json()
    assert body["text"].endswith("We are back later.\n\nTicket #1"), "the chat has become a ticket"


def test_an_agent_that_never_hands_over_by_itself_still_does_when_asked(visitor: Visitor, cast: Cast) -> None:
    cast.acme.agent.escalation = "off"
    cast.acme.agent.live_help_label = ""
    change_agent(agent=cast.acme.agent, names=["escalation", "live_help_label"], by=None)
    assert press(visitor, visitor.told()["session_id"]).status_code == 200


def test_who_is_outside_the_audience_gets_nobody_and_who_is_inside_with_priority(visitor: Visitor, cast: Cast) -> None:
    paying = [{"source": "user", "key": "plan", "op": "is", "value": "pro"}]
    cast.acme.agent.audience, cast.acme.agent.priority = paying, paying
    change_agent(agent=cast.acme.agent, names=["audience", "priority"], by=None)
    session = visitor.told()["session_id"]
    refused = press(visitor, session)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_offered")
    assert not Ticket.objects.exists() and Message.objects.count() == 2

    paid = visitor.told(custom_fields={"plan": "pro"})["session_id"]
    assert press(visitor, paid).status_code == 200
    assert Ticket.objects.get().priority == "priority"


def test_while_a_teammate_has_the_conversation_there_is_nobody_to_call(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told()["session_id"]
    takeover.take_over(conversation=Conversation.objects.get(), by=cast.sue)
    body = press(visitor, session).json()
    assert (body["text"], body["routing"]) == (cast.acme.agent.takeover_text, {"action": "human"})
    assert not Ticket.objects.exists()


def test_a_closed_conversation_goes_on_in_a_fresh_session(visitor: Visitor, cast: Cast) -> None:
    session = visitor.told()["session_id"]
    takeover.close(conversation=Conversation.objects.get(), by=cast.sue)
    body = press(visitor, session).json()
    assert body["session_id"] != session
    assert press(visitor, session).json() == body
    assert Ticket.objects.get().session.session_id == body["session_id"]  # type: ignore[union-attr]


def test_only_the_owner_of_a_session_asks_in_it(
    visitor: Visitor, stranger: Visitor, token: Any, acme: Organization
) -> None:
    session = visitor.told(user_id="u1", user_token=token())["session_id"]
    for who, body in ((stranger, {}), (visitor, {}), (visitor, {"user_token": token("u2")})):
        assert press(who, session, **body).status_code == 404
    assert press(visitor, "sess_unknown").status_code == 404
    assert press(visitor, session, user_token=5).status_code == 400
    Organization.objects.update(verify_identity=True)
    assert press(visitor, session, user_token="nonsense").status_code == 403
    assert press(visitor, session, user_token=token()).status_code == 200
    assert Turn.objects.order_by("-seq")[0].verified


def test_presses_are_limited_as_messages_are(visitor: Visitor, settings: Any) -> None:
    session = visitor.told()["session_id"]
    settings.HALO_RATE_LIMITS = "session=1"
    assert [press(visitor, session).status_code for _ in range(2)] == [200, 429]
