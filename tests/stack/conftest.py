"""One product for the tests of this folder, which has recovered from one before the next begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.product import Stack, running, until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _all_is_well(stack: Stack) -> None:
    """Each test begins with a product that has recovered from the one before."""
    stack.model.reset()
    until(stack.answers, seconds=30, what="all is well")
    stack.model.reset()
