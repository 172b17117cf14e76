"""Staff pages of guidance: what agents are always shown."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import Truncator
from unfold.decorators import display

from agents.guidance import room_for
from agents.knowledge.models import Guidance
from orgs.permissions import Action
from orgs.rows import change_row
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_bulk import bulk
from orgs.staff_forms import StaffForm


class GuidanceForm(StaffForm):
    """Guidance that fits beside what is in use already."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("is_active") and self.org is not None:
            room = room_for(self.org, besides=self.instance.pk)
            if len(cleaned.get("text") or "") > room:
                self.add_error(
                    "text", f"All guidance in use together is too long: {max(room, 0):,} characters are left."
                )
        return cleaned


@admin.register(Guidance)
class GuidanceAdmin(StaffAdmin):
    """Always in the prompt, unlike articles, of which the fitting passages are."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    may_delete = True
    form = GuidanceForm
    list_display = ("title", "what", "in_use", "position")
    list_filter = ("is_active",)
    search_fields = ("title", "text")
    search_help_text = "Title or text"
    ordering = ("position", "pk")
    fieldsets = (
        (
            None,
            {
                "fields": ("title", "text", "is_active", "position"),
                "description": "Guidance is always shown to all agents of the organisation, above their own "
                "instructions and below what owners say in its settings. Knowledge is different: articles are looked "
                "up when they fit the question.",
            },
        ),
    )
    help_texts: ClassVar[dict[str, str]] = {
        "title": "For you; agents see it above the text.",
        "is_active": "Off: agents do not see it, from the next answer on.",
    }
    actions: ClassVar[list[str]] = ["take_out"]
    empty_title = "No guidance yet"
    empty_text = "Add what agents should keep in mind in every answer: tone, promises never to make, when to hand over."

    @bulk(
        title="Take out of use",
        needs=Action.BUILD,
        explains="Agents do not see these any more, from the next answer on. They stay here, and can be used again.",
        done="out of use",
        when=lambda guidance: guidance.is_active,
    )
    def take_out(self, request: HttpRequest, obj: Guidance) -> None:
        obj.is_active = False
        change_row(row=obj, names=["is_active"], by=acting(request))

    @admin.display(description="Text")
    def what(self, obj: Guidance) -> str:
        return Truncator(" ".join(obj.text.split())).chars(60)

    @display(description="In use", ordering="is_active", boolean=True)
    def in_use(self, obj: Guidance) -> bool:
        return obj.is_active
