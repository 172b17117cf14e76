"""Keeps secrets out of what is stored of an answer's making, and out of the pages that show it.

What brain.think builds holds none by construction: no header, key or address ever reaches a prompt. This is for what
others bring in: a visitor who pastes a key, a tool that answers with the headers it was sent. The transcript itself
keeps what was said as it was said: it is the visitor's own text, and people answer it.
"""

from __future__ import annotations

import functools
import json
import re
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from django.conf import settings

from agents.models import Agent, CustomTool
from orgs.caching import per_version
from orgs.models import IdentitySecret, Organization

# What is shorter is no secret, and would blot out words.
SHORTEST = 8
# Headers that say what is sent and not who sends it.
_OPEN_HEADERS = frozenset({"accept", "accept-language", "content-type", "user-agent", "cache-control"})
_SCHEME = re.compile(r"(?:bearer|basic|token|apikey)\s+", re.IGNORECASE)

# SECURITY: repetitions are bounded, and a long one begins only where a word does, so that no text makes this slow.
_SHAPES = {
    "an identity secret": r"ha_secret_[\w-]{16,200}",
    "a widget key": r"ab_live_[\w-]{16,200}",
    "a session id": r"sess_[\w-]{16,200}",
    "an identity token": r"(?<![\w-])eyJ[\w-]{6,8000}(?:\.[\w-]{2,8000}){1,4}",
    "a private key": r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]{0,20000}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?",
    "a key": (
        r"(?<![A-Za-z0-9])(?:[spr]k[-_][\w-]{16,300}|gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,100}"
        r"|xox[abeprs]-[\w-]{10,250}|AKIA[A-Z0-9]{16}|AIza[\w-]{30,60}|hf_[A-Za-z0-9]{20,100}|whsec_[\w+/=-]{16,200})"
    ),
    "a bearer value": r"(?i:\b(?:bearer|basic)\s{1,5})[A-Za-z0-9._~+/=-]{16,8000}",
}
_PATTERN = re.compile("|".join(f"(?P<s{place}>{shape})" for place, shape in enumerate(_SHAPES.values())), re.ASCII)
_NAMES = list(_SHAPES)
# SECURITY: none of the shapes is without one of these (in small letters). To look for a piece of text takes a hundredth
# of the time in which the expression is tried at every letter, and an answer's trace holds whole passages.
_SIGNS = (
    "ha_secret_", "ab_live_", "sess_", "eyj", "private key", "sk-", "sk_", "pk-", "pk_", "rk-", "rk_", "ghp_", "gho_",
    "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "akia", "aiza", "hf_", "whsec_", "bearer", "basic",
)  # fmt: skip


class Redactor:
    """Replaces secrets in texts and JSON: those that it is told, whatever they look like, and what looks like one."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        forms = {form for secret in known if len(secret) >= SHORTEST for form in _forms(secret)}
        # The longest first: a secret may begin like another.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._forms = tuple(ordered)
        self._known = re.compile("|".join(map(re.escape, ordered)))

    def text(self, value: str) -> str:
        """`value` with each secret replaced by a note of what stood there."""
        if any(form in value for form in self._forms):
            value = self._known.sub("[removed: a secret of the organisation]", value)
        small = value.lower()
        if not any(sign in small for sign in _SIGNS):
            return value
        return _PATTERN.sub(lambda found: f"[removed: {_NAMES[int((found.lastgroup or 's0')[1:])]}]", value)

    def json(self, value: Any) -> Any:
        """`value` with the texts in it cleaned, keys of objects too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        return value


def redactor_for(*, org: Organization, agent: Agent) -> Redactor:
    """A redactor that knows the secrets of `org` and `agent`, and the installation's."""
    stored = per_version(org.pk, org.config_version, "secrets", lambda: _stored(org.pk))
    return _knowing((*_installation(), org.model_api_key, agent.api_key, agent.published_key, *stored))


@functools.lru_cache(maxsize=256)
def _knowing(secrets: tuple[str, ...]) -> Redactor:
    return Redactor(secrets)


def _installation() -> list[str]:
    return [settings.OPENAI_API_KEY or "", settings.SECRET_KEY, *settings.HALO_ENCRYPTION_KEYS]


def _stored(org_id: uuid.UUID) -> list[str]:
    tools = CustomTool.objects.for_org(org_id).exclude(headers="").values_list("headers")
    identity = IdentitySecret.objects.for_org(org_id).values_list("secret")
    found: list[str] = []
    for (value,) in tools.union(identity, all=True):
        found += [value, *_header_values(value)]
    return found


def _header_values(value: str) -> list[str]:
    try:
        headers = json.loads(value)
    except ValueError:
        return []
    if not isinstance(headers, dict):
        return []
    found: list[str] = []
    for name, text in headers.items():
        if isinstance(text, str) and name.strip().lower() not in _OPEN_HEADERS:
            found += [text.strip(), _SCHEME.sub("", text.strip(), count=1)]
    return found


def _forms(secret: str) -> set[str]:
    """The secret as texts may hold it: as it is, inside JSON, inside JSON that is inside JSON, and in an address."""
    once = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")}
    return once | {json.dumps(form)[1:-1] for form in once}
