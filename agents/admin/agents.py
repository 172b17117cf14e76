"""Staff pages of agents: the draft is edited here, and published when somebody says so."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.decorators import display

from agents.admin.agent_form import AgentForm, PublishForm
from agents.differences import changed, compare, fingerprint, label_of, settings_of
from agents.models import Agent, AgentVersion
from agents.publishing import DraftChanged, discard_draft, publish, save_draft, set_model_endpoint
from agents.services import add_agent, make_default, set_status
from orgs.permissions import Action, may
from orgs.staff_actions import button, link
from orgs.staff_admin import StaffAdmin, acting, when

ENDPOINT = {"base_url", "new_key", "forget_key"}
STATUS_COLOURS = {"Active": "success", "Paused": "warning", "Retired": "danger"}
PUBLISHED, UNPUBLISHED = "Published", "Unpublished changes"
LATEST = 10
CURRENT = mark_safe(' <span class="halo-tag good">current</span>')


def _tab(title: str, description: str, *fields: str) -> tuple[str, dict[str, Any]]:
    return title, {"classes": ["tab"], "description": description, "fields": fields}


@admin.register(Agent)
class AgentAdmin(StaffAdmin):
    """Saving stores the draft; visitors are answered by a numbered version, until the next one is published."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    form = AgentForm
    list_display = ("name", "status_label", "answers", "state", "version", "backend", "model", "created_at")
    list_filter = ("status", "is_default")
    list_select_related = ("current_version",)
    search_fields = ("name", "id")
    search_help_text = "Name or id"
    ordering = ("created_at", "id")
    readonly_fields = (
        "id",
        "status_label",
        "answers",
        "latest_versions",
        "key_state",
        "threshold_from_budget",
        "knowledge_named",
        "tools_named",
    )
    fieldsets = (
        _tab("Who it is", "Its name, what it should and should not do, and its tone.", "name", "instructions"),
        _tab(
            "What it may do",
            "What it answers from, and what it may do beside answering. Handing over to people has a tab of its own.",
            "sources",
            "tools",
            "may_open_tickets",
            "may_guide",
        ),
        _tab(
            "Answering",
            "How careful and how long its answers are, and what visitors read when there is none.",
            "guard",
            "unknown_text",
            "temperature",
            "max_tokens",
            "deadline_seconds",
            "on_failure",
            "failure_text",
        ),
        _tab(
            "Handing over",
            "When a person takes part, and what the ticket is like then.",
            "escalation",
            "error_budget",
            "escalation_threshold",
            "escalation_attempts",
            "escalation_phrases",
            "audience",
            "priority",
            "escalation_team",
            "handover_text",
            "takeover_text",
        ),
        _tab(
            "On the site",
            "How the chat looks, and what visitors see before anything was said. Pages that are open follow within a "
            "minute of publishing.",
            "greeting",
            "suggested_messages",
            "live_help_label",
            "primary_colour",
            "dark_primary_colour",
            "theme",
            "position",
            "avatar",
            "voice",
            "voice_language",
        ),
        _tab(
            "Model",
            "What writes the answers, and what it costs. A key is no part of versions: one for the address that is "
            "published is used as soon as it is saved.",
            "backend",
            "model",
            "base_url",
            "key_state",
            "new_key",
            "forget_key",
            "input_price",
            "output_price",
        ),
        _tab(
            "Versions",
            "What visitors were answered with, newest first.",
            "latest_versions",
            "status_label",
            "answers",
            "id",
        ),
    )
    change_form_outer_before_template = "admin/halo/draft.html"
    change_form_before_template = "admin/halo/seen.html"
    actions_detail: ClassVar[list[Any]] = [
        "try_draft",
        "publish_draft",
        {"title": "More", "icon": "more_horiz", "items": ["discard", "make_active", "activate", "pause", "retire"]},
    ]

    # --- Columns -----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("current_version")

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, obj: Agent) -> str:
        return obj.get_status_display()

    @display(description="The active agent", ordering="is_default", boolean=True)
    def answers(self, obj: Agent) -> bool:
        return obj.is_default

    @display(description="Draft", label={PUBLISHED: "success", UNPUBLISHED: "warning"})
    def state(self, obj: Agent) -> str:
        return UNPUBLISHED if obj.has_changes() else PUBLISHED

    @admin.display(description="Version", ordering="current_version__number")
    def version(self, obj: Agent) -> str:
        return str(obj.current_version.number) if obj.current_version else "—"

    @admin.display(description="Stored model key")
    def key_state(self, obj: Agent) -> str:
        state = "Set" if obj.api_key else "None"
        return f"{state}; the published address keeps its own" if obj.published_key else state

    @admin.display(description=label_of("escalation_threshold"))
    def threshold_from_budget(self, obj: Agent) -> SafeString:
        value = "Not set yet" if obj.escalation_threshold is None else f"{obj.escalation_threshold:.2f}"
        return format_html(
            '<strong>{}</strong><p class="halo-note">It is set from the answers that people judged, so that no more '
            "answers are wrong than the error budget allows. To set it by hand, empty the error budget and save.</p>",
            value,
        )

    @admin.display(description=label_of("sources"))
    def knowledge_named(self, obj: Agent) -> SafeString:
        return self._as_text(obj, "sources")

    @admin.display(description=label_of("tools"))
    def tools_named(self, obj: Agent) -> SafeString:
        return self._as_text(obj, "tools")

    def _as_text(self, obj: Agent, name: str) -> SafeString:
        known = next(found for found in settings_of(org_id=obj.org_id, config=obj.draft()) if found.name == name)
        return format_html('<span class="halo-plain">{}</span>', known.text or "—")

    @admin.display(description="Versions")
    def latest_versions(self, obj: Agent) -> SafeString:
        rows = AgentVersion.objects.for_org(obj.org_id).filter(agent=obj).select_related("created_by")
        listed = format_html_join(
            "",
            '<li><a href="{}">Version {}</a>{} — {}, {}{}</li>',
            (
                (
                    reverse("admin:agents_agentversion_change", args=[row.pk]),
                    row.number,
                    CURRENT if row.pk == obj.current_version_id else "",
                    when(row.created_at),
                    row.created_by or "the command line",
                    f" — {row.note}" if row.note else "",
                )
                for row in rows.order_by("-number")[:LATEST]
            ),
        )
        return format_html(
            '<ul class="halo-list">{}</ul><p><a class="halo-link" href="{}?agent__id__exact={}">All versions</a></p>',
            listed,
            reverse("admin:agents_agentversion_changelist"),
            obj.pk,
        )

    # --- The form ----------------------------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        hidden, instead = set(), {}
        if not self._manages_keys(request, obj):
            hidden = {"new_key", "forget_key"} | ({"base_url"} if obj is None else set())
        elif obj is None or not obj.api_key:
            hidden = {"forget_key"}
        if obj is None:
            hidden |= {"id", "status_label", "answers", "latest_versions", "key_state"}
        else:
            if obj.error_budget is not None:
                instead["escalation_threshold"] = "threshold_from_budget"
            if not self.has_change_permission(request, obj):
                instead |= {"sources": "knowledge_named", "tools": "tools_named"}
        fieldsets = [
            (
                title,
                {**options, "fields": [instead.get(name, name) for name in options["fields"] if name not in hidden]},
            )
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [(title, options) for title, options in fieldsets if options["fields"]]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = list(super().get_readonly_fields(request, obj))
        return fixed if self._manages_keys(request, obj) else [*fixed, "base_url"]

    def _manages_keys(self, request: HttpRequest, obj: Agent | None) -> bool:
        org = self.form_org(request, obj)
        return may(request.user, Action.MANAGE_SECRETS, org) and may(request.user, Action.BUILD, org)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        extra_context = dict(extra_context or {})
        if object_id:
            # Read before the form writes what was typed onto the same object.
            obj: Agent = self.get_object(request, unquote(object_id))
            draft, published = obj.draft(), obj.published()
            extra_context |= {
                "agent": obj,
                "may_publish": self.has_change_permission(request, obj),
                "unpublished": [label_of(name) for name in changed(published, draft)],
                "differences": compare(org_id=obj.org_id, before=published, after=draft),
                # Called when the page is rendered, and so after somebody else's change was found.
                "seen": lambda: self._seen(request, obj, fingerprint(draft)),
            }
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _seen(self, request: HttpRequest, obj: Agent, now_is: str) -> str:
        """What the form was made from: that stays what it was while other errors are mended."""
        if isinstance(getattr(request, "halo_refused", None), DraftChanged):
            return fingerprint(_stored(obj).draft())
        return request.POST.get("seen", now_is)

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        by, base_url = acting(request), obj.base_url
        endpoint = self._manages_keys(request, obj)
        key = form.key_to_store() if endpoint else None
        if not change:
            add_agent(agent=obj, by=by, base_url=base_url if endpoint else "", api_key=key or "", note="Made")
            return
        # Without it the request does not come from the page, and has seen nothing that it could overwrite unawares.
        save_draft(agent=obj, names=form.changed_data, by=by, seen=request.POST.get("seen"))
        if endpoint and ENDPOINT & {*form.changed_data}:
            set_model_endpoint(agent=obj, base_url=base_url, api_key=key, by=by)

    # --- Publishing --------------------------------------------------------------------------------------------------

    def _draft_shown(self, request: HttpRequest, obj: Agent) -> SafeString:
        """What differs now, with the mark by which the service sees that it is still that."""
        stored = _stored(obj)
        draft = stored.draft()
        context = {
            "differences": compare(org_id=stored.org_id, before=stored.published(), after=draft),
            "seen": fingerprint(draft),
        }
        return render_to_string("admin/halo/draft_asked.html", context)

    @button(
        title="Publish",
        icon="publish",
        primary=True,
        needs=Action.BUILD,
        explains="Visitors are answered by this from their next message on. Answers that are being written are not "
        "changed.",
        form=PublishForm,
        when=Agent.has_changes,
        shows=_draft_shown,
    )
    def publish_draft(self, request: HttpRequest, obj: Agent, data: dict[str, Any]) -> str:
        version = publish(agent=obj, by=acting(request), note=data["note"], seen=request.POST.get("seen"))
        return f"{version} is published."

    @button(
        title="Discard changes",
        icon="undo",
        needs=Action.BUILD,
        explains="The draft of {obj} becomes what is published. What is shown here is lost.",
        when=lambda agent: agent.current_version is not None and agent.has_changes(),
        shows=_draft_shown,
    )
    def discard(self, request: HttpRequest, obj: Agent, data: dict[str, Any]) -> str:
        dropped = discard_draft(agent=obj, by=acting(request), seen=request.POST.get("seen"))
        return " ".join(["The draft is what is published.", *dropped])

    @link(title="Try the draft", icon="experiment", needs=Action.BUILD)
    def try_draft(self, request: HttpRequest, obj: Agent) -> str:
        # By its name: agents know nothing of conversations, where it is answered.
        return reverse("try-agent", args=[obj.pk])

    # --- Status ------------------------------------------------------------------------------------------------------

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


def _stored(obj: Agent) -> Agent:
    found: Agent = Agent.objects.for_org(obj.org_id).select_related("current_version").get(pk=obj.pk)
    return found
