"""`POST /tickets/create`: tickets without a conversation, and whose they are."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conversations import housekeeping
from conversations.models import IdempotencyKey, Ticket
from orgs.models import Organization
from sessions.models import EndUser
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

KEY = {"Idempotency-Key": "0123456789abcdef"}
LONG = "x" * 1_000


def send(visitor: Visitor, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return visitor.send("tickets/create", headers=headers, **{"subject": "Broken", **body})


def test_a_form_sends_a_ticket_in(guest: Visitor, cast: Cast) -> None:
    told = send(
        guest, email="ana@contoso.example", name="Ana", subject=LONG, metadata={"page": "/a"}, priority="priority"
    )
    ticket = Ticket.objects.get()
    body = told.json()
    assert told.status_code == 200
    assert (ticket.org, ticket.number, ticket.subject, ticket.message) == (cast.acme.org, 1, LONG, LONG)
    assert (ticket.source, ticket.priority, ticket.metadata) == ("api", "priority", {"page": "/a"})
    assert ticket.requester is not None
    requester = ticket.requester
    assert (requester.external_id, requester.email, requester.name) == ("", "ana@contoso.example", "Ana")
    assert not requester.email_verified
    assert (body["id"], body["number"], body["requester_id"]) == (str(ticket.pk), 1, str(requester.pk))
    assert body["created_at"].endswith("+00:00") and body["status"] == "open"


def test_an_address_that_nobody_vouches_for_never_leads_to_somebody_who_is_stored(
    guest: Visitor, cast: Cast, token: Any
) -> None:
    known = EndUser.objects.create(
        org=cast.acme.org, external_id="u1", email="ana@contoso.example", email_verified=True
    )
    for proof in ("", token("u2", email="other@x.example"), token("u2")):
        send(guest, email="ana@contoso.example", user_token=proof)
    assert EndUser.objects.filter(external_id="").count() == 3 and not Ticket.objects.filter(requester=known).exists()

    send(guest, email="ANA@contoso.example", user_token=token("u1", email="ana@contoso.example"))
    assert Ticket.objects.filter(requester=known).count() == 1


def test_a_named_user_is_found_or_made_and_what_is_known_of_them_stays(guest: Visitor, cast: Cast) -> None:
    EndUser.objects.create(org=cast.acme.org, external_id="u1", email="real@x.example")
    send(guest, user_id="u1", email="fake@x.example", name="Ana")
    send(guest, user_id="u2", email="bo@x.example")
    found = EndUser.objects.order_by("external_id").values_list("external_id", "email", "name")
    assert list(found) == [("u1", "real@x.example", "Ana"), ("u2", "bo@x.example", "")]


def test_with_verification_on_who_names_a_user_proves_it(guest: Visitor, cast: Cast, token: Any) -> None:
    Organization.objects.filter(pk=cast.acme.org.pk).update(verify_identity=True)
    for proof in ("", token("u2"), "x"):
        assert send(guest, user_id="u1", user_token=proof, email="a@b.example").status_code == 403
    assert not Ticket.objects.exists() and not EndUser.objects.exists()
    assert send(guest, user_id="u1", user_token=token()).status_code == 200
    assert send(guest, email="a@b.example").status_code == 200
    assert send(guest, user_id="anonymous", email="a@b.example").status_code == 200


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("email", {}),
        ("email", {"user_id": "anonymous"}),
        ("email", {"email": "not an address"}),
        ("email", {"email": "a@b.example\n.evil"}),
        ("subject", {"user_id": "u1", "subject": " "}),
        ("subject", {"user_id": "u1", "subject": "x" * 1_001}),
        ("message", {"user_id": "u1", "message": "x" * 50_001}),
        ("metadata", {"user_id": "u1", "metadata": {"a": "é" * 25_000}}),
        ("metadata", {"user_id": "u1", "metadata": "x"}),
        ("source", {"user_id": "u1", "source": "x" * 51}),
        ("priority", {"user_id": "u1", "priority": "urgent"}),
        ("name", {"user_id": "u1", "name": 5}),
    ],
)
def test_what_is_not_in_shape_is_refused(guest: Visitor, field: str, body: dict[str, Any]) -> None:
    refused = send(guest, **body)
    assert (refused.status_code, refused.json()["field"]) == (400, field), refused.content
    assert not Ticket.objects.exists()


def test_the_same_key_and_body_is_the_same_ticket(guest: Visitor) -> None:
    first = send(guest, KEY, email="a@b.example", message="Help").json()
    Ticket.objects.update(status="resolved", subject="What staff made of it", priority="priority")
    assert send(guest, KEY, email="a@b.example", message="Help").json() == first
    other = send(guest, KEY, email="a@b.example", message="Else")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
    assert send(guest, {"Idempotency-Key": "short"}, email="a@b.example").status_code == 400
    # Keys of chat and tickets are one table, so the same key cannot stand for both.
    assert guest.say("Help", headers=KEY).status_code == 409
    assert Ticket.objects.count() == 1 and EndUser.objects.count() == 1


def test_twins_with_one_key_make_one_ticket(acme: Organization, visitor: Visitor) -> None:
    def once(_: int) -> str:
        try:
            return str(send(Visitor(visitor.key), KEY, email="a@b.example").json()["id"])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(once, range(8)))) == 1
    assert Ticket.objects.count() == IdempotencyKey.objects.count() == EndUser.objects.count() == 1


def test_organisations_number_their_own(guest: Visitor, cast: Cast) -> None:
    other = Visitor(cast.globex.key.value)
    assert [send(who, email="a@b.example").json()["number"] for who in (guest, guest, other)] == [1, 2, 1]


def test_the_agent_knows_what_a_proved_user_has_sent_in(visitor: Visitor, token: Any, model: FakeModel) -> None:
    send(visitor, user_id="u1", user_token=token(), subject="My lamp is broken")
    visitor.told("Any news?", user_id="u1", user_token=token())
    assert "My lamp is broken" in str(model.requests[-1].messages)
    visitor.told("Any news?", user_id="u1")
    assert "My lamp is broken" not in str(model.requests[-1].messages)


def test_what_was_sent_in_is_forgotten_with_the_conversations(guest: Visitor, cast: Cast) -> None:
    send(guest, email="a@b.example")
    housekeeping.run()
    assert Ticket.objects.exists()
    housekeeping.run(now=timezone.now() + dt.timedelta(days=30 * 24 + 1))
    assert not Ticket.objects.exists()
