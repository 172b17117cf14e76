"""The bundled model: vectors that mean something, from as many threads as like."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from agents.knowledge import embedding
from agents.knowledge.embedding import embed
from halo.errors import Unavailable

TEXTS = ["How do I get a new password?", "Resetting your login", "Opening hours of our shop", "", "x" * 5000, "日本語"]


def test_vectors_are_384_floats_of_length_one() -> None:
    vectors = embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 384), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_what_means_the_same_is_closer() -> None:
    question, same, other, *_ = embed(TEXTS)
    assert question @ same > question @ other + 0.2


def test_a_text_has_the_same_vector_alone_and_among_others() -> None:
    together = embed(TEXTS * 20)
    assert np.allclose(together[: len(TEXTS)], np.concatenate([embed([text]) for text in TEXTS]), atol=1e-5)


def test_nothing_gives_no_vectors() -> None:
    assert embed([]).shape == (0, 384)


def test_a_hundred_threads_may_embed_at_once() -> None:
    with ThreadPoolExecutor(100) as threads:
        results = list(threads.map(lambda number: embed([TEXTS[number % 3]]), range(200)))
    assert all(np.allclose(result, results[number % 3]) for number, result in enumerate(results))


@pytest.fixture
def another_model_expected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(embedding, "MODEL_SHA256", "0" * 64)
    embedding._load.cache_clear()
    yield
    embedding._load.cache_clear()


@pytest.mark.usefixtures("another_model_expected")
def test_a_model_file_that_is_not_the_pinned_one_is_refused() -> None:
    with pytest.raises(Unavailable, match="not the one"):
        embed(["anything"])
