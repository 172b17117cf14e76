"""What an organisation's own tools read under /api/v1: with which key, what of it, and in which order."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.models import AnswerLabel, Conversation, Message, MessageImage, Ticket, Turn
from halo.ids import uuid7
from orgs import api_keys
from orgs.models import ApiKey, AuditEntry, Organization
from sessions.models import EndUser
from tests.admin.furnished import Furnished, add_conversation, furnish
from tests.cast import Cast

Read = Callable[..., Any]
ALL = ["conversations", "messages", "tickets"]


@pytest.fixture
def acme(cast: Cast) -> Furnished:
    return furnish(cast.acme, cast.omar)


@pytest.fixture
def read(cast: Cast) -> Read:
    """`GET /api/v1/<path>` with a key of Acme's that may read everything, or with another one."""
    _, plain = api_keys.create_api_key(org=cast.acme.org, label="All", scopes=ALL, by=None)
    client = Client(raise_request_exception=False)

    def get(path: str, *, key: str = plain, **query: Any) -> Any:
        return client.get(f"/api/v1/{path}", query, headers={"Authorization": f"Bearer {key}"} if key else {})

    return get


def age(org: Organization, *, seconds: int = 60) -> None:
    """Makes everything that old, as what has just been written is left out."""
    then = timezone.now() - dt.timedelta(seconds=seconds)
    for model in (Conversation, Ticket):
        model.objects.filter(org=org).update(updated_at=then)
    MessageImage.objects.filter(org=org).delete()
    for message in list(Message.objects.filter(org=org, created_at__gt=then).order_by("pk")):
        Message.objects.filter(pk=message.pk).delete()
        message.pk, message.created_at = uuid.UUID(int=message.pk.int - (seconds * 1000 << 80)), then
        message.save(force_insert=True)


def read_all(read: Read, path: str, **query: Any) -> list[dict[str, Any]]:
    rows, cursor = [], ""
    while True:
        page = read(path, **query, **({"cursor": cursor} if cursor else {})).json()
        rows += page["data"]
        if not page["more"]:
            return rows
        cursor = page["cursor"]


def test_records_hold_what_is_known_and_no_session_id(cast: Cast, acme: Furnished, read: Read) -> None:
    AnswerLabel.objects.create(org=cast.acme.org, turn=acme.turn, verdict="right", by="visitor")
    age(cast.acme.org)

    (conversation,) = read("conversations").json()["data"]
    asked, answered = read("messages").json()["data"]
    (ticket,) = read("tickets").json()["data"]

    row = acme.rows["conversations.conversation"]
    assert conversation["id"] == asked["conversation_id"] == ticket["conversation_id"] == str(row.pk)
    assert conversation["user"] == {"user_id": "u-1", "name": "Acme visitor", "email": ""} == ticket["user"]
    assert conversation["agent"]["name"] == "Acme assistant"
    assert (asked["author"], asked["text"], asked["answer"]) == ("visitor", "Acme question 1", None)
    assert answered["answer"]["confidence"] == 0.42 and answered["answer"]["rating"] == "up"
    assert answered["answer"]["citations"][0]["title"] == "Guide"
    assert (ticket["number"], ticket["subject"], ticket["team"]) == (1, "Acme trouble", "Acme billing")
    said = json.dumps([conversation, asked, answered, ticket])
    assert row.session.session_id not in said and "sess_" not in said


def test_every_key_that_opens_nothing_is_one_and_the_same_401(cast: Cast, acme: Furnished, read: Read) -> None:
    gone, revoked = api_keys.create_api_key(org=cast.acme.org, label="Old", scopes=ALL, by=None)
    api_keys.revoke_api_key(key=gone, by=None)
    ended, over = api_keys.create_api_key(org=cast.acme.org, label="Over", scopes=ALL, by=None)
    ApiKey.objects.filter(pk=ended.pk).update(expires_at=timezone.now())
    hashed = ApiKey.objects.get(pk=gone.pk).value_hash
    keys = ["", "x", "halo_read_x", revoked, over, hashed, cast.acme.key.value, cast.acme.secret_plain, "halo_read_é"]
    answers = {(got.status_code, got.json()["error"]) for got in (read("messages", key=key) for key in keys)}
    assert answers == {(401, "The API key is missing or not valid.")}
    assert read("messages").status_code == 200
    assert read("messages")["Cache-Control"] == "no-store" and "Access-Control-Allow-Origin" not in read("messages")


def test_a_key_reads_what_was_ticked_and_a_visitor_s_endpoints_know_it_not(cast: Cast, read: Read) -> None:
    for scope in ALL:
        _, plain = api_keys.create_api_key(org=cast.acme.org, label=scope, scopes=[scope], by=None)
        for path in ALL:
            assert read(path, key=plain).status_code == (200 if path == scope else 403), (scope, path)
        assert read(ALL[ALL.index(scope) - 1], key=plain).json()["code"] == "forbidden"
        sent = Client().post("/api/sdk/chat", {}, headers={"Authorization": f"Bearer {plain}"})
        assert sent.status_code == 401


