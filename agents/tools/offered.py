"""Which tools an agent is offered in a turn: by its configuration, and by who the visitor has proved to be."""

from __future__ import annotations

from dataclasses import dataclass, field

from agents.config import AgentConfig
from agents.escalation import OFF
from agents.llm.base import ToolSpec
from agents.models import CustomTool
from agents.tools import builtin
from agents.tools.custom import CustomCard
from orgs.caching import per_version
from orgs.models import Organization


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What a model may ask for in one turn, and nothing else."""

    specs: tuple[ToolSpec, ...] = (builtin.SEARCH,)
    custom: dict[str, CustomCard] = field(default_factory=dict)

    def spec(self, name: str) -> ToolSpec | None:
        """The tool of that name, if it is offered."""
        return next((spec for spec in self.specs if spec.name == name), None)


def toolbox(*, org: Organization, config: AgentConfig, verified: bool) -> Toolbox:
    """The tools that a published version offers to a visitor, built-in ones first."""
    specs = [builtin.SEARCH]
    if config.escalation != OFF:
        specs.append(builtin.ESCALATE)
    if config.may_open_tickets:
        specs.append(builtin.TICKET)
    if config.may_guide:
        specs += [builtin.HIGHLIGHT, builtin.NAVIGATE]
    custom: dict[str, CustomCard] = {}
    if config.tools:
        # SECURITY: the organisation's own only, whatever ids a version holds; and nothing about an account is even
        # offered to somebody who has not proved whose it is.
        custom = {
            card.spec.name: card
            for card in per_version(org.pk, org.config_version, "tools", lambda: _cards(org))
            if str(card.id) in config.tools and (verified or not card.needs_verified_user)
        }
    return Toolbox(specs=(*specs, *(card.spec for card in custom.values())), custom=custom)


def _cards(org: Organization) -> list[CustomCard]:
    rows = CustomTool.objects.for_org(org).filter(is_active=True).defer("headers").order_by("name")
    return [card_of(row) for row in rows if row.name not in builtin.BUILT_IN]


def card_of(row: CustomTool) -> CustomCard:
    """A custom tool as it is offered."""
    asks = " The visitor is asked for their consent first." if row.needs_confirmation else ""
    return CustomCard(
        id=row.pk,
        spec=ToolSpec(name=row.name, description=f"{row.description.strip()}{asks}", parameters=row.parameters),
        needs_verified_user=row.needs_verified_user,
        needs_confirmation=row.needs_confirmation,
        is_repeatable=row.is_idempotent or row.method == CustomTool.Method.GET,
        is_reading=row.method == CustomTool.Method.GET,
    )
