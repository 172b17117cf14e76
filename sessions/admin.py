"""Staff pages of end users, companies and events."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from orgs.permissions import Action
from orgs.staff_actions import link
from orgs.staff_admin import StaffAdmin
from orgs.staff_forms import JSONObjectField, StaffForm
from sessions.models import Company, EndUser, Event
from sessions.profile import RELATIONSHIP_COLUMNS

# As many as a request may bring.
LONGEST = {"custom_fields": 10_000, "context": 50_000}
TRAITS_HELP = "A JSON object. The model is shown it, so keep secrets out of it."


class ProfileForm(StaffForm):
    """Traits and context are JSON objects, as short as a request's."""

    def _clean_object(self, name: str) -> Any:
        value = self.cleaned_data[name]
        if len(json.dumps(value, ensure_ascii=False)) > LONGEST[name]:
            raise ValidationError(f"This is longer than {LONGEST[name]:,} characters.")
        return value

    def clean_custom_fields(self) -> Any:
        return self._clean_object("custom_fields")

    def clean_context(self) -> Any:
        value = self._clean_object("context")
        for key, entry in value.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("label"), str) or "value" not in entry:
                raise ValidationError(f'“{key}” is not an entry such as {{"label": "Plan", "value": "pro"}}.')
        return value


class ProfileAdmin(StaffAdmin):
    """What end users and companies have in common."""

    read = Action.SEE_PEOPLE
    edit = Action.EDIT_PEOPLE
    form = ProfileForm
    help_texts: ClassVar[dict[str, str]] = {
        "external_id": "What your own system calls it. It cannot be changed later: tokens and requests name it so.",
        "name": "Agents are told it. What your site or server sends next overwrites it.",
        "email": "Where tickets are answered. Another address counts as not verified until your system says so again.",
        "company": "Agents are told what is known of it, for verified users.",
    }

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in LONGEST:
            kwargs["form_class"] = JSONObjectField
            kwargs["help_text"] = TRAITS_HELP
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # The customer's systems name the row by this id.
        return [*super().get_readonly_fields(request, obj), *(["external_id"] if obj else [])]


@admin.register(EndUser)
class EndUserAdmin(ProfileAdmin):
    """A person on the customer's site."""

    list_display = ("__str__", "email", "external_id", "company", "last_seen")
    list_filter = ("last_seen", "email_verified")
    extra_lookups = ("company__id__exact",)
    list_select_related = ("company",)
    search_fields = ("external_id__exact", "email__istartswith", "name__icontains")
    search_help_text = "Id, beginning of an e-mail address, or name"
    ordering = ("-last_seen", "id")
    sortable_by = ("last_seen",)
    autocomplete_fields = ("company",)
    readonly_fields = ("email_verified", "conversations", "first_seen", "last_seen")
    fieldsets = (
        (None, {"fields": ("external_id", "name", "email", "email_verified", "company", "conversations")}),
        ("Traits and context", {"fields": ("custom_fields", "context")}),
        ("Relationship", {"fields": RELATIONSHIP_COLUMNS, "classes": ("collapse",)}),
        ("Seen", {"fields": ("first_seen", "last_seen")}),
    )
    add_fieldsets = ((None, {"fields": ("external_id", "name", "email", "company", "custom_fields", "context")}),)
    actions_detail: ClassVar[list[str]] = ["protect"]

    @link(title="Export or erase", icon="shield_person", needs=Action.ERASE)
    def protect(self, request: HttpRequest, obj: EndUser) -> str:
        return f"{reverse('admin:privacy')}?org={obj.org_id}&person={obj.pk}"

    def save_model(self, request: HttpRequest, obj: EndUser, form: Any, change: bool) -> None:
        if change and "email" in form.changed_data and obj.email_verified:
            # Only the customer's own system vouches for an address.
            obj.email_verified = False
            form.changed_data.append("email_verified")
        super().save_model(request, obj, form, change)

    @admin.display(description="Conversations")
    def conversations(self, obj: EndUser) -> str:
        where = reverse("admin:conversations_conversation_changelist")
        return format_html('<a class="halo-link" href="{}?person={}">Show them</a>', where, obj.pk)


@admin.register(Company)
class CompanyAdmin(ProfileAdmin):
    """A firm among the customers."""

    list_display = ("__str__", "external_id", "domain", "plan", "updated_at")
    list_filter = ("updated_at",)
    search_fields = ("external_id__exact", "name__icontains", "domain__istartswith")
    search_help_text = "Id, name or domain"
    ordering = ("-updated_at", "id")
    readonly_fields = ("people", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("external_id", "name", "domain", "industry", "plan", "employee_count", "people")}),
        ("Traits and context", {"fields": ("custom_fields", "context")}),
        ("Relationship", {"fields": RELATIONSHIP_COLUMNS, "classes": ("collapse",)}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "external_id",
                    "name",
                    "domain",
                    "industry",
                    "plan",
                    "employee_count",
                    "custom_fields",
                    "context",
                )
            },
        ),
    )

    @admin.display(description="People")
    def people(self, obj: Company) -> str:
        where = reverse("admin:chat_sessions_enduser_changelist")
        return format_html('<a class="halo-link" href="{}?company__id__exact={}">Show them</a>', where, obj.pk)


@admin.register(Event)
class EventAdmin(StaffAdmin):
    """What visitors did on the site; read-only."""

    read = Action.SEE_PEOPLE
    may_add = False
    list_display = ("created_at", "event_type", "end_user", "page_url")
    list_display_links = ("created_at", "event_type")
    list_select_related = ("end_user",)
    list_filter = ("created_at",)
    extra_lookups = ("event_type__exact", "end_user__id__exact", "session__id__exact")
    search_fields = ("event_type__exact",)
    search_help_text = "Kind of event, exactly"
    ordering = ("-id",)
    sortable_by = ()
    fields = ("created_at", "event_type", "end_user", "page_url", "element_selector", "details")
    readonly_fields = ("details",)

    @admin.display(description="Metadata")
    def details(self, obj: Event) -> str:
        return format_html('<pre class="halo-json">{}</pre>', json.dumps(obj.metadata, indent=2, ensure_ascii=False))
