"""Staff pages of routing rules."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from agents.condition_fields import ConditionsField, as_list
from agents.models import RoutingRule
from orgs.permissions import Action
from orgs.staff_admin import StaffAdmin
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

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        # Who may not change them reads them as sentences.
        first, _, last = self.fieldsets
        return (first, ("When", {"fields": ("phrases", "words")}), last)

    @admin.display(description="Conditions")
    def words(self, obj: RoutingRule) -> str:
        return as_list(obj.conditions)
