"""Chat over HTTP with a real worker in a thread and a fake model at the HTTP border."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from django.test import Client

from conversations import admission, processes
from halo import wire
from orgs.models import Organization, User
from tests.cast import Cast
from tests.conversations.receiver import Receiver
from tests.fake_model import FakeModel

# What an order of steps breaks is told as a test tells it.
pytest.register_assert_rewrite("tests.conversations.stage")


_streams: list[Any] = []


class _Browser(Client):
    """Remembers the streams it opened: one that nobody closes holds a thread's place as long as its process lives."""

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        if response.streaming:
            _streams.append(response)
        return response


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while _streams:
        _streams.pop().close()
    # A request of another thread may still be ending. One that never gives its place back fails here, and not whatever
    # test comes later to a process with few of them.
    ends_at = time.monotonic() + 5
    while admission.doorman.held and time.monotonic() < ends_at:
        time.sleep(0.01)
    assert not admission.doorman.held, "a place for a thread was never given back"


class Visitor:
    """A client of the SDK API that holds one widget key."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.client = _Browser(raise_request_exception=False)

    def post(self, data: bytes | str, content_type: str = "application/json", **headers: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        # `generic` sends the bytes as they are, whatever the content type claims.
        return self.client.generic("POST", "/api/sdk/chat", data, content_type=content_type, headers=headers)

    def say(self, message: Any = "Hello", *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return self.post(json.dumps({"message": message, **body}), **(headers or {}))

    def stream(self, message: Any = "Hello", *, accept: str = "text/event-stream", **kwargs: Any) -> Any:
        """The answer to `POST /chat/stream`, whose `streaming_content` is read by whoever wants it."""
        headers = {"Authorization": f"Bearer {self.key}", "Accept": accept, **(kwargs.pop("headers", None) or {})}
        body = json.dumps({"message": message, **kwargs})
        return self.client.generic(
            "POST", "/api/sdk/chat/stream", body, content_type="application/json", headers=headers
        )

    def read(self, path: str, *, session_id: str = "", token: str = "", **headers: str) -> Any:
        """`GET /chat/turns/...` as whoever holds the session."""
        named = {"X-Session-Id": session_id, "X-User-Token": token} | headers
        sent = {"Authorization": f"Bearer {self.key}"} | {name: value for name, value in named.items() if value}
        return self.client.get(f"/api/sdk/chat/turns/{path}", headers=sent)

    def fetch(self, path: str, *, token: str = "", **headers: str) -> Any:
        """`GET /api/sdk/<path>`."""
        named = {"Authorization": f"Bearer {self.key}", "X-User-Token": token} | headers
        return self.client.get(f"/api/sdk/{path}", headers={name: value for name, value in named.items() if value})

    def send(self, path: str, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """`POST /api/sdk/<path>`."""
        sent = {"Authorization": f"Bearer {self.key}", **(headers or {})}
        return self.client.generic(
            "POST", f"/api/sdk/{path}", json.dumps(body), content_type="application/json", headers=sent
        )

    def told(self, message: Any = "Hello", **kwargs: Any) -> dict[str, Any]:
        """The body of an answer that must be a 200."""
        response = self.say(message, **kwargs)
        assert response.status_code == 200, response.content
        return response.json()


@pytest.fixture(scope="session")
def model() -> Iterator[FakeModel]:
    with FakeModel() as model:
        yield model


@pytest.fixture
def acme(transactional_db: None, cast: Cast, worker: None, model: FakeModel) -> Organization:
    """Acme, whose agent asks the fake model."""
    wire.mark_back()
    model.reset()
    org = cast.acme.org
    Organization.objects.filter(pk=org.pk).update(
        model_backend="openai", model_base_url=model.base_url, model_name="fake", model_url_trusted=True
    )
    org.refresh_from_db()
    assert processes.current_id() is not None
    return org


@pytest.fixture
def visitor(acme: Organization, cast: Cast) -> Visitor:
    return Visitor(cast.acme.key.value)


@pytest.fixture
def guest(cast: Cast) -> Visitor:
    """A visitor who is turned away: no worker is there, and nothing that is stored outlives the test."""
    return Visitor(cast.acme.key.value)


@pytest.fixture
def stranger(acme: Organization, cast: Cast) -> Visitor:
    """A visitor of Globex, whose agent asks the same fake model."""
    Organization.objects.filter(pk=cast.globex.org.pk).update(
        model_backend="openai", model_base_url=acme.model_base_url, model_name="fake", model_url_trusted=True
    )
    return Visitor(cast.globex.key.value)


@pytest.fixture
def verifying(acme: Organization) -> Organization:
    """Acme with identity verification on."""
    Organization.objects.filter(pk=acme.pk).update(verify_identity=True)
    acme.refresh_from_db()
    return acme


@pytest.fixture
def token(cast: Cast) -> Callable[..., str]:
    """Signs identity tokens as Acme's server does."""

    def sign(user_id: Any = "u1", *, secret: str | None = None, headers: Any = None, **claims: Any) -> str:
        named = {} if user_id is None else {"user_id": user_id}
        return jwt.encode({**named, **claims}, secret or cast.acme.secret_plain, algorithm="HS256", headers=headers)

    return sign


@pytest.fixture
def prompt_of(model: FakeModel) -> Callable[[], str]:
    """The system message that the model was given last."""

    def read() -> str:
        messages = model.requests[-1].messages
        assert messages[0]["role"] == "system"
        return str(messages[0]["content"])

    return read


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.HALO_OUTGOING_HOSTS = ["127.0.0.1"]
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def as_(db: None) -> Callable[[User], Client]:
    """The browser of somebody who has logged in."""

    def browser(user: User) -> Client:
        fresh = Client()
        fresh.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return fresh

    return browser


@pytest.fixture
def ana(cast: Cast, as_: Callable[[User], Client]) -> Client:
    """The browser of Acme's analyst."""
    return as_(cast.ana)