def test_a_stranger_s_key_reads_its_own_organisation_only(cast: Cast, acme: Furnished, read: Read) -> None:
    _, plain = api_keys.create_api_key(org=cast.globex.org, label="Gus", scopes=ALL, by=None)
    age(cast.acme.org)
    for path in ALL:
        mine = read(path, limit=1).json()
        assert mine["data"] and read(path, key=plain).json() == {"data": [], "cursor": None, "more": False}
        # A cursor is a position and opens nothing.
        assert read(path, key=plain, cursor=mine["cursor"]).json()["data"] == []
    own = str(acme.rows["conversations.conversation"].pk)
    assert read("messages", key=plain, conversation_id=own).status_code == 404
    assert read("messages", key=plain, conversation_id=str(uuid7())).status_code == 404
    assert len(read("messages", conversation_id=own).json()["data"]) == 2


def test_pages_lead_through_everything_once_and_on_to_what_changes_later(cast: Cast, read: Read) -> None:
    person = EndUser.objects.create(org=cast.acme.org, external_id="u-9")
    made = [add_conversation(cast.acme, person, turns=2) for _ in range(5)]
    age(cast.acme.org)  # all of them at one and the same moment

    rows = read_all(read, "conversations", limit=2)
    assert sorted(row["id"] for row in rows) == sorted(str(row.pk) for row in made)
    said = read_all(read, "messages", limit=3)
    assert len({row["id"] for row in said}) == 20 and said == sorted(said, key=lambda row: row["id"])

    last = read("conversations", limit=500).json()
    assert last["more"] is False and read("conversations", cursor=last["cursor"]).json() == {
        "data": [], "cursor": last["cursor"], "more": False,
    }  # fmt: skip
    # Any change of a row brings it again: the database sees to it, whoever writes.
    before = Conversation.objects.get(pk=made[2].pk).updated_at
    Conversation.objects.filter(pk=made[2].pk).update(rating="down")
    assert Conversation.objects.get(pk=made[2].pk).updated_at > before
    assert read("conversations", cursor=last["cursor"]).json()["data"] == []  # it may have company yet
    Conversation.objects.filter(pk=made[2].pk).update(updated_at=timezone.now() - dt.timedelta(seconds=20))
    (again,) = read("conversations", cursor=last["cursor"]).json()["data"]
    assert (again["id"], again["rating"]) == (str(made[2].pk), "down")


def test_updated_since_leaves_out_what_is_older(cast: Cast, acme: Furnished, read: Read) -> None:
    age(cast.acme.org, seconds=7200)
    hour = timezone.now() - dt.timedelta(hours=1)
    for path in ALL:
        assert read(path, updated_since=hour.isoformat()).json()["data"] == [], path
        assert read(path, updated_since=(hour - dt.timedelta(hours=2)).isoformat()).json()["data"], path
        assert read(path, updated_since="2020-01-01").json()["data"], path


def test_what_makes_no_sense_is_a_400_that_names_the_parameter(cast: Cast, read: Read) -> None:
    for name, value in (
        ("limit", "0"), ("limit", "501"), ("limit", "x"), ("limit", "-1"), ("limit", "٣"), ("cursor", "x"),
        ("cursor", "é"), ("cursor", "\x00"), ("cursor", "Zm9v"), ("updated_since", "yesterday"),
        ("updated_since", "\x00"), ("since", "2026-01-01"), ("org", str(cast.globex.org.pk)),
        ("conversation_id", "x"), ("conversation_id", str(uuid7())),
    ):  # fmt: skip
        for path in ("conversations", "tickets"):
            answer = read(path, **{name: value})
            assert (answer.status_code, answer.json()["field"]) == (400, name), (path, name, value)
    assert read("messages", conversation_id="\x00").status_code == 400
    assert read("conversations", limit=["1", "2"]).json()["field"] == "limit"
    assert read("conversations", limit="500").status_code == 200


def test_only_the_hash_of_a_key_is_stored_and_its_use_is_in_the_audit_once_an_hour(cast: Cast, read: Read) -> None:
    key, plain = api_keys.create_api_key(org=cast.acme.org, label="BI", scopes=["tickets"], by=cast.omar)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(k)::text FROM orgs_apikey AS k WHERE id = %s", [key.pk])
        (stored,) = cursor.fetchone()
    assert plain not in stored and hashlib.sha256(plain.encode()).hexdigest() in stored

    for _ in range(3):
        assert read("tickets", key=plain).status_code == 200
    used = AuditEntry.objects.filter(org=cast.acme.org, action="api_key.used", target_id=str(key.pk))
    assert used.count() == 1 and used.get().address == "127.0.0.1"
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now() - dt.timedelta(hours=2))
    assert read("tickets", key=plain).status_code == 200
    assert used.count() == 2
    assert not any(plain in str((row.before, row.after)) for row in AuditEntry.objects.all())


def test_a_key_is_limited_by_itself(cast: Cast, read: Read, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "key=3"
    _, other = api_keys.create_api_key(org=cast.acme.org, label="Other", scopes=ALL, by=None)
    assert [read("tickets").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert int(read("tickets")["Retry-After"]) >= 1
    assert read("tickets", key=other).status_code == 200


def test_many_rows_cost_no_more_queries_than_one(cast: Cast, acme: Furnished, read: Read) -> None:
    age(cast.acme.org)
    read("messages")

    def cost(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert read(path).json()["data"]
        return len(seen)

    before = {path: cost(path) for path in ALL}
    person = EndUser.objects.get(org=cast.acme.org)
    for _ in range(10):
        add_conversation(cast.acme, person, turns=2)
    assert Turn.objects.filter(org=cast.acme.org).count() == 21
    age(cast.acme.org)
    # The key, the clock, the rows; and for messages the thumbs.
    assert {path: cost(path) for path in ALL} == before == {"conversations": 3, "messages": 4, "tickets": 3}
