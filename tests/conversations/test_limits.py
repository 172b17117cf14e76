"""Rate limits as visitors meet them."""

from __future__ import annotations

from typing import Any

from orgs.models import Organization
from tests.conversations.conftest import Visitor


def test_each_limit_refuses_with_a_retry_after_and_stores_nothing(visitor: Visitor, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "session=2,visitor=100,new=100,key=100"
    session = visitor.told()["session_id"]
    visitor.told(session_id=session)
    visitor.told(session_id=session)

    response = visitor.say(session_id=session)

    assert (response.status_code, response.json()["code"]) == (429, "rate_limited")
    assert 1 <= int(response["Retry-After"]) <= 120
    assert visitor.say().status_code == 200, "another session is not held up"


def test_new_sessions_are_limited_by_address_also_through_unusable_ids(visitor: Visitor, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "new=2"
    visitor.told()
    visitor.told(session_id="sess_invented")

    assert visitor.say().status_code == 429
    assert visitor.say(session_id="sess_invented_too").status_code == 429


def test_a_named_users_limit_is_the_users_wherever_they_write_from(visitor: Visitor, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "visitor=2"
    visitor.told(user_id="u1")
    visitor.told(user_id="u1")

    assert visitor.say(user_id="u1").status_code == 429
    assert visitor.say(user_id="u2").status_code == 200


def test_the_organisations_own_limit_for_its_keys_wins(
    visitor: Visitor, stranger: Visitor, acme: Organization, settings: Any
) -> None:
    settings.HALO_RATE_LIMITS = "key=600"
    Organization.objects.filter(pk=acme.pk).update(key_rate_limit=2)
    assert [visitor.say().status_code for _ in range(3)] == [200, 200, 429]
    assert stranger.say().status_code == 200


def test_forwarded_addresses_are_believed_only_behind_our_own_proxies(visitor: Visitor, settings: Any) -> None:
    settings.HALO_RATE_LIMITS = "new=1"
    assert visitor.say(headers={"X-Forwarded-For": "203.0.113.1"}).status_code == 200
    assert visitor.say(headers={"X-Forwarded-For": "203.0.113.2"}).status_code == 429

    settings.HALO_PROXIES = 1
    assert visitor.say(headers={"X-Forwarded-For": "203.0.113.3"}).status_code == 200
    assert visitor.say(headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.3"}).status_code == 429
    assert visitor.say(headers={"X-Forwarded-For": "203.0.113.3, 203.0.113.4"}).status_code == 200
