"""What transcripts are asked for, as an address says it: each filter with its field, its chip and its condition."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Q

from agents.answer_types import AnswerType
from agents.models import Agent, AgentVersion, RoutingRule
from conversations.models import AnswerLabel, Conversation, Turn
from halo.api.strict_json import storable
from halo.errors import NotFound
from halo.ids import parse_uuid
from orgs.models import Organization
from sessions.models import Company, EndUser

LONGEST = 300
# People and firms that a name may stand for.
MOST_NAMED = 500
MOST_RULES = 100
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip

Choices = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form; `kind` is select, date, number or text, and `value` what is asked for now."""

    name: str
    title: str
    kind: str
    value: str
    choices: Choices = ()
    placeholder: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter that is in force: what its chip says, and which conversations it lets through."""

    name: str
    value: str
    says: str
    condition: Q


@dataclass(frozen=True, slots=True)
class Filters:
    """All that is asked for in one organisation; `text` is searched for, the rest narrows down."""

    org: Organization
    text: str
    chosen: tuple[Chosen, ...] = ()
    fields: tuple[Field, ...] = field(default=(), compare=False)

    @property
    def is_empty(self) -> bool:
        return not self.text and not self.chosen

    @property
    def query(self) -> str:
        """The same as an address has it, always in the same order and without what says nothing."""
        return self.without("")

    def without(self, name: str) -> str:
        """The address's query without one filter; `q` is the text."""
        kept = [(chosen.name, chosen.value) for chosen in self.chosen if chosen.name != name]
        text = [("q", self.text)] if self.text and name != "q" else []
        return urlencode([*text, *kept])

    @property
    def conditions(self) -> list[Q]:
        return [chosen.condition for chosen in self.chosen]


def _of_turns(**wanted: object) -> Exists:
    """Conversations with a turn like this. SECURITY: of the conversation's own organisation, as every turn of it."""
    return Exists(Turn.objects.filter(conversation=OuterRef("pk"), **wanted))


def _judged(verdict: str) -> Exists:
    labels = AnswerLabel.objects.filter(turn__conversation=OuterRef("pk"), by=AnswerLabel.By.TEAMMATE, verdict=verdict)
    return Exists(labels)


YES_NO = (("yes", "Yes"), ("no", "No"))
KINDS: Choices = tuple((value, str(label)) for value, label in AnswerType.choices if value)
OUTCOMES: Choices = tuple((value, str(label)) for value, label in Conversation.Outcome.choices if value)
# Filters that are one choice of a few: title, choices, and what each of them means.
SIMPLE: Mapping[str, tuple[str, Choices, Mapping[str, Q]]] = {
    "outcome": ("Outcome", OUTCOMES, {value: Q(outcome=value) for value, _ in OUTCOMES}),
    "kind": ("Last answer", KINDS, {value: Q(answer_type=value) for value, _ in KINDS}),
    "escalated": (
        "Called for people",
        YES_NO,
        {"yes": Q(_of_turns(escalated=True)), "no": ~Q(_of_turns(escalated=True))},
    ),
    "rating": (
        "Rating",
        (("up", "Helpful"), ("down", "Not helpful"), ("none", "Not rated")),
        {"up": Q(rating="up"), "down": Q(rating="down"), "none": Q(rating="")},
    ),
    "judged": (
        "Judged by the team",
        (("right", "Right"), ("wrong", "Wrong")),
        {"right": Q(_judged("right")), "wrong": Q(_judged("wrong"))},
    ),
    "verified": ("Verified", YES_NO, {"yes": Q(verified=True), "no": Q(verified=False)}),
    "images": ("Images", YES_NO, {"yes": Q(has_images=True), "no": Q(has_images=False)}),
    "error": ("Model error", YES_NO, {"yes": Q(has_error=True), "no": Q(has_error=False)}),
    "status": (
        "Status",
        (("open", "Open"), ("closed", "Closed")),
        {"open": Q(status="open"), "closed": Q(status="closed")},
    ),
    "origin": (
        "Origin",
        (("here", "Said here"), ("imported", "Imported"), ("generated", "Generated")),
        {"here": Q(origin=""), "imported": Q(origin="imported"), "generated": Q(origin="generated")},
    ),
}


