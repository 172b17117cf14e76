"""Erasing and exporting a person: all of it, nothing of others, and a receipt that says nothing of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, InternalError, models, transaction
from django.test import Client
from django.utils import timezone

from conversations import housekeeping, tape
from conversations.models import Conversation, Erasure, Message, SavedView, Ticket, Turn
from conversations.privacy import erasing
from conversations.tasks import erase
from halo import wire
from orgs.models import AuditEntry, User
from sessions.models import ChatSession, EndUser, Event
from tests.admin.furnished import Furnished, add_conversation, audited, furnish, nobody
from tests.cast import Cast

PAGE, EXPORT, ERASE = "/admin/privacy/", "/admin/privacy/person.json", "/admin/privacy/erase/"
LARGE = 40


@pytest.fixture
def acme(cast: Cast) -> Furnished:
    return furnish(cast.acme, cast.omar)


@pytest.fixture
def person(acme: Furnished) -> EndUser:
    """Acme's visitor, with an e-mail address and a second conversation."""
    found: EndUser = acme.rows["chat_sessions.enduser"]
    found.email = "vera@visitor.example"
    found.save(update_fields=["email"])
    add_conversation(acme.house, found, turns=LARGE)
    Ticket.objects.create(org=found.org, number=2, requester=found, subject="By mail", message="x")
    return found


def rows_by_table() -> dict[str, int]:
    ours = ("orgs", "chat_sessions", "agents", "conversations")
    return {m._meta.label: m._default_manager.count() for m in apps.get_models() if m._meta.app_label in ours}


def test_everything_of_a_person_is_gone_and_nothing_of_anybody_else(
    cast: Cast, acme: Furnished, person: EndUser, django_capture_on_commit_callbacks: Any
) -> None:
    before = rows_by_table()
    other = EndUser.objects.create(org=person.org, external_id="u-2")
    add_conversation(acme.house, other, turns=2)
    others = {label: count - before[label] for label, count in rows_by_table().items()}
    furnish(cast.globex, cast.gus)
    turn = Turn.objects.filter(conversation__session__end_user=person).first()
    assert turn is not None and tape.append(turn.pk, attempt=1, kind="delta")
    with django_capture_on_commit_callbacks(execute=False):
        asked = erasing.request_erasure(person=person, by=cast.omar)
    erase(str(asked.pk))
    globex = dict.fromkeys(("chat_sessions.EndUser", "chat_sessions.ChatSession", "conversations.Conversation"), 1)
    left = rows_by_table()
    for model in (EndUser, ChatSession, Conversation):
        assert left[model._meta.label] == others[model._meta.label] + globex[model._meta.label]
    of_org = {m: m._default_manager.for_org(person.org).count() for m in (Turn, Message, Ticket, Event)}
    assert of_org == {Turn: 2, Message: 4, Ticket: 0, Event: 0}
    with wire.calling() as client:
        assert not client.exists(tape.key_of(turn.pk))
    receipt = Erasure.objects.get(pk=asked.pk)
    assert receipt.finished_at and receipt.end_user is None
    assert receipt.removed["messages"] == 2 * LARGE + 2 and receipt.removed["tickets"] == 2
    assert receipt.removed["conversations"] == 2 and receipt.removed["people"] == 1 and receipt.removed["events"] == 1


def test_no_row_that_is_left_holds_a_word_of_the_person(
    cast: Cast, acme: Furnished, person: EndUser, as_: Callable[[User], Client]
) -> None:
    as_(cast.omar).get(PAGE, {"q": person.email})
    as_(cast.omar).post(f"/admin/chat_sessions/enduser/{person.pk}/change/", {
        "name": "Vera Visitor", "email": person.email, "custom_fields": "{}", "context": "{}",
    })  # fmt: skip
    assert audited(person.org, "enduser.changed").after["name"] == "set"
    as_(cast.root).get("/admin/chat_sessions/enduser/", {"q": person.email})
    views = {"Hers": "person=VERA%40visitor.example", "Of Vera Visitor": "rating=up", "Reset": "q=reset&rating=down"}
    for name, query in views.items():
        SavedView.objects.create(org=person.org, owner=cast.omar, name=name, query=query)
    asked = erasing.request_erasure(person=person, by=cast.omar)
    erasing.carry_out(asked.pk)
    assert Erasure.objects.get(pk=asked.pk).removed["views"] == 2
    assert SavedView.objects.get().name == "Reset", "what names nobody stays"
    words = (person.email, "Acme visitor", "Vera", '"u-1"', "Acme question", "Acme trouble")
    for model in apps.get_models():
        if model._meta.app_label in ("orgs", "chat_sessions", "conversations") and model is not User:
            for row in model._default_manager.values():
                text = json.dumps(row, default=str)
                assert not [word for word in words if word in text], (model, row)
    for entry in AuditEntry.objects.filter(action__startswith="person."):
        assert entry.target_type == "conversations.erasure"


