"""Staff pages of tickets, to read and to find; they are worked on in the inbox."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from conversations.models import Ticket
from orgs.permissions import Action
from orgs.staff_actions import link
from orgs.staff_admin import StaffAdmin
from orgs.staff_lists import ScopedRelatedFilter

STATUSES = {"Open": "warning", "In progress": "info", "Snoozed": "primary", "Resolved": "success", "Spam": "danger"}


class AssigneeFilter(admin.SimpleListFilter):
    """Whose tickets they are, as far as whoever looks wants to know."""

    title = "assignee"
    parameter_name = "whose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("mine", "Mine"), ("nobody", "Nobody's")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "mine":
            return queryset.filter(assignee=request.user)
        return queryset.filter(assignee=None) if self.value() == "nobody" else queryset


@admin.register(Ticket)
class TicketAdmin(StaffAdmin):
    """Work that was handed to a team."""

    read = Action.READ_TRANSCRIPTS
    may_add = False
    list_display = ("reference", "subject", "status_label", "priority", "team", "assignee", "created_at")
    list_display_links = ("reference", "subject")
    list_filter = ("status", "priority", AssigneeFilter, ("team", ScopedRelatedFilter), "created_at")
    list_select_related = ("team", "assignee")
    search_fields = ("subject", "=number")
    search_help_text = "Number or subject"
    ordering = ("-created_at", "id")
    sortable_by = ()
    actions_detail: ClassVar[list[str]] = ["work"]
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "reference",
                    "status_label",
                    "priority",
                    "team",
                    "assignee",
                    "due_at",
                    "snoozed_until",
                    "source",
                    "created_at",
                ),
            },
        ),
        ("What it is about", {"fields": ("subject", "message", "summary", "transcript", "person", "details")}),
    )
    readonly_fields = ("reference", "status_label", "transcript", "person", "details", "assignee")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("session__end_user", "requester")

    @link(title="Work on it in the inbox", needs=Action.WRITE_NOTES, icon="inbox")
    def work(self, request: HttpRequest, obj: Ticket) -> str:
        return reverse("inbox-ticket", args=[obj.pk])

    @admin.display(description="Number", ordering="number")
    def reference(self, obj: Ticket) -> str:
        return f"#{obj.number}"

    @display(description="Status", label=STATUSES)
    def status_label(self, obj: Ticket) -> str:
        return obj.get_status_display()

    @admin.display(description="Transcript")
    def transcript(self, obj: Ticket) -> str:
        if obj.conversation_id is None:
            return "—"
        where = reverse("admin:conversations_conversation_change", args=[obj.conversation_id])
        return format_html('<a class="halo-link" href="{}">Read the conversation</a>', where)

    @admin.display(description="Person")
    def person(self, obj: Ticket) -> str:
        found = obj.requester or (obj.session and obj.session.end_user)
        if found is None:
            return "Anonymous"
        where = reverse("admin:chat_sessions_enduser_change", args=[found.pk])
        return format_html('<a class="halo-link" href="{}">{}</a>', where, found)

    @admin.display(description="Metadata")
    def details(self, obj: Ticket) -> str:
        return format_html('<pre class="halo-json">{}</pre>', json.dumps(obj.metadata, indent=2, ensure_ascii=False))
