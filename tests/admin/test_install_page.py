"""The install page: the snippet, the samples, and what it says of what arrives."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.install.looking import WHY, look
from conversations.install.samples import LANGUAGES, samples
from halo import wire
from orgs import traffic
from orgs.models import AuditEntry, Organization, User, WidgetKey
from orgs.services import change_widget_key, create_widget_key, revoke_identity_secret, revoke_widget_key
from tests.cast import Cast, House
from tests.widget.hostile import SCRIPTS

URL, STATE = "/admin/install/", "/admin/install/state/"
As = Callable[[User], Client]


@pytest.fixture(autouse=True)
def redis_is_there() -> Iterator[None]:
    wire.mark_back()
    yield
    wire.mark_back()


def arrive(house: House, *, key: str = "", user: str = "", token: Any = None, **headers: str) -> Any:
    """What a website sends: who its visitor is, or what somebody did where nobody is named."""
    body: dict[str, Any] = {"events": [{"event_type": "x"}]}
    if user:
        body |= {"user_id": user} | ({"user_token": token} if token else {})
    return Client(raise_request_exception=False).post(
        "/api/sdk/events",
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key or house.key.value}", **headers},
    )


def sign(house: House, user: str = "u1", *, secret: str = "", **claims: Any) -> str:
    return jwt.encode({"user_id": user, **claims}, secret or house.secret_plain, algorithm="HS256")


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


@pytest.mark.parametrize("person", ["omar", "ada", "sue", "ana", "gus", "root"])
def test_who_may_manage_widget_keys_sees_it(person: str, cast: Cast, as_: As) -> None:
    browser, org = as_(getattr(cast, person)), {"org": cast.acme.org.pk}
    expected = {"ana": 403, "gus": 404}.get(person, 200)
    for url in (URL, STATE):
        assert browser.get(url, org).status_code == expected, url
        assert browser.post(url).status_code == 405
    assert (URL.encode() in browser.get("/admin/").content) == (person != "ana")
    # A superuser's reading of a foreign organisation is written down once, not with every look at the state.
    assert AuditEntry.objects.filter(action="operator.read", after__page="install").count() == (person == "root")


def test_the_snippet_has_the_organisation_and_a_key_that_works(cast: Cast, as_: As) -> None:
    shop = create_widget_key(org=cast.acme.org, label="Shop", origins=["https://shop.example"], by=None)
    browser = as_(cast.sue)

    def snippet(**query: Any) -> str:
        page = browser.get(URL, query).content.decode()
        return re.search(r'id="halo-snippet">(.*?)</code>', page, re.S)[1].replace("&quot;", '"')  # type: ignore[index]

    assert "http://testserver/widget.js" in snippet()
    assert f'orgId: "{cast.acme.org.pk}"' in snippet() and f'apiKey: "{shop.value}"' in snippet()  # the newest
    assert cast.acme.key.value in snippet(key=cast.acme.key.pk)
    assert "https://shop.example and from nowhere else" in text_of(browser.get(URL))
    for key in (cast.globex.key.pk, 999_999, "x"):
        assert browser.get(URL, {"key": key}).status_code == 404
    for key in WidgetKey.objects.filter(org=cast.acme.org):
        revoke_widget_key(key=key, by=None)
    page = browser.get(URL)
    assert "no widget key that works" in text_of(page) and b"ab_live_" not in page.content
    add = re.search(r'href="(/admin/orgs/widgetkey/add/[^"]+)"', page.content.decode())
    assert add and browser.get(add[1]).status_code == 200


def test_the_samples_are_those_of_the_documents_and_no_secret_is_shown(cast: Cast, as_: As) -> None:
    page = as_(cast.omar).get(URL).content.decode()

    assert tuple(sample.language for sample in samples()) == LANGUAGES
    for sample in samples():
        assert "user_id" in sample.code and "HS256" in sample.code
        assert f'id="halo-code-{sample.slug}"' in page
    assert cast.acme.secret_plain not in page and cast.acme.secret.hint in page
    assert cast.acme.secret.hint not in as_(cast.sue).get(URL).content.decode()


def test_it_says_what_the_switch_means_and_warns_where_nobody_can_prove_anything(cast: Cast, as_: As) -> None:
    browser = as_(cast.omar)
    assert "Verification is off" in text_of(browser.get(URL))
    Organization.objects.filter(pk=cast.acme.org.pk).update(verify_identity=True)
    revoke_identity_secret(secret=cast.acme.secret, by=None)
    page = text_of(browser.get(URL))
    assert "Verification is on" in page and "every request that names a user is refused" in page


def test_before_anything_has_come_it_says_what_to_do_and_then_what_came(cast: Cast, as_: As) -> None:
    browser = as_(cast.omar)
    assert "Nothing has arrived yet" in text_of(browser.get(STATE)) and "Paste the snippet" in text_of(
        browser.get(STATE)
    )

    Client().get("/api/sdk/config", {"org_id": cast.acme.org.pk}, headers={"Referer": "https://shop.example/lamps?t=1"})
    loaded = text_of(browser.get(STATE))
    assert "loaded on https://shop.example/lamps just now, and has sent nothing yet" in loaded and "t=1" not in loaded

    assert arrive(cast.acme, Origin="https://shop.example").status_code == 200
    works = text_of(browser.get(STATE))
    assert "It works: a request came from https://shop.example with the key “Acme website” just now." in works
    assert "allowed, as the key has no list" in works
    # Another organisation's staff see nothing of it.
    assert "Nothing has arrived yet" in text_of(as_(cast.gus).get(STATE))


def test_a_refused_origin_and_an_ended_key_are_told_with_what_to_do(cast: Cast, as_: As) -> None:
    browser = as_(cast.sue)
    change_widget_key(key=cast.acme.key, label="Web", origins=["https://shop.example"], by=None)
    assert arrive(cast.acme, Origin="https://shop.example").status_code == 200
    assert arrive(cast.acme, Origin="https://evil.example").status_code == 401
    refused = text_of(browser.get(STATE))
    assert "from https://evil.example was refused just now: that origin is not on the list of the key “Web”" in refused
    assert "https://shop.example on the key's list" in refused
    assert "https://evil.example refused: not on the key's list" in refused

    revoke_widget_key(key=cast.acme.key, by=None)
    assert arrive(cast.acme, Origin="https://shop.example").status_code == 401
    assert "its key “Web” was revoked, or its time is over" in text_of(browser.get(STATE))


def test_the_share_of_verified_requests_is_of_those_that_named_somebody(cast: Cast, as_: As) -> None:
    browser = as_(cast.omar)
    for _ in range(3):
        assert arrive(cast.acme, user="u1", token=sign(cast.acme)).status_code == 200
    assert arrive(cast.acme, user="u1").status_code == 200
    assert arrive(cast.acme).status_code == 200

    page = text_of(browser.get(STATE))
    assert "Last 24 hours 75 %" in page and "Last hour 75 %" in page
    assert "Because it named a user and brought no token" in page


def test_every_flaw_of_a_token_has_a_sentence_for_staff_and_none_for_the_visitor(cast: Cast, as_: As) -> None:
    Organization.objects.filter(pk=cast.acme.org.pk).update(verify_identity=True)
    house, now, browser = cast.acme, int(time.time()), as_(cast.omar)
    flaws = {
        "missing": None,
        "signature": sign(house, secret="another secret that is long enough to be one"),
        "expired": sign(house, exp=now - 600),
        "early": sign(house, nbf=now + 600),
        "algorithm": jwt.encode({"user_id": "u1"}, house.secret_plain, algorithm="HS512"),
        "nobody": jwt.encode({"name": "Ana"}, house.secret_plain, algorithm="HS256"),
        "somebody_else": sign(house, "u2"),
        "scope": sign(house, scope="users.update"),
        "broken": "not.a.token",
    }
    answers = set()
    for why, token in flaws.items():
        answer = arrive(house, user="u1", token=token)
        answers.add((answer.status_code, answer.json()["error"]))
        assert f"Because {WHY[why]}" in text_of(browser.get(STATE)), why
    revoke_identity_secret(secret=house.secret, by=None)
    answers.add((arrive(house, user="u1", token=sign(house)).status_code, answer.json()["error"]))
    assert f"Because {WHY['no_secret']}" in text_of(browser.get(STATE))
    assert answers == {(403, "The user's identity could not be verified.")}
    assert set(flaws) | {"no_secret"} == set(WHY)


def test_a_stranger_can_neither_write_into_the_page_nor_fill_it(cast: Cast, as_: As) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    for header in (
        {"Origin": evil},
        {"Referer": f"https://x.example/{evil}"},
        {"Origin": f"https://{'a' * 5000}.example"},
    ):
        assert arrive(cast.acme, **header).status_code == 200

    def came(**headers: str) -> None:
        request = RequestFactory().post("/api/sdk/events", headers=headers)
        traffic.saw_request(cast.acme.org.pk, request, key_id=cast.acme.key.pk, seen=traffic.Seen.ALLOWED)

    for payload in SCRIPTS:
        came(Origin=payload, Referer=f"https://x.example/{payload}")
        shown = render_to_string("admin/halo/install_state.html", {"look": look(cast.acme.org, now=time.time())})
        assert not re.search(r"<(script|img|svg|iframe|a|style|form|body|input|details)\b", shown), payload
    for number in range(60):
        came(Origin=f"https://s{number}.example")
    browser = as_(cast.omar)
    page = browser.get(STATE).content.decode()

    assert "<img" not in page and "a" * 200 not in page and "s59.example" in page
    assert page.count('<th scope="row">https://s') == traffic.MOST_ORIGINS
    with wire.calling() as client:
        kept = list(client.scan_iter(f"halo:traffic:{cast.acme.org.pk}:*"))
        assert len(kept) <= 5 and all(0 < client.ttl(key) <= traffic.KEPT_SECONDS for key in kept)
        assert sum(client.memory_usage(key) or 0 for key in kept) < 20_000


def test_what_was_noted_while_redis_was_away_is_not_lost_and_the_page_says_that_it_is_away(cast: Cast, as_: As) -> None:
    browser = as_(cast.omar)
    wire.mark_away()
    assert arrive(cast.acme, Origin="https://shop.example").status_code == 200
    assert "Redis does not answer" in text_of(browser.get(STATE))
    wire.mark_back()
    assert "It works" in text_of(browser.get(STATE))


def test_many_keys_cost_no_more_queries_than_one(cast: Cast, as_: As) -> None:
    browser = as_(cast.omar)
    browser.get(URL)

    def cost() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(URL).status_code == 200
        return len(seen)

    one = cost()
    for number in range(20):
        create_widget_key(org=cast.acme.org, label=f"Key {number}", by=None)
    assert cost() == one <= 20
    WidgetKey.objects.filter(org=cast.acme.org).update(expires_at=timezone.now())
    assert browser.get(URL).status_code == 200