def test_receipts_cannot_be_changed_or_deleted_and_one_that_is_under_way_goes_on(cast: Cast, person: EndUser) -> None:
    asked = erasing.request_erasure(person=person, by=cast.omar)
    with pytest.raises(Exception, match="being erased already"):
        erasing.request_erasure(person=person, by=cast.ada)
    Erasure.objects.filter(pk=asked.pk).update(removed={"events": 3})  # a worker that died half-way
    erase()
    assert Erasure.objects.get(pk=asked.pk).removed["events"] == 4
    for change in (lambda: Erasure.objects.update(removed={}), lambda: Erasure.objects.all().delete()):
        with pytest.raises((InternalError, IntegrityError)), transaction.atomic():
            change()
    erase(str(asked.pk))  # rung for twice: nothing is left to do
    assert AuditEntry.objects.filter(action="person.erased").count() == 1


def test_an_answer_under_way_is_broken_off_and_what_the_person_writes_later_is_somebody_new(
    cast: Cast, acme: Furnished, person: EndUser
) -> None:
    talk = Conversation.objects.filter(session__end_user=person).order_by("pk").last()
    assert talk is not None
    now = timezone.now()
    Turn.objects.create(
        org=person.org, conversation=talk, seq=99, status="queued", agent_version=acme.house.agent.current_version,
        accepted_at=now, answer_by=now + dt.timedelta(seconds=55), rung_at=now,
    )  # fmt: skip
    erasing.carry_out(erasing.request_erasure(person=person, by=None).pk)
    assert not Turn.objects.for_org(person.org).exists()
    EndUser.objects.create(org=person.org, external_id="u-1")
    assert EndUser.objects.for_org(person.org).get().pk != person.pk


def test_an_export_is_json_with_all_that_the_person_is_and_said(
    cast: Cast, acme: Furnished, person: EndUser, as_: Callable[[User], Client]
) -> None:
    answer = as_(cast.ada).get(EXPORT, {"person": person.pk})
    found = json.loads(b"".join(answer.streaming_content))
    assert found["person"]["email"] == "vera@visitor.example" and found["company"]["external_id"] == "c-1"
    assert [len(talk["messages"]) for talk in found["conversations"]] == [2, 2 * LARGE]
    assert found["conversations"][0]["messages"][0]["text"] == "Acme question 1"
    assert found["conversations"][0]["messages"][0]["images"][0]["media_type"] == "image/png"
    assert len(found["tickets"]) == 2 and len(found["events"]) == 1
    assert "sess_" not in json.dumps(found) and "Acme prompt" not in json.dumps(found)
    assert audited(person.org, "person.exported").actor == cast.ada


@pytest.mark.parametrize(("who", "status"), [("omar", 200), ("ada", 200), ("root", 200), ("sue", 403), ("ana", 403)])
def test_owners_and_admins_alone_erase_and_export(
    who: str, status: int, cast: Cast, person: EndUser, as_: Callable[[User], Client]
) -> None:
    browser, org = as_(getattr(cast, who)), str(person.org_id)
    assert browser.get(PAGE, {"org": org, "person": person.pk}).status_code == status
    assert browser.get(EXPORT, {"org": org, "person": person.pk}).status_code == status
    pressed = browser.post(f"{ERASE}?org={org}", {"person": str(person.pk)})
    assert pressed.status_code == (302 if status == 200 else 403)
    assert Erasure.objects.exists() == (status == 200)


def test_a_stranger_finds_nobody_of_others_and_foreign_and_unknown_are_the_same(
    cast: Cast, person: EndUser, as_: Callable[[User], Client]
) -> None:
    gus = as_(cast.gus)
    for key in (person.pk, nobody(), "x"):
        assert gus.get(PAGE, {"person": key}).status_code == 404
        assert gus.get(EXPORT, {"person": key}).status_code == 404
        assert gus.post(ERASE, {"person": str(key)}).status_code == 404
    for term in ("u-1", "vera", "Acme"):
        assert b"Nobody here" in gus.get(PAGE, {"q": term}).content
    assert person.email.encode() in as_(cast.omar).get(PAGE, {"q": "vera"}).content


def test_the_page_asks_first_and_finds_the_receipt_by_the_id_and_the_address(
    cast: Cast, person: EndUser, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.omar)
    assert b"Erase for good" not in browser.get(PAGE, {"person": person.pk}).content
    assert b"Erase for good" in browser.get(PAGE, {"person": person.pk, "erase": 1}).content
    assert b"being erased" in browser.post(ERASE, {"person": str(person.pk)}, follow=True).content
    erase()
    for term in ("u-1", "VERA@visitor.example"):
        page = browser.get(PAGE, {"q": term}).content.decode()
        assert "Nobody here" in page and "was erased on" in page, term
    assert "was erased on" not in browser.get(PAGE, {"q": "u-2"}).content.decode()


def test_people_whom_nobody_saw_are_forgotten_where_the_organisation_says_so(cast: Cast, acme: Furnished) -> None:
    now, org = timezone.now(), cast.acme.org
    EndUser.objects.create(org=org, external_id="old", last_seen=now - dt.timedelta(days=400))
    EndUser.objects.create(org=org, external_id="new", last_seen=now)
    EndUser.objects.update(last_seen=models.F("last_seen") - dt.timedelta(days=30))
    housekeeping.run(now=now)
    assert EndUser.objects.for_org(org).count() == 3
    type(org).objects.filter(pk=org.pk).update(retain_people_months=6)
    assert housekeeping.run(now=now)["people"] == 1
    # The visitor with a conversation stays, however long ago they were seen.
    EndUser.objects.filter(external_id="u-1").update(last_seen=now - dt.timedelta(days=3000))
    assert housekeeping.run(now=now)["people"] == 0
