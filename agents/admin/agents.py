"""Staff pages of agents."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from agents.models import Agent, AgentVersion
from agents.services import add_agent, change_agent, make_default, set_model_endpoint, set_status
from orgs.permissions import Action, may
from orgs.staff_actions import button
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_forms import ModelKeyFields, StaffForm

ENDPOINT = {"base_url", "new_key", "forget_key"}
STATUS_COLOURS = {"Active": "success", "Paused": "warning", "Retired": "danger"}


class AgentForm(ModelKeyFields, StaffForm):
    """What the agent is, and a note for the version that saving publishes."""

    note = forms.CharField(
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
        help_text="What changed and why; kept with the version that is published when you save.",
    )


@admin.register(Agent)
class AgentAdmin(StaffAdmin):
    """Saving publishes: what visitors are answered with is always a numbered version."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    form = AgentForm
    list_display = ("name", "status_label", "answers", "backend", "model", "version", "created_at")
    list_filter = ("status", "is_default")
    list_select_related = ("current_version",)
    search_fields = ("name", "id")
    search_help_text = "Name or id"
    ordering = ("created_at", "id")
    readonly_fields = ("id", "status_label", "answers", "version", "versions", "key_state")
    fieldsets = (
        (None, {"fields": ("name", "instructions", "greeting")}),
        ("Model", {"fields": ("backend", "model", "base_url", "key_state", "new_key", "forget_key")}),
        ("Answering", {"fields": ("temperature", "max_tokens", "deadline_seconds", "on_failure", "failure_text")}),
        ("With people", {"fields": ("takeover_text",)}),
        ("Publishing", {"fields": ("status_label", "answers", "version", "note", "versions", "id")}),
    )
    actions_detail: ClassVar[list[str]] = ["make_active", "activate", "pause", "retire"]

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, obj: Agent) -> str:
        return obj.get_status_display()

    @display(description="The active agent", ordering="is_default", boolean=True)
    def answers(self, obj: Agent) -> bool:
        return obj.is_default

    @admin.display(description="Version")
    def version(self, obj: Agent) -> str:
        return str(obj.current_version.number) if obj.current_version else "—"

    @admin.display(description="Stored model key")
    def key_state(self, obj: Agent) -> str:
        return "Set" if obj.api_key else "None"

    @admin.display(description="Latest versions")
    def versions(self, obj: Agent) -> str:
        rows = AgentVersion.objects.for_org(obj.org_id).filter(agent=obj).select_related("created_by")
        listed = format_html_join(
            "",
            '<li><a href="{}">Version {}</a> — {:%Y-%m-%d %H:%M}, {} {}</li>',
            (
                (
                    reverse("admin:agents_agentversion_change", args=[row.pk]),
                    row.number,
                    row.created_at,
                    row.created_by or "the command line",
                    f"— {row.note}" if row.note else "",
                )
                for row in rows.order_by("-number")[:10]
            ),
        )
        return format_html('<ul class="halo-list">{}</ul>', listed)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        hidden = set()
        if not self._manages_keys(request, obj):
            hidden = {"new_key", "forget_key"} | ({"base_url"} if obj is None else set())
        elif obj is None or not obj.api_key:
            hidden = {"forget_key"}
        if obj is None:
            hidden |= {"id", "status_label", "answers", "version", "versions", "key_state"}
        elif not self.has_change_permission(request, obj):
            hidden |= {"note"}
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in hidden]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = list(super().get_readonly_fields(request, obj))
        return fixed if self._manages_keys(request, obj) else [*fixed, "base_url"]

    def _manages_keys(self, request: HttpRequest, obj: Agent | None) -> bool:
        org = self.form_org(request, obj)
        return may(request.user, Action.MANAGE_SECRETS, org) and may(request.user, Action.BUILD, org)

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        by, note = acting(request), form.cleaned_data.get("note", "")
        endpoint = self._manages_keys(request, obj)
        key = form.key_to_store() if endpoint else None
        if not change:
            add_agent(agent=obj, by=by, base_url=obj.base_url if endpoint else "", api_key=key or "", note=note)
            return
        if endpoint and ENDPOINT & {*form.changed_data}:
            set_model_endpoint(agent=obj, base_url=obj.base_url, api_key=key, by=by, note=note)
        change_agent(agent=obj, names=form.changed_data, by=by, note=note)

    @button(
        title="Make active",
        icon="star",
        needs=Action.BUILD,
        explains="{obj} answers from now on wherever a request names no agent.",
        when=lambda agent: agent.status == Agent.Status.ACTIVE and not agent.is_default,
    )
    def make_active(self, request: HttpRequest, obj: Agent, data: dict[str, Any]) -> str:
        make_default(agent=obj, by=acting(request))
        return f"{obj} is the active agent."

    @button(
        title="Activate",
        icon="play_arrow",
        needs=Action.BUILD,
        explains="{obj} answers again, where it is named or is the active agent.",
        when=lambda agent: agent.status != Agent.Status.ACTIVE,
    )
    def activate(self, request: HttpRequest, obj: Agent, data: dict[str, Any]) -> str:
        set_status(agent=obj, status=Agent.Status.ACTIVE, by=acting(request))
        return f"{obj} is active."

    @button(
        title="Pause",
        icon="pause",
        needs=Action.BUILD,
        explains="{obj} answers nobody until it is activated again. Requests that name it are refused; those that name "
        "none go to the oldest agent that is active, and are refused where there is none.",
        when=lambda agent: agent.status == Agent.Status.ACTIVE,
    )
    def pause(self, request: HttpRequest, obj: Agent, data: dict[str, Any]) -> str:
        set_status(agent=obj, status=Agent.Status.PAUSED, by=acting(request))
        return f"{obj} is paused."

    @button(
        title="Retire",
        icon="archive",
        danger=True,
        needs=Action.BUILD,
        explains="{obj} answers nobody any more, and is no longer the active agent. Its transcripts stay; agents are "
        "never deleted, as transcripts name them.",
        when=lambda agent: agent.status != Agent.Status.RETIRED,
    )
    def retire(self, request: HttpRequest, obj: Agent, data: dict[str, Any]) -> str:
        set_status(agent=obj, status=Agent.Status.RETIRED, by=acting(request))
        return f"{obj} is retired."
