"""The page where a custom tool is tried out: arguments in, and what was sent, what came back and how long it took."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from agents.models import CustomTool
from agents.tools.custom import OF_THE_TURN, Subject, places_of
from agents.tools.examples import example_of
from agents.tools.reading import MAX_ARGUMENTS
from agents.tools.trying import Trial, try_out
from halo.api.strict_json import is_storable
from halo.errors import HaloError
from orgs.permissions import Action, may
from orgs.staff_admin import acting

_LABELS = {
    "visitor.user_id": "Id of the visitor",
    "visitor.company_id": "Id of the visitor's company",
    "visitor.email": "E-mail address of the visitor",
    "conversation.id": "Id of the conversation",
}


class TryToolForm(forms.Form):
    """What a model would fill in, and of what the turn fills in as much as the tool's address names."""

    arguments = forms.CharField(
        required=False,
        strip=False,
        max_length=MAX_ARGUMENTS,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
    )
    key = forms.UUIDField(widget=forms.HiddenInput())

    def __init__(self, tool: CustomTool, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = places_of(tool.url_template)
        self.of_the_turn = {name: name.replace(".", "_") for name in OF_THE_TURN if name in named}
        for name, field in self.of_the_turn.items():
            self.fields[field] = forms.CharField(
                label=_LABELS[name],
                max_length=255,
                widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
                help_text=f"Stands for {{{name}}}, which comes from the conversation in earnest.",
            )
        optional = [one for one in tool.parameters["properties"] if one not in tool.parameters.get("required", [])]
        also = f" There may also be: {', '.join(optional)}." if optional else ""
        self.fields["arguments"].help_text = f"A JSON object, as the model would write it.{also}"

    def clean_arguments(self) -> str:
        text: str = self.cleaned_data["arguments"]
        if not is_storable(text):
            raise forms.ValidationError("This holds characters that cannot be sent.")
        return text

    def subject(self) -> Subject:
        """Whom the call is about."""
        return Subject.of({name: self.cleaned_data[field] for name, field in self.of_the_turn.items()})


@require_http_methods(["GET", "POST"])
def try_tool(request: HttpRequest, tool_id: uuid.UUID) -> HttpResponse:
    """Asks, calls and shows. Nothing of it is kept but the audit's row."""
    page: Any = admin.site._registry[CustomTool]
    # SECURITY: through the page, which knows whose rows the person may see.
    tool: CustomTool = page.get_object(request, str(tool_id))
    if not may(request.user, Action.BUILD, tool.org_id):
        raise PermissionDenied
    trial: Trial | None = None
    if request.method == "POST":
        form = TryToolForm(tool, request.POST)
        if form.is_valid():
            try:
                trial = try_out(
                    tool=tool,
                    arguments=form.cleaned_data["arguments"],
                    subject=form.subject(),
                    key=form.cleaned_data["key"],
                    by=acting(request),
                )
            except HaloError as error:
                form.add_error(error.field if error.field in form.fields else None, error.message)
    else:
        example = json.dumps(example_of(tool.parameters), indent=2, ensure_ascii=False)
        form = TryToolForm(tool, initial={"arguments": example})
    context = {
        **admin.site.each_context(request),
        "title": "Try the tool",
        "subtitle": None,
        "opts": page.opts,
        "tool": tool,
        "original": tool,
        "has_view_permission": True,
        "form": form,
        # A fresh one each time: what was sent with the last one is not sent again by loading the page again.
        "key": uuid.uuid4(),
        "changes_something": tool.method != CustomTool.Method.GET,
        "trial": trial,
        "told": json.dumps(trial.outcome.result, indent=2, ensure_ascii=False) if trial else "",
    }
    return TemplateResponse(
        request, "admin/halo/try_tool.html", context, headers={"Cache-Control": "no-store, private"}
    )
