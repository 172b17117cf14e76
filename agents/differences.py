"""What differs between two configurations of an agent, in the words of its form; and whether one is still the same."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import CharField
from django.utils.text import capfirst

from agents.config import AgentConfig
from agents.models import Agent, CustomTool, Source
from orgs.models import Team

# Whether an address may be private follows from who entered it, and is nothing that anybody edits.
_HIDDEN = {"url_trusted"}
NAMES = tuple(field.name for field in dataclasses.fields(AgentConfig) if field.name not in _HIDDEN)
_CONTEXT_LINES = 2
# Words of a changed line are compared one by one up to here; more than that nobody reads word by word.
_MOST_WORDS = 1200
_ALIKE = 0.4
_CONDITION_KEYS = ("source", "key", "op", "value")
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """A line that was added, removed or stayed; or a gap. `parts`: its pieces, and whether each is what changed."""

    kind: str  # added, removed, same, gap
    parts: tuple[tuple[str, bool], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """A setting that differs."""

    name: str
    label: str
    lines: tuple[Line, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it is shown; `text` is empty where nothing is set."""

    name: str
    label: str
    text: str


def label_of(name: str) -> str:
    """The setting's name as on the agent's form."""
    return str(capfirst(Agent._meta.get_field(name).verbose_name))  # type: ignore[union-attr]


def fingerprint(config: AgentConfig) -> str:
    """What a form remembers of the draft that it was made from."""
    return json.dumps(_hashes(config), separators=(",", ":"))


def changed_since(seen: str, config: AgentConfig) -> list[str]:
    """Names of the settings in which `config` is not what `fingerprint` saw; all of them where `seen` is none."""
    try:
        remembered = json.loads(seen)
    except (ValueError, RecursionError):
        remembered = None
    remembered = remembered if isinstance(remembered, dict) else {}
    return [name for name, value in _hashes(config).items() if remembered.get(name) != value]


def changed(before: AgentConfig | None, after: AgentConfig) -> list[str]:
    """Names of the settings that differ."""
    return [name for name in NAMES if before is None or getattr(before, name) != getattr(after, name)]


def compare(*, org_id: uuid.UUID, before: AgentConfig | None, after: AgentConfig) -> list[Difference]:
    """The settings that differ, each as lines; before the first version there was nothing."""
    known = _known(org_id, [after] if before is None else [before, after])
    return [
        Difference(
            name=name,
            label=label_of(name),
            lines=_lines("" if before is None else _text(before, name, known), _text(after, name, known)),
        )
        for name in changed(before, after)
    ]


def settings_of(*, org_id: uuid.UUID, config: AgentConfig) -> list[Setting]:
    """Every setting of `config` as text."""
    known = _known(org_id, [config])
    return [Setting(name=name, label=label_of(name), text=_text(config, name, known)) for name in NAMES]


def _hashes(config: AgentConfig) -> dict[str, str]:
    values = config.to_json()
    return {name: hashlib.sha256(json.dumps(values[name], sort_keys=True).encode()).hexdigest()[:10] for name in NAMES}


# --- Settings as text ------------------------------------------------------------------------------------------------


def _known(org_id: uuid.UUID, configs: Iterable[AgentConfig]) -> dict[str, str]:
    """Names of the teams, sources and tools that the configurations name, by id."""
    configs = list(configs)
    named: list[tuple[Any, set[str]]] = [
        (Team, {config.escalation_team for config in configs}),
        (Source, {key for config in configs for key in config.sources}),
        (CustomTool, {key for config in configs for key in config.tools}),
    ]
    return {
        str(pk): name
        for model, ids in named
        if ids - {""}
        for pk, name in model.objects.for_org(org_id).filter(pk__in=ids - {""}).values_list("pk", "name")
    }


def _text(config: AgentConfig, name: str, known: Mapping[str, str]) -> str:
    value: Any = getattr(config, name)
    if name == "sources" and not value:
        return "All of it"
    if name in ("sources", "tools"):
        return "\n".join(sorted(known.get(key, f"{key} (gone)") for key in value))
    if name == "escalation_team":
        return known.get(value, f"{value} (gone)") if value else ""
    if isinstance(value, tuple):
        return "\n".join(item if isinstance(item, str) else _condition(item) for item in value)
    if isinstance(value, bool):
        return "Yes" if value else "No"
    field = Agent._meta.get_field(name)
    if isinstance(field, CharField) and field.choices:
        return str(dict(field.flatchoices).get(value, value))
    return "" if value is None else str(value)


def _condition(item: dict[str, Any]) -> str:
    """One condition on one line, its keys in the order in which they are written."""
    ordered = {key: item[key] for key in _CONDITION_KEYS if key in item}
    return json.dumps(ordered | item, ensure_ascii=False)


# --- Text as lines ---------------------------------------------------------------------------------------------------


def _lines(before: str, after: str) -> tuple[Line, ...]:
    old, new = before.splitlines(), after.splitlines()
    matcher = difflib.SequenceMatcher(None, old, new)
    lines: list[Line] = []
    reached = 0
    for group in matcher.get_grouped_opcodes(_CONTEXT_LINES):
        if group[0][1] > reached:
            lines.append(Line("gap"))
        for tag, start, end, new_start, new_end in group:
            if tag == "equal":
                lines += [Line("same", ((text, False),)) for text in old[start:end]]
            else:
                lines += _replaced(old[start:end], new[new_start:new_end])
        reached = group[-1][2]
    if reached < len(old):
        lines.append(Line("gap"))
    return tuple(lines)


def _replaced(old: list[str], new: list[str]) -> list[Line]:
    pairs = [_words(was, now_is) for was, now_is in zip(old, new, strict=False)]
    removed = [pair[0] for pair in pairs] + [((text, False),) for text in old[len(pairs) :]]
    added = [pair[1] for pair in pairs] + [((text, False),) for text in new[len(pairs) :]]
    return [Line("removed", parts) for parts in removed] + [Line("added", parts) for parts in added]


def _words(was: str, now_is: str) -> tuple[tuple[tuple[str, bool], ...], tuple[tuple[str, bool], ...]]:
    """Both lines in pieces, of which those that differ are marked; whole where they have little in common."""
    whole = ((was, False),), ((now_is, False),)
    old, new = _WORD.findall(was), _WORD.findall(now_is)
    if len(old) + len(new) > _MOST_WORDS:
        return whole
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return whole
    left: list[tuple[str, bool]] = []
    right: list[tuple[str, bool]] = []
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        left.append(("".join(old[start:end]), tag != "equal"))
        right.append(("".join(new[new_start:new_end]), tag != "equal"))
    return tuple(part for part in left if part[0]), tuple(part for part in right if part[0])
