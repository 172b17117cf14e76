"""One PostgreSQL and one Valkey a run, from `up`'s own launcher; one database of each an xdist worker.

HALO_TEST_DATABASE_URL and HALO_TEST_REDIS_URL name servers of your own instead. DATABASE_URL and REDIS_URL are never
looked at: tests must not find their way into an installation.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import django
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import TransactionTestCase
from pytest_django.plugin import DjangoDbBlocker

from halo.embedded.servers import throw_away_servers
from tests.migrated import make_template

_until_the_end = ExitStack()


def _start() -> None:
    """Servers, then settings that know them; an xdist worker finds its controller's in the environment."""
    if settings.configured:
        raise pytest.UsageError("The settings were loaded before the servers: DJANGO_SETTINGS_MODULE is set elsewhere.")
    given = os.environ.get("HALO_TEST_DATABASE_URL"), os.environ.get("HALO_TEST_REDIS_URL")
    if not all(given):
        endpoints = _until_the_end.enter_context(throw_away_servers())
        os.environ["HALO_TEST_DATABASE_URL"] = given[0] or endpoints.database_url
        os.environ["HALO_TEST_REDIS_URL"] = given[1] or endpoints.redis_url
        if not given[0]:
            # Before any test, whose time would run meanwhile.
            os.environ["HALO_TEST_TEMPLATE"] = make_template(endpoints)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 1
    data_dir = Path(_until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="halo-tests-")))
    for_settings = {
        "HALO_DATA_DIR": str(data_dir),
        "DATABASE_URL": os.environ["HALO_TEST_DATABASE_URL"],
        "REDIS_URL": f"{os.environ['HALO_TEST_REDIS_URL'].partition('?')[0]}?db={worker}",
        "DJANGO_SETTINGS_MODULE": "halo.settings",
    }
    os.environ.update(for_settings)
    django.setup()
    # Processes that tests start choose for themselves; and an xdist worker's settings wait for this file too.
    for name in for_settings:
        del os.environ[name]


# Here and not in a hook: pytest-django and the test modules want the settings right after this file was loaded.
_start()

from tests.cast import Cast, build_cast  # models need the settings
from tests.own_worker import own_worker, wait_for_rest


def pytest_unconfigure() -> None:
    _until_the_end.close()


# Slow hashing protects passwords, of which tests have none worth protecting; limits have tests of their own.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
settings.HALO_RATE_LIMITS = "off"


# Files that take minutes begin first: one that begins last leaves the other process with nothing to do.
SLOW = (
    "tests/guardrails/",
    "tests/widget/",
    "tests/faults/",
    "tests/stack/",
    "tests/halo/test_web_worker.py",
    "tests/halo/test_up.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((place for place, path in enumerate(SLOW) if item.nodeid.startswith(path)), len(SLOW))

    # Stable: within each rank the order stays the one that was drawn.
    items.sort(key=rank)


# What the migrations put there and no test changes.
KEPT_TABLES = {"django_migrations", "django_content_type", "auth_permission"}


def _truncate(self: TransactionTestCase) -> None:
    """Empties the database in one statement; Django's flush also makes every permission again, which takes ten times."""
    wait_for_rest()
    tables = sorted(set(connection.introspection.table_names()) - KEPT_TABLES)
    with connection.cursor() as cursor:
        for is_last in (False, False, True):
            try:
                cursor.execute(f"TRUNCATE {', '.join(tables)}")
                break
            except OperationalError:
                # The sweep, which never rests, held one of them and waited for another.
                if is_last:
                    raise


TransactionTestCase._fixture_teardown = _truncate  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Databases of tests are copies of a migrated one; on a server of your own they are migrated each by itself."""
    if name := os.environ.get("HALO_TEST_TEMPLATE"):
        connection.settings_dict["TEST"]["TEMPLATE"] = name


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """A throw-away server takes its databases with it; dropping one waits for every connection to it."""
    return "HALO_TEST_TEMPLATE" in os.environ


@pytest.fixture
def cast(db: None) -> Cast:
    """Acme and Globex with their people."""
    return build_cast()


@pytest.fixture(scope="session")
def worker(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A real Celery worker in this process; it and the sweep look at the database between tests too."""
    django_db_blocker.unblock()
    with own_worker():
        yield
