"""Staff pages of the keys that read an organisation's records."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.timesince import timesince
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from orgs.admin.keys import KeyAdmin
from orgs.api_keys import create_api_key, rename_api_key, revoke_api_key
from orgs.models import ApiKey
from orgs.permissions import Action
from orgs.staff_actions import button, shown_once
from orgs.staff_admin import acting
from orgs.staff_forms import StaffForm


class ApiKeyForm(StaffForm):
    """A label, and when it is made, what the key may read."""

    scopes = forms.MultipleChoiceField(
        label="May read",
        choices=ApiKey.Scope.choices,
        initial=ApiKey.Scope.values,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        help_text="Messages hold what visitors wrote; conversations and tickets hold their names and addresses.",
    )

    class Meta:
        model = ApiKey
        fields = ("label", "scopes")


@admin.register(ApiKey)
class ApiKeyAdmin(KeyAdmin):
    """Create (shown once), label, revoke."""

    read = edit = Action.MANAGE_SECRETS
    form = ApiKeyForm
    list_display = ("__str__", "ending", "may_read", "state", "used", "created_at")
    search_fields = ("label", "hint")
    search_help_text = "Label or last characters"
    fieldsets = ((None, {"fields": ("label", "ending", "may_read", "state", "used", "ends", "created_at", "maker")}),)
    add_fieldsets = (
        (
            None,
            {
                "fields": ("label", "scopes"),
                "description": "A program of yours reads this organisation's records with it, under /api/v1/. It "
                "changes nothing. The key is shown once, on the next page; what it may read cannot be changed later.",
            },
        ),
    )
    readonly_fields = ("ending", "may_read", "state", "used", "ends", "created_at", "maker")
    actions_detail: ClassVar[list[str]] = ["revoke"]

    @admin.display(description="Ends with")
    def ending(self, obj: ApiKey) -> str:
        return f"…{obj.hint}"

    @admin.display(description="May read")
    def may_read(self, obj: ApiKey) -> str:
        return ", ".join(str(ApiKey.Scope(scope).label) for scope in obj.scopes)

    @admin.display(description="Last used")
    def used(self, obj: ApiKey) -> str:
        if obj.last_used_at is None:
            return "Never"
        return f"{timesince(obj.last_used_at, timezone.now()).split(',')[0]} ago"

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            rename_api_key(key=obj, label=obj.label, by=acting(request))
            return
        made, plain = create_api_key(org=obj.org, label=obj.label, scopes=obj.scopes, by=acting(request))
        obj.pk = made.pk
        request.halo_plain = plain  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: Any = None) -> HttpResponse:
        return shown_once(
            self,
            request,
            title="New API key",
            what="API key",
            value=request.halo_plain,  # type: ignore[attr-defined]
            explains="Copy it now to where it is used: only its hash is stored, and it is never shown again. Whoever "
            "has it reads what was ticked, of the whole organisation.",
            back=self.change_url(obj.pk),
        )

    @button(
        title="Revoke",
        icon="block",
        danger=True,
        needs=Action.MANAGE_SECRETS,
        explains="“{obj}” stops working at once and for ever: every program that still reads with it is refused.",
        when=lambda key: key.is_active(now=timezone.now()),
    )
    def revoke(self, request: HttpRequest, obj: ApiKey, data: dict[str, Any]) -> str:
        revoke_api_key(key=obj, by=acting(request))
        return "The key is revoked."
