"""The live check: what has arrived at an organisation's keys, in words that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from halo import wire
from orgs import traffic
from orgs.models import Organization, WidgetKey
from orgs.traffic import NO_ORIGIN, Arrival, Seen, Site, Traffic

WHY = {
    "missing": "it named a user and brought no token. Give the widget getUserToken, or userToken.",
    "no_secret": "this organisation has no active identity secret to check tokens with. Create one.",
    "signature": "the token was signed with something else than an active identity secret of this organisation. Check "
    "that your server has the whole secret, and that it was not revoked.",
    "expired": "the token had expired. Give the widget getUserToken, so that it can fetch a fresh one.",
    "early": "the token is valid only later (nbf or iat): the clock of your server is ahead.",
    "algorithm": "the token was not signed with HS256.",
    "nobody": "the token names nobody: it needs the claim user_id, a string.",
    "somebody_else": "the token names somebody else: its user_id must be the request's, byte for byte.",
    "scope": "the token is one for users/update, which never belongs into a browser.",
    "broken": "what was sent cannot be read as a token.",
}
SITES = {
    Site.LISTED: ("on the key's list", "good"),
    Site.ANY: ("allowed, as the key has no list", "good"),
    Site.REFUSED: ("refused: not on the key's list", "bad"),
}
IDENTITIES = (
    (Seen.VERIFIED, "Verified: a token proved the user"),
    (Seen.UNVERIFIED, "Named a user and proved nothing"),
    (Seen.REFUSED, "Named a user and were refused (403)"),
    (Seen.ANONYMOUS, "Anonymous: named no user"),
)
OTHERS = (
    (Seen.REFUSED_ORIGIN, "Refused for their origin (401)"),
    (Seen.ENDED_KEY, "Refused, as their key has ended (401)"),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line: what it is about, what is so, how good that is, and what more there is to say."""

    name: str
    text: str
    tone: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many arrived of one kind."""

    name: str
    hour: int
    day: int


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that the check shows; `nothing`: there is nothing to show yet."""

    tone: str
    verdict: str
    advice: tuple[str, ...] = ()
    nothing: bool = False
    facts: tuple[Fact, ...] = ()
    sites: tuple[Fact, ...] = ()
    identities: tuple[Count, ...] = ()
    others: tuple[Count, ...] = ()
    share_hour: float | None = None
    share_day: float | None = None


def look(org: Organization, *, now: float) -> Look:
    """What is known right now, also of what this process has just seen."""
    traffic.flush()
    try:
        seen = traffic.read(org.pk, now=now)
    except wire.WireAway:
        return Look("bad", "Redis does not answer, so nothing can be said at the moment.", nothing=True)
    labels = dict(WidgetKey.objects.for_org(org).values_list("pk", "label"))
    tone, verdict, advice = _verdict(org, seen, labels, now)
    return Look(
        tone=tone,
        verdict=verdict,
        advice=advice,
        nothing=not seen.last,
        facts=tuple(_facts(seen, labels, now)),
        sites=tuple(Fact(name, *SITES[site], more=_ago(now - at)) for site, name, at in seen.sites),
        identities=_counts(IDENTITIES, seen),
        others=tuple(count for count in _counts(OTHERS, seen) if count.day),
        share_hour=_share(seen.hour),
        share_day=_share(seen.day),
    )


def _verdict(
    org: Organization, seen: Traffic, labels: Mapping[int, str], now: float
) -> tuple[str, str, tuple[str, ...]]:
    last = seen.last
    let_in = last.get(Seen.ALLOWED)
    refused = max(
        (kind for kind in (Seen.REFUSED_ORIGIN, Seen.ENDED_KEY) if kind in last), key=lambda k: last[k].at, default=None
    )
    if refused is not None and (let_in is None or last[refused].at > let_in.at):
        return ("bad", *_refusal(refused, last[refused], labels, now))
    if let_in is None:
        if (loaded := last.get(Seen.LOADED)) is None:
            return "", "Nothing has arrived yet.", ()
        advice = (
            "Open the chat on your page and send a message.",
            "If you have: a key that Halo does not know belongs to no organisation, so it cannot be shown here. "
            "Compare apiKey on your page with the snippet above.",
        )
        where = f" on {loaded.page or loaded.origin}" if loaded.page or loaded.origin != NO_ORIGIN else ""
        return "fair", f"The widget was loaded{where} {_ago(now - loaded.at)}, and has sent nothing yet.", advice
    works = f"It works: a request came {_from(let_in)} with the key “{_label(let_in, labels)}” {_ago(now - let_in.at)}."
    flawed, proved = last.get(Seen.REFUSED), last.get(Seen.VERIFIED)
    if org.verify_identity and flawed is not None and (proved is None or flawed.at > proved.at):
        return "fair", works, (f"But the last one that named a user was refused: {WHY.get(flawed.why, WHY['broken'])}",)
    return "good", works, ()


def _refusal(kind: Seen, came: Arrival, labels: Mapping[int, str], now: float) -> tuple[str, tuple[str, ...]]:
    label, when = _label(came, labels), _ago(now - came.at)
    if kind == Seen.ENDED_KEY:
        return (
            f"A request {_from(came)} was refused {when}: its key “{label}” was revoked, or its time is over.",
            ("Put the snippet with a key that works onto that page.",),
        )
    return (
        f"A request {_from(came)} was refused {when}: that origin is not on the list of the key “{label}”.",
        ("If the site is yours, add the origin to the key's allowed origins, as it stands here.",),
    )


def _facts(seen: Traffic, labels: Mapping[int, str], now: float) -> list[Fact]:
    facts = []
    names = {
        Seen.LOADED: ("Widget loaded", ""),
        Seen.ALLOWED: ("Last request", "good"),
        Seen.REFUSED_ORIGIN: ("Origin refused", "bad"),
        Seen.ENDED_KEY: ("Key refused", "bad"),
        Seen.VERIFIED: ("Identity verified", "good"),
        Seen.UNVERIFIED: ("Identity not proved", "fair"),
        Seen.REFUSED: ("Identity refused", "bad"),
    }
    for kind, (name, tone) in names.items():
        came = seen.last.get(kind)
        if came is None:
            continue
        with_key = f", with the key “{_label(came, labels)}”" if came.key_id else ""
        text = f"{_ago(now - came.at)}, {_from(came)}{with_key}"
        facts.append(Fact(name, text, tone, f"Because {WHY[came.why]}" if came.why in WHY else ""))
    return facts


def _from(came: Arrival) -> str:
    if came.page and came.page.rstrip("/") != came.origin:
        return f"from {came.page}"
    return (
        f"from {came.origin}" if came.origin and came.origin != NO_ORIGIN else "without an origin (a server or an app)"
    )


def _label(came: Arrival, labels: Mapping[int, str]) -> str:
    return labels.get(came.key_id, "?")


def _counts(kinds: tuple[tuple[Seen, str], ...], seen: Traffic) -> tuple[Count, ...]:
    return tuple(Count(name, seen.hour.get(kind, 0), seen.day.get(kind, 0)) for kind, name in kinds)


def _share(counts: Mapping[str, int]) -> float | None:
    """Of what named a user, how much was proved; None where nothing named one."""
    verified = counts.get(Seen.VERIFIED, 0)
    named = verified + counts.get(Seen.UNVERIFIED, 0) + counts.get(Seen.REFUSED, 0)
    return verified / named if named else None


def _ago(seconds: float) -> str:
    if seconds < 5:
        return "just now"
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {word}{'s' if number > 1 else ''} ago"
    return "just now"
