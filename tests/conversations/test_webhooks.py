"""Tickets leave by signed calls: in order for each visit, again where they failed, and given up where people see it."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conversations import outbox, tickets
from conversations.inbox.ticketing import change_ticket
from conversations.models import OutboxItem, Ticket, Webhook
from conversations.outgoing import webhooks
from halo.errors import InvalidRequest
from orgs.models import AuditEntry, User
from orgs.services import Conflict
from sessions.models import ChatSession
from tests.cast import Cast
from tests.conversations.receiver import Receiver

As = Callable[[User], Client]
DAY = dt.timedelta(days=1)


def hook_of(cast: Cast, receiver: Receiver, *, path: str = "/in") -> Webhook:
    hook = Webhook(org=cast.acme.org, label="Help desk", url=f"{receiver.base}{path}")
    webhooks.add_webhook(hook=hook, by=cast.omar)
    return hook


def opened(cast: Cast, subject: str, session: ChatSession | None = None) -> Ticket:
    return tickets.open_ticket(org=cast.acme.org, session=session, subject=subject, message=subject, source="api")


def told(receiver: Receiver) -> list[str]:
    return [json.loads(body)["data"].get("subject", "") for _, _, _, body in receiver.asked]


def is_signed_with(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As the specification has receivers check it."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in headers["webhook-signature"].split(" ")


def test_a_ticket_and_its_changes_are_told_in_signed_calls(cast: Cast, receiver: Receiver) -> None:
    hook = hook_of(cast, receiver)
    ticket = opened(cast, "Where is it?")
    change_ticket(ticket=ticket, changes={"status": "in_progress", "assignee": cast.sue}, by=cast.sue)
    assert outbox.send_due() == 2

    (_, _, headers, body), (_, _, later, changed) = receiver.asked
    first, second = json.loads(body), json.loads(changed)
    assert (first["type"], second["type"]) == ("ticket.created", "ticket.updated")
    assert (first["data"]["number"], first["data"]["status"]) == (1, "open")
    assert second["data"]["changed"] == ["assignee", "status"] and second["data"]["assignee"]["email"] == cast.sue.email
    assert headers["webhook-id"] != later["webhook-id"]
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 60
    assert is_signed_with(hook.secret, headers, body) and not is_signed_with(hook.secret, headers, body + b" ")


def test_nothing_is_told_to_other_organisations_nor_where_it_is_switched_off(cast: Cast, receiver: Receiver) -> None:
    hook = hook_of(cast, receiver)
    tickets.open_ticket(org=cast.globex.org, subject="Theirs", message="Theirs", source="api")
    hook.is_active = False
    webhooks.change_webhook(hook=hook, names=["is_active"], by=cast.omar)
    opened(cast, "Off")
    assert outbox.send_due() == 0 and not OutboxItem.objects.exists()


def test_one_blocked_call_of_a_visit_holds_back_that_visit_s_later_ones_and_no_others(
    cast: Cast, receiver: Receiver
) -> None:
    hook_of(cast, receiver)
    one, other = (ChatSession.objects.create(org=cast.acme.org) for _ in range(2))
    opened(cast, "one-1", one)
    receiver.answer = (500, {}, b"")
    assert outbox.send_due() == 0
    receiver.answer = (204, {}, b"")
    change_ticket(ticket=opened(cast, "one-2", one), changes={"priority": "priority"}, by=cast.sue)
    opened(cast, "other-1", other)
    opened(cast, "alone")
    outbox.send_due()
    assert told(receiver) == ["one-1", "other-1", "alone"]

    OutboxItem.objects.filter(done_at=None).update(next_attempt_at=timezone.now())
    outbox.send_due()
    assert told(receiver)[3:] == ["one-1", "one-2", "one-2"]
    ids = [headers["webhook-id"] for _, _, headers, _ in receiver.asked]
    assert ids[0] == ids[3] and len(set(ids)) == 5, "a repeat has the id of the first attempt"


def test_a_blocked_receiver_holds_up_no_other_receiver(cast: Cast, receiver: Receiver) -> None:
    hook_of(cast, receiver, path="/blocked")
    hook_of(cast, receiver, path="/fine")
    session = ChatSession.objects.create(org=cast.acme.org)
    receiver.answer = (503, {}, b"")
    opened(cast, "first", session)
    OutboxItem.objects.filter(webhook__url__endswith="/fine").update(next_attempt_at=timezone.now() + DAY)
    outbox.send_due()
    receiver.answer = (200, {}, b"")
    OutboxItem.objects.filter(webhook__url__endswith="/fine").update(next_attempt_at=timezone.now())
    opened(cast, "second", session)
    outbox.send_due()
    assert [path for _, path, _, _ in receiver.asked] == ["/blocked", "/fine", "/fine"]


def test_what_is_given_up_holds_up_nothing_is_seen_and_can_be_sent_again(
    cast: Cast, receiver: Receiver, as_: As
) -> None:
    hook_of(cast, receiver)
    session = ChatSession.objects.create(org=cast.acme.org)
    opened(cast, "first", session)
    receiver.answer = (400, {}, b"")
    for _ in range(outbox.MAX_ATTEMPTS):
        OutboxItem.objects.update(next_attempt_at=timezone.now())
        outbox.send_due()
    item = OutboxItem.objects.get()
    assert item.dead_at is not None and item.error == "The receiver answered 400."
    receiver.answer = (200, {}, b"")
    opened(cast, "second", session)
    assert outbox.send_due() == 1 and told(receiver)[-1] == "second"

    page = reverse("admin:conversations_outboxitem_changelist")
    url = reverse("admin:conversations_outboxitem_repeat", args=[item.pk])
    listed = as_(cast.ada).get(page, {"state": "dead"}).content.decode()
    assert "Given up" in listed and "The receiver answered 400." in listed
    for person, status in ((cast.sue, (403, 404)), (cast.ana, (403, 404)), (cast.gus, (404,))):
        assert as_(person).post(url).status_code in status, person
    assert as_(cast.ada).post(url).status_code == 302
    entry = AuditEntry.objects.get(action="delivery.repeated")
    assert (entry.actor, entry.before["attempts"]) == (cast.ada, 8)
    outbox.send_due()
    assert told(receiver)[-1] == "first"
    item.refresh_from_db()
    assert item.done_at is not None and item.repeated_by == cast.ada
    with pytest.raises(Conflict):
        outbox.repeat(item=item, by=cast.ada)


def test_who_answers_410_is_asked_no_more(cast: Cast, receiver: Receiver) -> None:
    hook = hook_of(cast, receiver)
    receiver.answer = (410, {}, b"")
    opened(cast, "first")
    outbox.send_due()
    hook.refresh_from_db()
    assert not hook.is_active
    OutboxItem.objects.update(next_attempt_at=timezone.now())
    outbox.send_due()
    assert len(receiver.asked) == 1 and OutboxItem.objects.get().done_at is not None


def test_a_secret_is_shown_once_and_rotated_with_time_for_the_other_side(
    cast: Cast, receiver: Receiver, as_: As
) -> None:
    add = reverse("admin:conversations_webhook_add")
    made = {"label": "Desk", "url": f"{receiver.base}/in", "is_active": "on"}
    shown = as_(cast.ada).post(add, made)
    hook = Webhook.objects.get()
    assert hook.secret in shown.content.decode() and "no-store" in shown["Cache-Control"]
    change = reverse("admin:conversations_webhook_change", args=[hook.pk])
    assert hook.secret not in as_(cast.ada).get(change).content.decode()
    old, new = hook.secret, webhooks.rotate_secret(hook=hook, grace=DAY, by=cast.ada)
    hook.refresh_from_db()
    webhooks.send_test(hook=hook, by=cast.ada)
    outbox.send_due()
    _, _, headers, body = receiver.asked[-1]
    assert is_signed_with(old, headers, body) and is_signed_with(new, headers, body)
    Webhook.objects.update(old_secret_until=timezone.now() - DAY)
    hook.refresh_from_db()
    webhooks.send_test(hook=hook, by=cast.ada)
    outbox.send_due()
    _, _, headers, body = receiver.asked[-1]
    assert not is_signed_with(old, headers, body) and is_signed_with(new, headers, body)
    assert old not in str(list(AuditEntry.objects.values("before", "after")))
    assert as_(cast.sue).get(change).status_code == 404


@pytest.mark.parametrize(
    "url", ["http://hooks.example/in", "https://user:secret@hooks.example/", "ftp://hooks.example", "https://"]
)
def test_an_address_that_is_not_https_or_holds_a_password_is_refused(cast: Cast, url: str) -> None:
    with pytest.raises(InvalidRequest):
        webhooks.add_webhook(hook=Webhook(org=cast.acme.org, label="x", url=url), by=cast.omar)


def test_a_call_to_a_private_address_is_not_made(cast: Cast, receiver: Receiver, settings: Any) -> None:
    hook_of(cast, receiver)
    settings.HALO_OUTGOING_HOSTS = []
    opened(cast, "first")
    outbox.send_due()
    assert not receiver.asked and "may not go" in OutboxItem.objects.get().error
