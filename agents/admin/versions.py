"""Staff pages of published versions."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html

from agents.models import AgentVersion
from orgs.permissions import Action
from orgs.staff_admin import StaffAdmin
from orgs.staff_lists import ScopedRelatedFilter


@admin.register(AgentVersion)
class AgentVersionAdmin(StaffAdmin):
    """What an agent was when it answered; never changed."""

    read = Action.SEE_BUILD
    may_add = False
    list_display = ("agent", "number", "note", "maker", "created_at")
    list_display_links = ("agent", "number")
    list_filter = (("agent", ScopedRelatedFilter),)
    list_select_related = ("agent", "created_by")
    search_fields = ("agent__name", "note")
    ordering = ("-created_at", "-pk")
    fields = ("agent", "number", "note", "maker", "created_at", "settings")
    readonly_fields = ("maker", "settings")

    @admin.display(description="Published by")
    def maker(self, obj: AgentVersion) -> str:
        return str(obj.created_by or "The command line")

    @admin.display(description="Configuration")
    def settings(self, obj: AgentVersion) -> str:
        return format_html(
            '<pre class="halo-json">{}</pre>', json.dumps(obj.config, indent=2, ensure_ascii=False, sort_keys=True)
        )