class _Reader:
    """Reads an address, filter by filter; what makes no sense is left out, what is another's is NotFound."""

    def __init__(self, org: Organization, asked: Mapping[str, str]) -> None:
        self.org, self.asked = org, asked
        self.chosen: list[Chosen] = []
        self.fields: list[Field] = []

    def value(self, name: str) -> str:
        return storable(str(self.asked.get(name, "")).strip())[:LONGEST]

    def choose(self, name: str, value: str, says: str, condition: Q) -> None:
        self.chosen.append(Chosen(name, value, says, condition))

    def day(self, name: str, title: str) -> None:
        value = self.value(name)
        try:
            day = dt.date.fromisoformat(value) if value else None
            start = dt.datetime.combine(day, dt.time(), dt.UTC) if day else None
            end = start + dt.timedelta(days=1) if start else None
        except (ValueError, OverflowError):
            start = end = None
        if start is not None:
            condition = Q(last_message_at__gte=start) if name == "since" else Q(last_message_at__lt=end)
            self.choose(name, value, f"{title} {start:%-d %b %Y}", condition)
        self.fields.append(Field(name, title, "date", value if start else ""))

    def share(self, name: str, title: str) -> None:
        """Percent, of the conversation's lowest confidence."""
        value = self.value(name)
        if value.isdecimal() and value.isascii() and int(value) <= 100 and len(value) <= 3:
            bound = int(value) / 100
            under = name == "below"
            condition = Q(lowest_confidence__lt=bound) if under else Q(lowest_confidence__gte=bound)
            self.choose(name, value, f"Confidence {'under' if under else 'from'} {int(value)} %", condition)
        else:
            value = ""
        self.fields.append(Field(name, title, "number", value, placeholder="0 to 100"))

    def simple(self, name: str) -> None:
        title, choices, conditions = SIMPLE[name]
        value = self.value(name)
        if value in conditions:
            self.choose(name, value, f"{title}: {dict(choices)[value].lower()}", conditions[value])
        else:
            value = ""
        self.fields.append(Field(name, title, "select", value, choices))

    def agent(self) -> None:
        """Agent and version; of several agents a version's number means that of each."""
        agents = list(Agent.objects.for_org(self.org).order_by("-is_default", "created_at").values_list("pk", "name"))
        choices = tuple((str(pk), name) for pk, name in agents)
        wanted, agent = self.value("agent"), None
        if wanted:
            agent = parse_uuid(wanted)
            if str(agent) not in dict(choices):
                # SECURITY: another organisation's agent and one that nobody has look the same.
                raise NotFound
            self.choose("agent", str(agent), f"Agent: {dict(choices)[str(agent)]}", Q(agent=agent))
        self.fields.append(Field("agent", "Agent", "select", str(agent or ""), choices))
        number = self.value("version")
        if number.isdecimal() and number.isascii() and len(number) < 8:
            versions = AgentVersion.objects.for_org(self.org).filter(number=int(number))
            if agent is not None:
                versions = versions.filter(agent=agent)
            found = list(versions.values_list("pk", flat=True))
            self.choose("version", number, f"Version {int(number)}", Q(agent_version__in=found))
        else:
            number = ""
        self.fields.append(Field("version", "Version", "number", number, placeholder="Any"))

    def rule(self) -> None:
        """Which routing rule sent a message to its team; `any`: one did."""
        rules = RoutingRule.objects.for_org(self.org).order_by("name", "pk").values_list("pk", "name")[:MOST_RULES]
        choices = (("any", "Any rule"), *((str(pk), name) for pk, name in rules))
        value = self.value("rule")
        if value == "any":
            self.choose("rule", value, "Routed by a rule", Q(_of_turns(routing_rule__isnull=False)))
        elif value in dict(choices):
            self.choose("rule", value, f"Routed by: {dict(choices)[value]}", Q(_of_turns(routing_rule=int(value))))
        elif value:
            # SECURITY: as above.
            raise NotFound
        self.fields.append(Field("rule", "Routing", "select", value, choices))

    def company(self) -> None:
        value = self.value("company")
        if value:
            firms = Company.objects.for_org(self.org)
            named = firms.filter(Q(external_id=value) | Q(domain__iexact=value) | Q(name__icontains=value))
            found = list(named.order_by("name").values_list("pk", flat=True)[:MOST_NAMED])
            self.choose("company", value, f"Company: {value}", Q(session__company__in=found))
        self.fields.append(Field("company", "Company", "text", value, placeholder="Name, domain or id"))

    def person(self) -> None:
        value = self.value("person")
        if value:
            people = EndUser.objects.for_org(self.org)
            key = parse_uuid(value)
            named = Q(external_id=value) | Q(email__istartswith=value) | Q(name__icontains=value)
            known = people.filter(Q(pk=key) if key else named).order_by("-last_seen")
            rows = list(known[:MOST_NAMED])
            says = str(rows[0]) if key and rows else value
            self.choose("person", value, f"Person: {says}", Q(session__end_user__in=[row.pk for row in rows]))
        self.fields.append(Field("person", "Person", "text", value, placeholder="Name, e-mail or id"))

    def language(self) -> None:
        value = self.value("language").lower()
        if value in LANGUAGES:
            either = Q(language=value) | Q(language__startswith=f"{value}-")
            self.choose("language", value, f"Language: {LANGUAGES[value]}", either)
        else:
            value = ""
        choices = tuple(sorted(LANGUAGES.items(), key=lambda entry: entry[1]))
        self.fields.append(Field("language", "Language", "select", value, choices))


def read_filters(org: Organization, asked: Mapping[str, str]) -> Filters:
    """What an address asks for; raises NotFound where it names what is not the organisation's."""
    reader = _Reader(org, asked)
    reader.day("since", "From")
    reader.day("until", "To")
    reader.agent()
    reader.simple("outcome")
    reader.simple("kind")
    reader.share("below", "Confidence under %")
    reader.share("from", "Confidence from %")
    reader.simple("escalated")
    reader.rule()
    reader.simple("rating")
    reader.simple("judged")
    reader.person()
    reader.company()
    reader.simple("verified")
    reader.language()
    for name in ("images", "error", "status", "origin"):
        reader.simple(name)
    return Filters(org=org, text=reader.value("q"), chosen=tuple(reader.chosen), fields=tuple(reader.fields))


def key_in(text: str) -> uuid.UUID | None:
    """The id that the text is, where it is one and nothing else."""
    return parse_uuid(text.strip())
