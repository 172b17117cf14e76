"""Who the visitor is, and whether that was proved."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

import jwt

from halo.api import strict_json
from halo.errors import HaloError, IdentityFailed
from orgs import traffic
from orgs.caching import per_version
from orgs.models import IdentitySecret, Organization
from orgs.traffic import Seen

MAX_TOKEN_BODY = 16 * 1024
MAX_TOKEN_HEADER = 8 * 1024
LEEWAY_SECONDS = 60
ANONYMOUS = "anonymous"
# Claims that say something about the token and not about the user.
ABOUT_THE_TOKEN = frozenset({"user_id", "sub", "iss", "aud", "exp", "nbf", "iat", "jti", "scope"})
UPDATE_SCOPE = "users.update"
UPDATE_SECONDS = 3600
# What is wrong with a token, in a word; the first that fits. The install page has a sentence for each.
_WHY: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "early"),
    (jwt.InvalidAlgorithmError, "algorithm"),
    (Exception, "broken"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The user a request names (`""`: anonymous), whether a token proved it, and the token's trusted claims."""

    user_id: str = ""
    verified: bool = False
    claims: dict[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> str:
        """What idempotency keys are scoped by; the prefix keeps a user called `anonymous` apart."""
        # SECURITY: what a verified user was answered is not replayed to one who merely gives the same name.
        kind = "verified" if self.verified else "user"
        return f"{kind}:{self.user_id}" if self.user_id else ANONYMOUS


def identify(*, org: Organization, user_id: str, token: str, now: dt.datetime, limit: int = MAX_TOKEN_BODY) -> Identity:
    """The request's identity; raises IdentityFailed where the organisation verifies and the proof is flawed."""
    if user_id in ("", ANONYMOUS):
        traffic.saw_identity(org.pk, Seen.ANONYMOUS)
        return Identity()
    try:
        claims = verify_identity(org=org, token=token, user_id=user_id, now=now, limit=limit)
    except IdentityFailed as flaw:
        _saw_flaw(org, flaw)
        if org.verify_identity:
            raise
        return Identity(user_id=user_id)
    traffic.saw_identity(org.pk, Seen.VERIFIED)
    return Identity(user_id=user_id, verified=True, claims=_trusted(claims))


def identify_bearer(*, org: Organization, token: str, now: dt.datetime, limit: int = MAX_TOKEN_BODY) -> Identity:
    """The identity of a request that names a session and no user: the one its token proves, else anonymous.

    Raises IdentityFailed where the organisation verifies and there is a token that proves nobody.
    """
    if not token:
        return Identity()
    try:
        claims = verify_identity(org=org, token=token, user_id=None, now=now, limit=limit)
    except IdentityFailed as flaw:
        _saw_flaw(org, flaw)
        if org.verify_identity:
            raise
        return Identity()
    traffic.saw_identity(org.pk, Seen.VERIFIED)
    return Identity(user_id=_named(claims), verified=True, claims=_trusted(claims))


def check_update_token(*, org: Organization, token: str, now: dt.datetime) -> None:
    """Raises IdentityFailed unless the organisation's server allows with `token` to write users for an hour at most."""
    # SECURITY: a browser's token has no such scope, and one with it is refused wherever a browser's is asked for.
    claims = _claims_of(org=org, token=token, now=now, limit=MAX_TOKEN_BODY)
    ends = claims.get("exp")
    if claims.get("scope") != UPDATE_SCOPE or isinstance(ends, bool) or not isinstance(ends, (int, float)):
        raise IdentityFailed
    if ends > now.timestamp() + UPDATE_SECONDS + LEEWAY_SECONDS:
        raise IdentityFailed


def verify_identity(
    *, org: Organization, token: str, user_id: str | None, now: dt.datetime, limit: int = MAX_TOKEN_BODY
) -> dict[str, Any]:
    """The claims of a token that proves `user_id` (None: whomever it names); every flaw is the same IdentityFailed."""
    claims = _claims_of(org=org, token=token, now=now, limit=limit)
    named = _named(claims)
    if named in ("", ANONYMOUS):
        raise IdentityFailed("nobody")
    if user_id is not None and _bytes(named) != _bytes(user_id):
        raise IdentityFailed("somebody_else")
    if claims.get("scope") == UPDATE_SCOPE:
        raise IdentityFailed("scope")
    return claims


def _claims_of(*, org: Organization, token: str, now: dt.datetime, limit: int) -> dict[str, Any]:
    """The claims of a token that one of the organisation's secrets signed; every flaw is the same IdentityFailed."""
    # SECURITY: the one place where tokens are checked. HS256 only, the organisation's own active secrets only; `kid`,
    # `jku`, `x5u` and `jwk` are never followed, `crit` makes a token invalid.
    if not token:
        raise IdentityFailed("missing")
    if len(token) > limit:
        raise IdentityFailed("broken")
    secrets = _active_secrets(org, now=now)
    for secret in secrets:
        try:
            return _checked(token, secret)
        except IdentityFailed:
            raise
        except jwt.InvalidSignatureError:
            continue
        except (
            jwt.PyJWTError,
            HaloError,
            TypeError,
            ValueError,
            AttributeError,
            UnicodeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise IdentityFailed(next(word for kind, word in _WHY if isinstance(error, kind))) from None
    raise IdentityFailed("signature" if secrets else "no_secret")


def _saw_flaw(org: Organization, flaw: IdentityFailed) -> None:
    traffic.saw_identity(org.pk, Seen.REFUSED if org.verify_identity else Seen.UNVERIFIED, flaw.why)


def _trusted(claims: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key not in ABOUT_THE_TOKEN}


def _named(claims: dict[str, Any]) -> str:
    """Whom the token names; `""` where that is nobody, or no string."""
    named = claims["user_id"] if "user_id" in claims else claims.get("sub")
    return named if isinstance(named, str) else ""


def _bytes(text: str) -> bytes:
    # Lone surrogates are legal in what is compared, and no UTF-8.
    return text.encode("utf-8", "surrogatepass")


def _checked(token: str, secret: str) -> dict[str, Any]:
    if "crit" in jwt.get_unverified_header(token):
        raise IdentityFailed("broken")
    claims = jwt.decode(
        token,
        secret,
        algorithms=["HS256"],
        leeway=LEEWAY_SECONDS,
        # `aud` and `iss` are the customer's own business, `sub` is compared by us.
        options={"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False},
    )
    strict_json.check_depth(claims)
    if not all(strict_json.is_storable(key) for key in _keys(claims)):
        raise IdentityFailed("broken")
    # NaN and Infinity are read by Python and refused by PostgreSQL.
    json.dumps(claims, allow_nan=False)
    return strict_json.storable_tree(claims)


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for item in value.values() for key in _keys(item))]
    if isinstance(value, list):
        return [key for item in value for key in _keys(item)]
    return []


def _active_secrets(org: Organization, *, now: dt.datetime) -> list[str]:
    rows = per_version(
        org.pk,
        org.config_version,
        "identity-secrets",
        lambda: list(IdentitySecret.objects.for_org(org).active(now=now).order_by("-pk")),
    )
    return [row.secret for row in rows if row.is_active(now=now)]
