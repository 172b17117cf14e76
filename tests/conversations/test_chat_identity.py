"""Who the visitor is: tokens, attacks on them, trusted claims, companies, and what may be seen of them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.utils import timezone

from agents.models import RoutingRule
from conversations.models import Conversation, Message, Turn
from halo.errors import IdentityFailed
from orgs.models import IdentitySecret, Organization, Team
from orgs.services import rotate_identity_secret
from sessions import identity
from sessions.models import ChatSession, Company, EndUser
from tests.cast import Cast
from tests.conversations.conftest import Visitor

Sign = Callable[..., str]
Prompt = Callable[[], str]


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def handmade(secret: str, payload: bytes, header: Any = None) -> str:
    """A correctly signed token whose payload PyJWT would refuse to write."""
    head = f"{b64(header or {'alg': 'HS256', 'typ': 'JWT'})}.{b64(payload)}"
    return f"{head}.{b64(hmac.new(secret.encode(), head.encode(), hashlib.sha256).digest())}"


def test_a_valid_token_makes_a_verified_turn(visitor: Visitor, verifying: Organization, token: Sign) -> None:
    visitor.told(user_id="u1", user_token=token())

    assert Turn.objects.get().verified
    assert Conversation.objects.get().verified
    assert ChatSession.objects.get().end_user == EndUser.objects.get(external_id="u1")


def test_sub_stands_in_for_a_missing_user_id_claim(visitor: Visitor, verifying: Organization, token: Sign) -> None:
    assert visitor.told(user_id="u1", user_token=token(None, sub="u1"))["text"]
    assert visitor.say(user_id="u1", user_token=token("u2", sub="u1")).status_code == 403
    assert visitor.told(user_id="u1", user_token=token("u1", sub=5))["text"]


def test_every_flaw_of_a_token_is_one_and_the_same_403(guest: Visitor, cast: Cast, token: Sign) -> None:
    org = cast.acme.org
    Organization.objects.filter(pk=org.pk).update(verify_identity=True)
    now = int(time.time())
    secret = cast.acme.secret_plain
    good = token()
    head, body, signature = good.split(".")
    flawed: list[Any] = [
        None, "", " ", "x", "a.b.c", "...", good[:-2], good + "x", f"{head}.{body}.", f"{head}.{body}",
        good + "x" * 17_000,
        token(secret="another secret that is long enough to be one"),
        token(secret=cast.globex.secret_plain),
        jwt.encode({"user_id": "u1"}, secret, algorithm="HS512"),
        jwt.encode({"user_id": "u1"}, "", algorithm="none"),
        f"{b64({'alg': 'none'})}.{body}.",
        f"{b64({'alg': 'NONE'})}.{body}.",
        f"{b64({'alg': ['HS256']})}.{body}.{signature}",
        f"{b64({'alg': None})}.{body}.{signature}",
        f"{b64([])}.{body}.{signature}",
        token("u2"), token("U1"), token("u1 "), token(1), token(True), token(["u1"]), token({"a": 1}), token(""),
        token(None), token(None, sub="u2"), token(None, sub=["u1"]),
        token(exp=now - 65), token(exp="soon"), token(nbf=now + 120), token(iat=now + 120), token(iat="x"),
        token(nbf=[1]), token(exp={}),
        token(headers={"crit": ["exp"]}), token(headers={"crit": []}), token(headers={"b64": False}),
        token(scope="users.update"),
        handmade(secret, b"[]"), handmade(secret, b"null"), handmade(secret, b"{"), handmade(secret, b'"u1"'),
        handmade(secret, b'{"user_id": "u1", "n": NaN}'),
        handmade(secret, b'{"user_id": "u1", "n": 1e999}'),
        handmade(secret, b'{"user_id": "u1", "a\\u0000": 1}'),
        handmade(secret, b'{"user_id": "u1", "k": {"\\ud800": 1}}'),
        handmade(secret, b'{"user_id": "\xff"}'),
        handmade(secret, b'{"user_id": "u1", "k": ' + b"[" * 3000 + b"]" * 3000 + b"}"),
        handmade(secret, b'{"user_id": "u1", "k": ' + b"[" * 30 + b"]" * 30 + b"}"),
        handmade(secret, b'{"user_id": "u1", "exp": ' + b"9" * 5000 + b"}"),
        "\u00e9.\u00e9.\u00e9",
    ]  # fmt: skip

    def outcome(value: Any) -> str:
        try:
            identity.verify_identity(org=org, token=value or "", user_id="u1", now=timezone.now())
        except IdentityFailed:
            return "refused"
        return "taken"

    assert [value for value in flawed if outcome(value) == "taken"] == []
    answers = {
        (response.status_code, response.json()["error"], response.json()["code"])
        for response in (guest.say(user_id="u1", user_token=value) for value in flawed)
    }
    assert answers == {(403, "The user's identity could not be verified.", "identity_failed")}
    assert not Message.objects.exists() and not EndUser.objects.filter(external_id="u1").exists()


def test_clocks_may_differ_by_a_minute_and_aud_and_iss_are_the_customers_own(
    visitor: Visitor, verifying: Organization, token: Sign
) -> None:
    now = int(time.time())
    for claims in (
        {"exp": now - 20},
        {"nbf": now + 50},
        {"iat": now + 50},
        {"aud": "their-app", "iss": "them", "iat": now + 1},
        {"aud": ["a", "b"], "exp": now + 60},
        {"jti": 5},
    ):
        assert visitor.say(user_id="u1", user_token=token(**claims)).status_code == 200, claims


@pytest.mark.parametrize("headers", [{"kid": "../../etc/passwd"}, {"kid": "1"}, {"jku": "https://evil.example/k"},
                                     {"x5u": "https://evil.example/k"}, {"jwk": {"kty": "oct", "k": "eA"}}])  # fmt: skip
def test_keys_that_a_header_names_are_never_followed(
    visitor: Visitor, verifying: Organization, token: Sign, headers: dict[str, Any]
) -> None:
    assert visitor.say(user_id="u1", user_token=token(headers=headers)).status_code == 200
    assert visitor.say(user_id="u1", user_token=token(headers=headers, secret="x" * 40)).status_code == 403


def test_anonymous_requests_pass_and_a_token_beside_them_is_ignored(
    visitor: Visitor, verifying: Organization, token: Sign
) -> None:
    for user_id in (None, "", "anonymous"):
        assert visitor.told(user_id=user_id, user_token="nonsense")["text"]
    assert visitor.say(user_id="Anonymous").status_code == 403
    assert not EndUser.objects.exists()
    assert not Turn.objects.filter(verified=True).exists()


def test_without_verification_a_bad_token_only_leaves_the_turn_unverified(visitor: Visitor, token: Sign) -> None:
    visitor.told(user_id="u1", user_token="nonsense")
    visitor.told(user_id="u1")
    assert not Turn.objects.filter(verified=True).exists()

    visitor.told(user_id="u1", user_token=token())
    assert Turn.objects.filter(verified=True).count() == 1


def test_both_active_secrets_sign_until_the_grace_time_of_the_old_one_is_over(
    visitor: Visitor, verifying: Organization, cast: Cast, token: Sign
) -> None:
    _, new = rotate_identity_secret(org=verifying, grace=dt.timedelta(hours=1), by=cast.omar)

    assert visitor.say(user_id="u1", user_token=token()).status_code == 200
    assert visitor.say(user_id="u1", user_token=token(secret=new)).status_code == 200

    IdentitySecret.objects.filter(expires_at__isnull=False).update(expires_at=timezone.now())
    assert visitor.say(user_id="u1", user_token=token()).status_code == 403
    assert visitor.say(user_id="u1", user_token=token(secret=new)).status_code == 200


def test_trusted_claims_win_over_custom_fields_and_stored_traits_and_are_stored(
    visitor: Visitor, verifying: Organization, token: Sign, prompt_of: Prompt
) -> None:
    EndUser.objects.create(org=verifying, external_id="u1", name="Old", custom_fields={"plan": "old", "seats": 3})

    visitor.told(
        user_id="u1",
        user_token=token(email="ana@example.com", plan="gold", role="buyer", exp=int(time.time()) + 60),
        custom_fields={"plan": "forged", "seats": 5, "page": "/cart"},
    )

    assert "[User Profile]\n" in prompt_of()
    for line in ("Name: Old", "Email: ana@example.com", "Plan: gold", "Seats: 5", "Page: /cart", "Role: buyer"):
        assert f"\n{line}\n" in prompt_of() + "\n"
    for absent in ("forged", "Exp:", "User id"):
        assert absent not in prompt_of()
    user = EndUser.objects.get(external_id="u1")
    assert (user.email, user.email_verified, user.custom_fields) == (
        "ana@example.com",
        True,
        {"plan": "gold", "seats": 3, "role": "buyer"},
    )


def test_claims_need_no_stored_user(visitor: Visitor, verifying: Organization, token: Sign, prompt_of: Prompt) -> None:
    visitor.told(user_id="new", user_token=token("new", name="Nora", plan="free"))

    assert "Name: Nora" in prompt_of() and "Plan: free" in prompt_of()


def test_requests_traits_change_no_stored_record(visitor: Visitor, acme: Organization) -> None:
    stored = EndUser.objects.create(org=acme, external_id="u1", custom_fields={"plan": "old"}, context={})

    visitor.told(user_id="u1", custom_fields={"plan": "new"}, context={"k": {"label": "L", "value": 1}})

    stored.refresh_from_db()
    assert (stored.custom_fields, stored.context) == ({"plan": "old"}, {})
    assert Turn.objects.get().snapshot["custom_fields"] == {"plan": "new"}


def test_a_new_user_is_made_and_a_known_ones_last_seen_is_set(visitor: Visitor, acme: Organization) -> None:
    long_ago = timezone.now() - dt.timedelta(days=30)
    EndUser.objects.create(org=acme, external_id="known", first_seen=long_ago, last_seen=long_ago)

    visitor.told(user_id="known")
    visitor.told(user_id="new")

    known = EndUser.objects.get(external_id="known")
    assert known.first_seen == long_ago and known.last_seen > timezone.now() - dt.timedelta(minutes=1)
    assert EndUser.objects.filter(org=acme, external_id="new").exists()


def company_and_user(org: Organization) -> None:
    company = Company.objects.create(org=org, external_id="c1", name="Wayne Corp", plan="platinum")
    EndUser.objects.create(org=org, external_id="linked", name="Lin", company=company)
    EndUser.objects.create(org=org, external_id="loose", name="Lou")


def test_without_verification_a_named_user_is_shown_with_the_company(
    visitor: Visitor, acme: Organization, prompt_of: Prompt
) -> None:
    company_and_user(acme)

    visitor.told(user_id="linked")
    assert "Name: Lin" in prompt_of()
    assert "[Company: Wayne Corp]\n" in prompt_of() and "Plan: platinum" in prompt_of()

    visitor.told(user_id="loose")
    assert "Wayne" not in prompt_of()
    visitor.told(user_id="loose", company_id="c1")
    assert "[Company: Wayne Corp]" in prompt_of()


def test_the_bodys_company_is_used_only_where_the_user_is_not_linked_yet(
    visitor: Visitor, acme: Organization, prompt_of: Prompt
) -> None:
    company_and_user(acme)
    Company.objects.create(org=acme, external_id="c2", name="Stark Inc")

    visitor.told(user_id="linked", company_id="c2")

    assert "Wayne Corp" in prompt_of() and "Stark" not in prompt_of()
    assert EndUser.objects.get(external_id="linked").company.external_id == "c1"  # type: ignore[union-attr]


def test_with_verification_the_bodys_company_alone_loads_nothing(
    visitor: Visitor, verifying: Organization, token: Sign, prompt_of: Prompt
) -> None:
    company_and_user(verifying)

    visitor.told(user_id="loose", user_token=token("loose"), company_id="c1")
    assert "Wayne" not in prompt_of()
    visitor.told(company_id="c1")
    assert "Wayne" not in prompt_of()
    assert EndUser.objects.get(external_id="loose").company is None

    visitor.told(user_id="linked", user_token=token("linked"))
    assert "Wayne Corp" in prompt_of()
    visitor.told(user_id="loose", user_token=token("loose", company_id="c1"))
    assert "Wayne Corp" in prompt_of()
    assert EndUser.objects.get(external_id="loose").company.external_id == "c1"  # type: ignore[union-attr]


def test_with_verification_an_anonymous_request_is_shown_nothing_that_is_stored(
    visitor: Visitor, acme: Organization, prompt_of: Prompt
) -> None:
    company_and_user(acme)
    session = visitor.told(user_id="linked")["session_id"]
    Organization.objects.filter(pk=acme.pk).update(verify_identity=True)

    answer = visitor.told(session_id=session)

    assert answer["session_id"] != session
    assert "Lin" not in prompt_of().split("<data>")[-1] or "<data>" not in prompt_of()
    assert "Wayne" not in prompt_of()


def test_another_organisations_users_and_companies_are_never_shown(
    visitor: Visitor, cast: Cast, prompt_of: Prompt
) -> None:
    company_and_user(cast.globex.org)

    visitor.told(user_id="linked", company_id="c1")

    assert "Wayne" not in prompt_of() and "Lin" not in prompt_of().split("<data>")[-1]
    assert EndUser.objects.get(org=cast.acme.org).company is None


def test_stored_context_is_replaced_whole_per_key_by_the_later_layer(
    visitor: Visitor, acme: Organization, prompt_of: Prompt
) -> None:
    company = Company.objects.create(
        org=acme,
        external_id="c1",
        context={"a": {"label": "A company", "value": 1}, "b": {"label": "B company", "value": 1}},
    )
    EndUser.objects.create(
        org=acme,
        external_id="u1",
        company=company,
        context={"b": {"label": "B user", "type": "status", "value": {"x": 1}}, "c": {"label": "C user", "value": 1}},
    )

    visitor.told(user_id="u1", context={"c": {"label": "C request", "value": "now"}})

    for shown in ("[A company]\n1", "[B user] (status)\n- X: 1", "[C request]\nnow"):
        assert shown in prompt_of()
    for hidden in ("B company", "C user"):
        assert hidden not in prompt_of()


def test_tickets_of_before_are_shown_to_the_model_for_verified_users_only(
    visitor: Visitor, acme: Organization, cast: Cast, token: Sign, prompt_of: Prompt, model: Any
) -> None:
    model.reply("", tool_calls=[("escalate", {"reason": "wants a refund"})])
    visitor.told("Refund order 77", user_id="u1", user_token=token())

    visitor.told("Any news?", user_id="u1", user_token=token())
    assert "Refund order 77" in prompt_of()
    visitor.told("Any news?", user_id="u1")
    assert "Refund order 77" not in prompt_of()


def test_a_blank_company_claim_links_nobody(visitor: Visitor, verifying: Organization, token: Sign) -> None:
    company_and_user(verifying)
    for blank in ("", "  ", None, True, [], {}):
        visitor.told(user_id="linked", user_token=token("linked", company_id=blank))

    assert EndUser.objects.get(external_id="linked").company.external_id == "c1"  # type: ignore[union-attr]
    assert Company.objects.count() == 1


def test_a_claim_of_any_size_is_no_error(visitor: Visitor, verifying: Organization, token: Sign, cast: Cast) -> None:
    team = Team.objects.create(org=verifying, name="Sales")
    RoutingRule.objects.create(
        org=verifying,
        agent=cast.acme.agent,
        name="Big",
        team=team,
        conditions=[{"source": "user", "key": "seats", "op": "gt", "value": 5}],
    )

    assert visitor.say(user_id="u1", user_token=token(seats=10**400)).status_code == 200


def test_traits_and_context_reach_the_model_in_the_order_in_which_they_were_sent(
    visitor: Visitor, prompt_of: Prompt
) -> None:
    services = {name: {"connected": True, "status": "active"} for name in ("facebook_ads", "google_ads", "hub", "zed")}
    visitor.told(
        custom_fields={"zeta": 1, "alpha_long": 2, "b": 3},
        context={
            "second_entry": {"label": "First", "type": "integration", "value": services},
            "a": {"label": "Last", "value": {"zz": 1, "a": 2}},
        },
    )

    assert "Zeta: 1\nAlpha long: 2\nB: 3" in prompt_of()
    assert (
        "[First] (integration)\n- Facebook ads: connected, active\n- Google ads: connected, active\n"
        "- Hub: connected, active\n- Zed: connected, active\n\n[Last]\n- Zz: 1\n- A: 2" in prompt_of()
    )
