"""Staff pages of published versions: what changed between them, and the way back."""

from __future__ import annotations

from typing import Any, ClassVar

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, Func, IntegerField, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from unfold.decorators import display

from agents.config import AgentConfig
from agents.differences import Difference, compare, settings_of
from agents.models import Agent, AgentVersion
from agents.publishing import roll_back, what_is_gone
from orgs.permissions import Action
from orgs.services import Conflict
from orgs.staff_actions import button
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_lists import ScopedRelatedFilter

# Turns are counted up to here, and versions offered for comparison.
MOST_TURNS = 1000
MOST_VERSIONS = 200
DRAFT = "draft"


@admin.register(AgentVersion)
class AgentVersionAdmin(StaffAdmin):
    """What an agent was when it answered; never changed."""

    read = Action.SEE_BUILD
    may_add = False
    list_display = ("agent", "number", "current", "note", "used", "maker", "created_at")
    list_display_links = ("agent", "number")
    list_filter = (("agent", ScopedRelatedFilter),)
    list_select_related = ("agent", "created_by")
    search_fields = ("agent__name", "note")
    ordering = ("-created_at", "-pk")
    fields = ("agent", "number", "current", "note", "maker", "created_at", "used")
    readonly_fields = ("current", "maker", "used")
    change_form_outer_after_template = "admin/halo/version.html"
    actions_detail: ClassVar[list[str]] = ["roll_back"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("agent", "created_by")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        changes.result_list = changes.result_list.annotate(turns=_turns())
        return changes

    @display(description="State", label={"Current": "success"})
    def current(self, obj: AgentVersion) -> str:
        return "Current" if _is_current(obj) else "Earlier"

    @admin.display(description="Published by")
    def maker(self, obj: AgentVersion) -> str:
        return str(obj.created_by or "The command line")

    @admin.display(description="Answered")
    def used(self, obj: Any) -> str:
        """How many messages it answered, or was asked to."""
        count = getattr(obj, "turns", None)
        if count is None:
            count = AgentVersion.objects.for_org(obj.org_id).values_list(_turns(), flat=True).get(pk=obj.pk)
        if count > MOST_TURNS:
            return f"over {MOST_TURNS:,} messages"
        return f"{count} message{'' if count == 1 else 's'}" if count else "nothing yet"

    # --- What changed ------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        version: AgentVersion = self.get_object(request, unquote(object_id))
        others = list(
            AgentVersion.objects.for_org(version.org_id)
            .filter(agent=version.agent)
            .exclude(pk=version.pk)
            .defer("config")
            .order_by("-number")[:MOST_VERSIONS]
        )
        wanted = request.GET.get("with", "")
        if not wanted:
            earlier = next((other for other in others if other.number < version.number), None)
            wanted = str(earlier.pk) if earlier else ""
        before, after, title = self._sides(version, wanted)
        extra_context = {
            **(extra_context or {}),
            "version": version,
            "others": others,
            "wanted": wanted,
            "has_draft": version.agent.has_changes() or not _is_current(version),
            "comparing": title,
            "differences": compare(org_id=version.org_id, before=before, after=after) if title else [],
            "settings": settings_of(org_id=version.org_id, config=AgentConfig.from_json(version.config)),
        }
        # Django takes no query but its own back to the list.
        return super().change_view(request, object_id, form_url, extra_context)

    def _sides(self, version: AgentVersion, wanted: str) -> tuple[AgentConfig, AgentConfig, str]:
        """What to compare, the older first, and what the comparison is called: empty where there is none."""
        own = AgentConfig.from_json(version.config)
        if wanted == DRAFT:
            return own, version.agent.draft(), f"From version {version.number} to the draft"
        if not wanted:
            return own, own, ""
        # SECURITY: a version of the same agent, and so of the same organisation; any other is as unknown.
        rows = AgentVersion.objects.for_org(version.org_id).filter(agent=version.agent)
        other = rows.filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
        if other is None:
            raise Http404
        first, second = sorted((version, other), key=lambda row: row.number)
        title = f"From version {first.number} to version {second.number}"
        return AgentConfig.from_json(first.config), AgentConfig.from_json(second.config), title

    # --- The way back ------------------------------------------------------------------------------------------------

    def name_of(self, obj: AgentVersion) -> str:
        return f"{obj.agent}, version {obj.number}"

    def _back_shown(self, request: HttpRequest, obj: AgentVersion) -> SafeString:
        agent = obj.agent
        context: dict[str, Any] = {"unpublished": agent.has_changes() and not _is_current(obj), "agent": agent}
        try:
            context["dropped"] = what_is_gone(version=obj)
        except Conflict as error:
            context["refused"] = error.message
        differences: list[Difference] = compare(
            org_id=obj.org_id, before=agent.published(), after=AgentConfig.from_json(obj.config)
        )
        return render_to_string("admin/halo/back_asked.html", {**context, "differences": differences})

    @button(
        title="Roll back to this version",
        icon="history",
        needs=Action.BUILD,
        explains="A new version is published that is as this one was, and visitors are answered by it from their next "
        "message on. No version is lost.",
        when=lambda version: not _is_current(version),
        shows=_back_shown,
    )
    def roll_back(self, request: HttpRequest, obj: AgentVersion, data: dict[str, Any]) -> str | HttpResponse:
        version, dropped = roll_back(version=obj, by=acting(request))
        self.message_user(request, " ".join([f"{version} is published, as version {obj.number} was.", *dropped]))
        return HttpResponseRedirect(self.change_url(version.pk))


def _is_current(version: AgentVersion) -> bool:
    agent: Agent = version.agent
    return agent.current_version_id == version.pk


def _turns() -> Func:
    """How many turns name the version, counted to one more than MOST_TURNS: never all of a large table."""
    # By its label: agents know nothing of conversations.
    turns = apps.get_model("conversations.Turn").objects.filter(agent_version=OuterRef("pk"), org=OuterRef("org"))
    found = ArraySubquery(turns.order_by().annotate(one=F("seq")).values("one")[: MOST_TURNS + 1])
    return Func(found, function="cardinality", output_field=IntegerField())
