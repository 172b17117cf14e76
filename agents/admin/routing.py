"""Staff pages of routing rules."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from agents.conditions import check_conditions
from agents.models import RoutingRule
from orgs.permissions import Action
from orgs.staff_admin import StaffAdmin
from orgs.staff_forms import StaffForm
from orgs.staff_lists import ScopedRelatedFilter


class RoutingRuleForm(StaffForm):
    """A rule that can match; one with neither phrases nor conditions never would."""

    class Meta:
        model = RoutingRule
        fields = ("name", "agent", "is_active", "position", "phrases", "conditions", "team", "acknowledgement")

    def clean_conditions(self) -> Any:
        return self._as_form_error(check_conditions, self.cleaned_data["conditions"] or [])

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
        ("Then", {"fields": ("team", "acknowledgement")}),
    )
