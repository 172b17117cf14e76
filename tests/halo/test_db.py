"""Statements that turns run all the time: whose connection they take, and what becomes of it."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, connection, transaction

from halo import db
from orgs.models import Organization
from tests.cast import Cast

_RENAME = "UPDATE orgs_organization SET name = %(name)s WHERE id = %(org)s RETURNING name"


def _available() -> int:
    return int(connection.pool.get_stats()["pool_available"])  # type: ignore[attr-defined]


@pytest.fixture
def alone(transactional_db: None, cast: Cast) -> Organization:
    """Acme, and a thread that has no connection."""
    db.release_connection()
    return cast.acme.org


def test_a_thread_without_a_connection_has_none_afterwards(alone: Organization) -> None:
    available = _available()
    assert db.run("SELECT count(*) FROM orgs_organization WHERE id = %(org)s", {"org": alone.pk}) == [(1,)]
    assert connection.connection is None
    assert _available() == available


def test_a_mistake_is_one_of_djangos_and_takes_no_connection_along(alone: Organization) -> None:
    available = _available()
    for _ in range(20):
        with pytest.raises(ProgrammingError):
            db.run("SELECT nonsense", {})
    assert _available() == available


def test_what_is_written_is_there_at_once_however_the_connection_was_left(alone: Organization) -> None:
    for left in connection.pool._pool:  # type: ignore[attr-defined]
        left.autocommit = False
    db.run(_RENAME, {"name": "Anvils", "org": alone.pk})
    assert Organization.objects.get(pk=alone.pk).name == "Anvils"


def test_inside_a_transaction_it_is_part_of_that(alone: Organization) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Organization.objects.filter(pk=alone.pk).update(name="Anvils")
        assert db.run("SELECT name FROM orgs_organization WHERE id = %(org)s", {"org": alone.pk}) == [("Anvils",)]
        db.run(_RENAME, {"name": "Rockets", "org": alone.pk})
        raise ZeroDivisionError
    assert Organization.objects.get(pk=alone.pk).name == "Acme"
