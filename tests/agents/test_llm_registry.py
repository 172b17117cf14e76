"""From an alias in the settings to a backend, and which key goes where."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from agents.llm.base import ModelError, ModelRequest
from agents.llm.extractive import ExtractiveBackend
from agents.llm.registry import get_backend
from tests.fake_model import FakeModel

ASKING = ModelRequest(messages=[{"role": "user", "content": "Hi"}], tools=[], question="Hi", excerpts=[])


@pytest.fixture
def house() -> Iterator[FakeModel]:
    """The installation's own model, configured as `openai`."""
    with FakeModel() as model, configured(model.base_url):
        yield model


def configured(base_url: str, hosts: list[str] | None = None) -> Any:
    get_backend.cache_clear()
    options = {"base_url": base_url, "api_key": "sk-house", "model": "house-model"}
    backends = {
        "openai": {"CLASS": "agents.llm.openai_backend.OpenAIBackend", "OPTIONS": options},
        "extractive": {"CLASS": "agents.llm.extractive.ExtractiveBackend"},
    }
    return override_settings(HALO_MODEL_BACKENDS=backends, HALO_MODEL_HOSTS=hosts or [])


def ask(**arguments: Any) -> None:
    get_backend("openai", **arguments).stream(ASKING, deadline=time.monotonic() + 10)


def test_the_installations_endpoint_key_and_model_are_the_default(house: FakeModel) -> None:
    ask()
    assert house.requests[0].headers["authorization"] == "Bearer sk-house"
    assert house.requests[0].body["model"] == "house-model"


def test_a_model_and_a_key_of_their_own_take_the_defaults_place(house: FakeModel) -> None:
    ask(api_key="sk-theirs", model="their-model")
    assert house.requests[0].headers["authorization"] == "Bearer sk-theirs"
    assert house.requests[0].body["model"] == "their-model"


def test_the_installations_key_is_never_sent_to_another_endpoint(house: FakeModel) -> None:
    with FakeModel() as other:
        ask(base_url=other.base_url)
        assert "sk-house" not in str(other.requests[0])
        ask(base_url=other.base_url, api_key="sk-theirs")
        assert other.requests[1].headers["authorization"] == "Bearer sk-theirs"
    assert house.requests == []


def test_an_organisations_own_endpoint_is_guarded(house: FakeModel) -> None:
    with FakeModel() as other:
        with pytest.raises(ModelError) as caught:
            ask(base_url=other.base_url, pinned_public=True)
        assert (caught.value.kind, other.requests) == ("rejected", [])


def test_a_host_in_the_settings_is_not_guarded() -> None:
    with FakeModel() as model, configured("http://house.invalid/v1", hosts=["127.0.0.1"]):
        ask(base_url=model.base_url, pinned_public=True)
        assert len(model.requests) == 1


def test_the_installations_endpoint_is_not_guarded_when_an_organisation_brings_only_a_key(house: FakeModel) -> None:
    ask(api_key="sk-theirs", pinned_public=True)
    assert len(house.requests) == 1


def test_a_backend_is_kept_for_the_same_arguments(house: FakeModel) -> None:
    assert get_backend("openai", model="a") is get_backend("openai", model="a")
    assert get_backend("openai", model="a") is not get_backend("openai", model="b")
    assert get_backend("openai", api_key="a") is not get_backend("openai", api_key="b")


def test_extractive_takes_no_endpoint_but_does_not_mind_one(house: FakeModel) -> None:
    assert isinstance(get_backend("extractive"), ExtractiveBackend)
    assert isinstance(get_backend("extractive", base_url="https://x.example", pinned_public=True), ExtractiveBackend)


def test_an_unknown_alias_is_rejected(house: FakeModel) -> None:
    with pytest.raises(ModelError) as caught:
        get_backend("telepathy")
    assert caught.value.kind == "rejected"


def test_openai_is_imported_only_by_who_calls_a_model(pytestconfig: pytest.Config) -> None:
    script = """
import sys
import agents.llm.base, agents.llm.calls, halo.outgoing.door, agents.llm.extractive, agents.llm.registry
assert not {"openai", "httpx2", "pydantic"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=pytestconfig.rootpath)
