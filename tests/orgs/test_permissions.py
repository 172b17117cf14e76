"""The table of roles, cell by cell, as docs and specification print it."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from orgs.models import User
from orgs.permissions import MAY, Action, may, may_somewhere, org_ids, orgs_of
from tests.cast import Cast

TABLE = """
change settings, verification, retention and budget           omar  -    -    -
see the organisation's settings and members                   omar  ada  -    -
add, change and remove members                                omar  ada  -    -
add, change and remove owners                                 omar  -    -    -
see and manage widget keys                                    omar  ada  sue  -
manage identity secrets, API keys and webhooks                omar  ada  -    -
edit and publish agents, knowledge, tools, routing and teams  omar  ada  sue  -
see agents, knowledge, tools, routing and teams               omar  ada  sue  ana
read transcripts, analytics, labels and traces                omar  ada  sue  ana
export                                                        omar  ada  -    ana
take over, reply, and work on tickets                         omar  ada  sue  -
write notes                                                   omar  ada  sue  ana
see end users and companies                                   omar  ada  sue  ana
edit end users and companies                                  omar  ada  sue  -
erase and export a person                                     omar  ada  -    -
read the audit log                                            omar  ada  -    -
make organisations and manage everybody's accounts            -     -    -    -
"""


def rows() -> dict[Action, set[str]]:
    found = {}
    for line in TABLE.strip().splitlines():
        *words, omar, ada, sue, ana = line.split()
        found[Action(" ".join(words))] = {omar, ada, sue, ana} - {"-"}
    return found


def test_each_role_may_what_the_table_says_and_a_superuser_everything(cast: Cast) -> None:
    table = rows()
    assert set(table) == set(Action) == set(MAY)
    for action, people in table.items():
        for person in ("omar", "ada", "sue", "ana"):
            assert may(getattr(cast, person), action, cast.acme.org) == (person in people), (action, person)
        assert may(cast.root, action, cast.acme.org)


def test_a_stranger_may_nothing_and_everything_at_home(cast: Cast) -> None:
    for action in set(Action) - {Action.RUN_INSTALLATION}:
        assert not may(cast.gus, action, cast.acme.org)
        assert may(cast.gus, action, cast.globex.org)


def test_outside_every_organisation_only_superusers_may_anything(cast: Cast) -> None:
    assert not may(cast.omar, Action.READ_AUDIT, None)
    assert may(cast.root, Action.READ_AUDIT, None)


def test_a_deactivated_person_may_nothing(cast: Cast) -> None:
    cast.omar.is_active = cast.root.is_active = False
    for person in (cast.omar, cast.root):
        assert not may(person, Action.SEE_BUILD, cast.acme.org)
        assert not may_somewhere(person, Action.SEE_BUILD)
        assert not orgs_of(person).exists()


def test_memberships_are_one_query_a_request(cast: Cast) -> None:
    omar = User.objects.get(pk=cast.omar.pk)
    with CaptureQueriesContext(connection) as queries:
        for action in Action:
            may(omar, action, cast.acme.org)
            may_somewhere(omar, action)
            org_ids(omar, action)
    assert len(queries) == 1


def test_people_see_the_organisations_that_are_theirs(cast: Cast) -> None:
    assert list(orgs_of(cast.ana)) == [cast.acme.org]
    assert list(orgs_of(cast.ana, Action.READ_AUDIT)) == []
    assert set(orgs_of(cast.root)) == {cast.acme.org, cast.globex.org}
