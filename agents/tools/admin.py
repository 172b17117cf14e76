"""Staff pages of custom tools. The values of their headers go in, and never come out again."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import Truncator
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from agents.models import Agent, CustomTool
from agents.tools import builtin
from agents.tools.custom import check_template, origin_of
from agents.tools.schemas import check_schema
from agents.tools.sending import check_headers, read_headers
from agents.tools.services import add_tool, change_tool
from orgs.permissions import Action, may
from orgs.staff_actions import link
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_forms import JSONObjectField, StaffForm


class HeadersField(JSONObjectField):
    """A JSON object that goes in, and is not sent back to the browser, not even beside an error."""

    def prepare_value(self, value: Any) -> str:
        return ""


class CustomToolForm(StaffForm):
    """A tool that can be called."""

    blame = {"headers": "new_headers"}

    new_headers = HeadersField(
        label="Headers",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text='A JSON object such as {"Authorization": "Bearer …"}. Encrypted when it is stored, and never shown '
        "again, to no model and to nobody here. Leave it empty to keep the stored headers; what is entered replaces "
        "them all. Another host in the address clears them: enter them again then.",
    )
    forget_headers = forms.BooleanField(
        label="Remove the stored headers", required=False, widget=UnfoldBooleanSwitchWidget()
    )

    class Meta:
        help_texts = {
            "url_template": "https://…, with {argument} in the path or query, and {visitor.user_id}, "
            "{visitor.company_id}, {visitor.email} or {conversation.id}, which the model cannot choose. Other "
            "arguments go into the query of GET and DELETE, and into a JSON body otherwise. Secrets belong into "
            "the headers.",
            "parameters": "A JSON schema of type object. What the model fills in is checked against it before the "
            "call; arguments that it does not name are refused.",
        }

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in builtin.BUILT_IN:
            raise forms.ValidationError(f"“{name}” is a tool that Halo has already.")
        return name

    def clean_parameters(self) -> Any:
        return self._as_form_error(check_schema, self.cleaned_data["parameters"])

    def clean_new_headers(self) -> Any:
        return self._as_form_error(check_headers, self.cleaned_data["new_headers"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("url_template") and "parameters" in cleaned:
            try:
                cleaned["url_template"] = self._as_form_error(
                    lambda value: check_template(
                        value, schema=cleaned["parameters"], plain_hosts=settings.HALO_OUTGOING_HOSTS
                    ),
                    cleaned["url_template"],
                )
            except forms.ValidationError as error:
                self.add_error("url_template", error)
        return cleaned

    def headers_to_store(self) -> dict[str, str] | None:
        """None keeps the stored ones, empty removes them."""
        if self.cleaned_data.get("forget_headers"):
            return {}
        return self.cleaned_data.get("new_headers") or None


@admin.register(CustomTool)
class CustomToolAdmin(StaffAdmin):
    """HTTP calls that agents may make; which agent may make which is chosen on the agent's page."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    may_delete = True
    form = CustomToolForm
    list_display = ("name", "what", "method", "goes_to", "active", "needs_verified_user", "needs_confirmation")
    list_filter = ("is_active", "method")
    search_fields = ("name", "description")
    search_help_text = "Name or description"
    ordering = ("name", "id")
    readonly_fields = ("stored_headers", "used_by")
    fieldsets = (
        (None, {"fields": ("name", "description", "is_active", "used_by")}),
        ("What the model fills in", {"fields": ("parameters",)}),
        ("The call", {"fields": ("method", "url_template", "stored_headers", "new_headers", "forget_headers")}),
        (
            "Care",
            {"fields": ("needs_verified_user", "needs_confirmation", "is_idempotent", "timeout_seconds")},
        ),
    )
    actions_detail: ClassVar[list[str]] = ["try_it"]
    help_texts: ClassVar[dict[str, str]] = {
        "is_active": "Off: no agent is offered it, from the next answer on, whatever its own settings say.",
        "method": "GET and DELETE send arguments in the address, the others in a JSON body.",
        "timeout_seconds": "The visitor waits for as long; past it the agent is told that the outcome is not known.",
    }
    not_for_new: ClassVar[set[str]] = {"stored_headers", "forget_headers", "used_by"}

    @admin.display(description="Description")
    def what(self, obj: CustomTool) -> str:
        return Truncator(obj.description).chars(60)

    @display(description="Active", ordering="is_active", boolean=True)
    def active(self, obj: CustomTool) -> bool:
        return obj.is_active

    @admin.display(description="Goes to")
    def goes_to(self, obj: CustomTool) -> str:
        return origin_of(obj.url_template)

    @admin.display(description="Stored headers")
    def stored_headers(self, obj: CustomTool) -> str:
        # SECURITY: their names only.
        return ", ".join(sorted(read_headers(obj.headers))) or "None"

    @admin.display(description="Agents that may use it")
    def used_by(self, obj: CustomTool) -> str:
        names = Agent.objects.for_org(obj.org_id).filter(tools__contains=str(obj.pk)).order_by("name")
        return ", ".join(names.values_list("name", flat=True)) or "None yet: choose it on an agent's page"

    @link(title="Try it", icon="experiment", needs=Action.BUILD)
    def try_it(self, request: HttpRequest, obj: CustomTool) -> str:
        return reverse("try-tool", args=[obj.pk])

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        hidden = set() if self._manages_secrets(request, obj) else {"new_headers", "forget_headers"}
        if obj is None:
            hidden |= self.not_for_new
        elif not obj.headers:
            hidden |= {"forget_headers"}
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in hidden]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def _manages_secrets(self, request: HttpRequest, obj: CustomTool | None) -> bool:
        org = self.form_org(request, obj)
        return may(request.user, Action.MANAGE_SECRETS, org) and may(request.user, Action.BUILD, org)

    def save_model(self, request: HttpRequest, obj: CustomTool, form: Any, change: bool) -> None:
        # SECURITY: fields that are not on the page are not in the form either; asked again where it is written.
        headers = form.headers_to_store() if self._manages_secrets(request, obj if change else None) else None
        if change:
            change_tool(tool=obj, names=form.changed_data, headers=headers, by=acting(request))
        else:
            add_tool(tool=obj, headers=headers, by=acting(request))
