"""What the tests of the staff pages share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from orgs.models import User
from tests.admin.furnished import Furnished, furnish
from tests.cast import Cast


@pytest.fixture
def acme(cast: Cast) -> Furnished:
    return furnish(cast.acme, cast.omar)


@pytest.fixture
def globex(cast: Cast) -> Furnished:
    return furnish(cast.globex, cast.gus)


@pytest.fixture
def as_(db: None) -> Callable[[User], Client]:
    """A browser of somebody who is logged in."""

    def browser(user: User) -> Client:
        fresh = Client()
        fresh.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return fresh

    return browser
