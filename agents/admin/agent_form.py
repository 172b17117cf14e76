"""The form of an agent: every setting of the draft, as somebody of the support team understands it."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminColorInputWidget,
    UnfoldAdminTextareaWidget,
)

from agents.appearance import LONGEST_SUGGESTION, MOST_SUGGESTIONS
from agents.condition_fields import ConditionsField
from agents.differences import label_of
from agents.models import Agent, CustomTool, Source
from agents.publishing import MAX_NOTE
from orgs.staff_forms import LinesField, ModelKeyFields, StaffForm


class RowsField(forms.MultipleChoiceField):
    """Rows of the form's organisation, as checkboxes; stored as a list of ids."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def offer(self, choices: list[tuple[str, str]], *, otherwise: str) -> None:
        # SECURITY: what is not offered is not accepted, so that foreign and unknown ids are the same error.
        self.choices = choices
        if not choices:
            self.help_text = otherwise


def _help(name: str) -> str:
    return getattr(Agent._meta.get_field(name), "help_text", "")


def _conditions(name: str) -> ConditionsField:
    return ConditionsField(label=label_of(name), help_text=_help(name))


class AgentForm(ModelKeyFields, StaffForm):
    """The draft. Sources and tools are ticked off; conditions are checked before they are stored."""

    class Meta:
        widgets = {
            "primary_colour": UnfoldAdminColorInputWidget(),
            "dark_primary_colour": UnfoldAdminColorInputWidget(),
        }

    sources = RowsField(
        label=label_of("sources"),
        required=False,
        help_text="What the agent may answer from. None ticked: everything that the organisation has, also what is "
        "added later.",
    )
    tools = RowsField(
        label=label_of("tools"),
        required=False,
        help_text="Calls to your own systems that the agent may make by itself. None ticked: none.",
    )

    suggested_messages = LinesField(
        label=label_of("suggested_messages"),
        required=False,
        max_length=MOST_SUGGESTIONS * (LONGEST_SUGGESTION + 2),
        help_text=_help("suggested_messages"),
    )
    audience = _conditions("audience")
    priority = _conditions("priority")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.org is None:
            return
        if isinstance(field := self.fields.get("sources"), RowsField):
            rows = Source.objects.for_org(self.org).order_by("name").values_list("pk", "name")
            field.offer(
                [(str(pk), name) for pk, name in rows],
                otherwise="The organisation has no knowledge yet. All that is added later can be answered from.",
            )
        if isinstance(field := self.fields.get("tools"), RowsField):
            chosen = set(self.instance.tools)
            tools = CustomTool.objects.for_org(self.org).order_by("name").only("name", "description", "is_active")
            field.offer(
                [
                    (str(tool.pk), f"{tool.name}: {tool.description}" if tool.is_active else f"{tool.name} (off)")
                    for tool in tools
                    # One that was ticked and switched off since stays ticked, unless somebody takes it away.
                    if tool.is_active or str(tool.pk) in chosen
                ],
                otherwise="The organisation has no custom tools yet.",
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("error_budget") is not None and "escalation_threshold" in cleaned:
            # It follows from the budget; what stood beside it in the form is not a decision.
            cleaned["escalation_threshold"] = self.initial.get("escalation_threshold")
        return cleaned


class PublishForm(forms.Form):
    """Why the draft is published."""

    note = forms.CharField(
        label="Note",
        max_length=MAX_NOTE,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="What changed and why, for whoever reads the list of versions.",
    )
