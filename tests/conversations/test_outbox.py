"""What is slow about a ticket is sent once, whoever sends, and again only where nobody knows whether it was."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conversations import outbox
from conversations.models import Conversation, OutboxItem, Ticket
from orgs.models import Team
from sessions.models import ChatSession
from tests.cast import Cast
from tests.conversations.mailbox import Mailbox


@pytest.fixture
def mailbox(transactional_db: None, settings: Any) -> Iterator[type[Mailbox]]:
    # Set here, as Django's test runner has a backend of its own.
    settings.EMAIL_BACKEND = f"{Mailbox.__module__}.Mailbox"
    Mailbox.empty()
    yield Mailbox
    Mailbox.empty()


def tickets(cast: Cast, number: int) -> list[str]:
    """So many tickets that a team is to be told of; the ids of the mails."""
    org = cast.acme.org
    team = Team.objects.create(org=org, name="Billing", email="billing@acme.example")
    session = ChatSession.objects.create(org=org)
    conversation = Conversation.objects.create(org=org, session=session, agent=cast.acme.agent)
    keys = []
    for place in range(number):
        ticket = Ticket.objects.create(
            org=org, number=place + 1, conversation=conversation, team=team, subject="Help", message="Help"
        )
        item = OutboxItem.objects.create(org=org, kind="ticket_email", key=f"ticket:{ticket.pk}", ticket=ticket)
        keys.append(f"<{item.key.replace(':', '.')}@halo>")
    return keys


def send() -> int:
    try:
        return outbox.send_due()
    finally:
        connection.close()


def test_several_senders_at_once_send_each_item_once(mailbox: type[Mailbox], cast: Cast) -> None:
    keys = tickets(cast, 12)
    mailbox.delay = 0.02

    with ThreadPoolExecutor(3) as pool:
        sent = [one.result() for one in [pool.submit(send) for _ in range(3)]]

    assert sorted(mailbox.sent) == sorted(keys)
    assert sum(sent) == 12 and min(sent) > 0, "they share the work"
    assert not OutboxItem.objects.filter(done_at=None).exists()


def test_while_one_sender_hangs_another_sends_the_rest_and_not_the_same(mailbox: type[Mailbox], cast: Cast) -> None:
    keys = tickets(cast, 3)
    hangs, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        go_on.wait(30)

    mailbox.before = staticmethod(hang)

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(send)
        assert hangs.wait(10)
        mailbox.before = staticmethod(lambda: None)
        assert outbox.send_due() == 2
        go_on.set()
        assert hanging.result(timeout=10) == 1

    assert sorted(mailbox.sent) == sorted(keys)


class Killed(BaseException):
    """Nothing of the sender runs after it."""


def test_what_a_killed_sender_was_sending_goes_out_again_under_the_same_id_after_its_lease(
    mailbox: type[Mailbox], cast: Cast
) -> None:
    (key,) = tickets(cast, 1)

    def die() -> None:
        raise Killed

    mailbox.before = staticmethod(die)
    with pytest.raises(Killed):
        outbox.send_due()
    mailbox.before = staticmethod(lambda: None)

    assert outbox.send_due() == 0, "its sender might still be at it"
    OutboxItem.objects.update(next_attempt_at=timezone.now() - dt.timedelta(seconds=1))
    assert outbox.send_due() == 1
    assert mailbox.sent == [key, key], "a mail server drops the second"
    assert outbox.send_due() == 0


def test_a_failure_after_the_lease_ran_out_does_not_undo_what_another_sender_did(
    mailbox: type[Mailbox], cast: Cast
) -> None:
    tickets(cast, 1)

    def another_is_quicker() -> None:
        mailbox.before = staticmethod(lambda: None)
        OutboxItem.objects.update(next_attempt_at=timezone.now())
        assert outbox.send_due() == 1
        raise OSError

    mailbox.before = staticmethod(another_is_quicker)
    assert outbox.send_due() == 0

    item = OutboxItem.objects.get()
    assert item.done_at is not None and item.error == ""
    assert outbox.send_due() == 0


def test_a_mail_that_cannot_be_sent_is_tried_again_with_growing_pauses_and_then_given_up(
    mailbox: type[Mailbox], cast: Cast
) -> None:
    tickets(cast, 1)

    def refuse() -> None:
        raise ConnectionRefusedError

    mailbox.before = staticmethod(refuse)
    pauses = []
    for _ in range(outbox.MAX_ATTEMPTS):
        OutboxItem.objects.update(next_attempt_at=timezone.now())
        outbox.send_due()
        pauses.append(round((OutboxItem.objects.get().next_attempt_at - timezone.now()).total_seconds() / 30))

    item = OutboxItem.objects.get()
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128]
    assert (item.attempts, item.error) == (8, "ConnectionRefusedError") and item.dead_at is not None
    OutboxItem.objects.update(next_attempt_at=timezone.now())
    assert outbox.send_due() == 0
