"""The staff page of the audit."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from orgs.models import AuditEntry
from orgs.permissions import Action
from orgs.staff_admin import StaffAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(StaffAdmin):
    """Read-only, as the table itself is."""

    read = Action.READ_AUDIT
    may_add = False
    list_display = ("created_at", "action", "what", "who", "address")
    list_display_links = ("created_at", "action")
    list_select_related = ("org",)
    list_filter = ("created_at",)
    extra_lookups = ("target_type__exact", "target_id__exact", "action__exact")
    search_fields = ("actor_label", "action", "target_label")
    search_help_text = "Who, what or which"
    sortable_by = ()
    ordering = ("-created_at", "-pk")
    fields = ("created_at", "action", "who", "address", "target_type", "target_id", "target_label", "was", "became")
    readonly_fields = ("who", "was", "became")

    @admin.display(description="Who")
    def who(self, obj: AuditEntry) -> str:
        return obj.actor_label or "The command line"

    @admin.display(description="What")
    def what(self, obj: AuditEntry) -> str:
        return obj.target_label or (obj.after or {}).get("page", "") or "—"

    @admin.display(description="Before")
    def was(self, obj: AuditEntry) -> str:
        return _shown(obj.before)

    @admin.display(description="After")
    def became(self, obj: AuditEntry) -> str:
        return _shown(obj.after)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = super().get_list_display(request)
        return [*columns, "org"] if self.shows_orgs(request) else columns


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    return format_html('<pre class="halo-json">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))
