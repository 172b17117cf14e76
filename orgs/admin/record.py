"""The staff page of the audit."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from orgs.models import AuditEntry, Membership, User
from orgs.permissions import Action, org_ids
from orgs.staff_admin import StaffAdmin

# The first word of an action, and what it is about.
NOUNS = (
    ("agent", "Agents"),
    ("answer", "Judgements of answers"),
    ("article", "Articles"),
    ("company", "Companies"),
    ("conversation", "Conversations: stepping in"),
    ("customtool", "Custom tools"),
    ("enduser", "End users: changes"),
    ("guidance", "Guidance"),
    ("identity_secret", "Identity secrets"),
    ("labels", "Exports of labels"),
    ("login", "Failed logins"),
    ("member", "Members"),
    ("operator", "Superusers' reading"),
    ("organization", "Settings"),
    ("password", "Passwords"),
    ("person", "Data protection"),
    ("routingrule", "Routing rules"),
    ("source", "Sources"),
    ("team", "Teams"),
    ("ticket", "Tickets"),
    ("trace", "Traces"),
    ("transcript", "Transcripts"),
    ("widget_key", "Widget keys"),
)
MOST_PEOPLE = 100


class AboutFilter(admin.SimpleListFilter):
    """What an entry is about."""

    title = "about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(NOUNS)

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        # By the index on actions, as far as the organisation is known.
        return queryset.filter(action__startswith=self.value()) if self.value() in dict(NOUNS) else queryset


class WhoFilter(admin.SimpleListFilter):
    """Who did it: people of the organisations of whoever looks, the command line, and those who belong to none."""

    title = "who"
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if not isinstance(request.user, User):
            return []
        people = User.objects.order_by("email")
        if not request.user.is_superuser:
            # SECURITY: people of the person's own organisations only.
            ids = org_ids(request.user, Action.READ_AUDIT)
            people = people.filter(pk__in=Membership.objects.filter(org__in=ids).values("user"))
        found = [(str(pk), email) for pk, email in people.values_list("pk", "email")[:MOST_PEOPLE]]
        return [("nobody", "The command line, and Halo itself"), *found]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        if self.value() == "nobody":
            return queryset.filter(actor=None)
        try:
            return queryset.filter(actor=uuid.UUID(self.value() or ""))
        except ValueError:
            return queryset.none()


@admin.register(AuditEntry)
class AuditEntryAdmin(StaffAdmin):
    """Read-only, as the table itself is."""

    read = Action.READ_AUDIT
    may_add = False
    list_display = ("created_at", "action", "what", "who", "address")
    list_display_links = ("created_at", "action")
    list_select_related = ("org",)
    list_filter = (AboutFilter, WhoFilter, "created_at")
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
