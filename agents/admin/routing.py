"""Staff pages of routing rules."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from agents.condition_fields import ConditionsField, as_list
from agents.models import RoutingRule
from orgs.permissions import Action
from orgs.rows import change_row
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_bulk import bulk
from orgs.staff_forms import StaffForm
from orgs.staff_lists import ScopedRelatedFilter


class RoutingRuleForm(StaffForm):
    """A rule that can match; one with neither phrases nor conditions never would."""

    conditions = ConditionsField()

    class Meta:
        model = RoutingRule
        fields = (
            "name",
            "agent",
            "is_active",
            "position",
            "phrases",
            "conditions",
            "team",
            "has_priority",
            "acknowledgement",
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        conditions = cleaned.get("conditions", ["?"])
        if not conditions and not (cleaned.get("phrases") or "").strip():
            self.add_error("phrases", "Give phrases, or conditions: a rule without either matches nothing.")
        return cleaned


@admin.register(RoutingRule)
class RoutingRuleAdmin(StaffAdmin):
    """Sends a message straight to a team; no model is asked."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    may_delete = True
    form = RoutingRuleForm
    list_display = ("name", "agent", "position", "team", "is_active")
    list_filter = ("is_active", ("agent", ScopedRelatedFilter), ("team", ScopedRelatedFilter))
    list_select_related = ("agent", "team")
    search_fields = ("name", "phrases")
    ordering = ("agent", "position", "pk")
    fieldsets = (
        (None, {"fields": ("name", "agent", "is_active", "position")}),
        ("When", {"fields": ("phrases", "conditions")}),
        ("Then", {"fields": ("team", "has_priority", "acknowledgement")}),
    )
    readonly_fields = ("words",)
    help_texts: ClassVar[dict[str, str]] = {
        "name": "Shown in transcripts, to say why a message went to the team.",
        "agent": "Only messages to this agent are held against the rule.",
        "is_active": "Off: what the rule would have caught is answered by the agent.",
        "team": "Gets a ticket for each message that matches; the agent's model is not asked.",
    }
    actions: ClassVar[list[str]] = ["turn_on", "turn_off"]

    @bulk(
        title="Turn on",
        needs=Action.BUILD,
        explains="From the next message on, what matches goes to the rule's team, and no model is asked.",
        done="turned on",
        when=lambda rule: not rule.is_active,
    )
    def turn_on(self, request: HttpRequest, obj: RoutingRule) -> None:
        obj.is_active = True
        change_row(row=obj, names=["is_active"], by=acting(request))

    @bulk(
        title="Turn off",
        needs=Action.BUILD,
        explains="From the next message on, what matches is answered by the agent again.",
        done="turned off",
        when=lambda rule: rule.is_active,
    )
    def turn_off(self, request: HttpRequest, obj: RoutingRule) -> None:
        obj.is_active = False
        change_row(row=obj, names=["is_active"], by=acting(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        # Who may not change them reads them as sentences.
        first, _, last = self.fieldsets
        return (first, ("When", {"fields": ("phrases", "words")}), last)

    @admin.display(description="Conditions")
    def words(self, obj: RoutingRule) -> str:
        return as_list(obj.conditions)
