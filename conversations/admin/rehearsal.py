"""The page where a draft is tried out: one types a message, and sees the answer and how it came about."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from agents.differences import changed, label_of
from agents.models import Agent
from conversations.api.serializers import read_chat_request
from conversations.models import Turn
from conversations.rehearsal import ANSWERED, LOST, ROUTED, WAITING, Asked, Rehearsal, begin, find
from halo.api.strict_json import is_storable
from halo.errors import HaloError, InvalidRequest, Unavailable
from halo.markdown import link, render
from orgs.permissions import Action, may
from orgs.staff_admin import acting
from orgs.staff_forms import JSONObjectField

MOST_EARLIER = 50
MOST_TEXT = 20_000
# What a chat request calls the form's fields.
BLAME = {"custom_fields": "traits"}


class TryForm(forms.Form):
    """A message and what a request could bring with it, read as strictly as a visitor's."""

    message = forms.CharField(
        strip=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "What would a visitor write?"})
    )
    mode = forms.ChoiceField(choices=Turn.Mode.choices, required=False, widget=UnfoldAdminSelectWidget())
    verified = forms.BooleanField(
        label="As a verified user",
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="As if an identity token had proved who writes.",
    )
    traits = JSONObjectField(
        label="Traits of the visitor",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text='As in custom_fields: {"plan": "pro"}.',
    )
    context = JSONObjectField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text='Entries by key: {"cart": {"label": "Cart", "value": "2 items"}}.',
    )
    earlier = forms.CharField(required=False, widget=forms.HiddenInput())

    def clean_earlier(self) -> list[tuple[str, str]]:
        """What was said before on this page; the page's own JSON, and so hostile like all that a browser sends."""
        try:
            lines = json.loads(self.cleaned_data["earlier"] or "[]")
            found = [(str(role), str(text)[:MOST_TEXT]) for role, text in lines][-MOST_EARLIER:]
        except (ValueError, TypeError, RecursionError):
            raise ValidationError("Begin a new try-out: the earlier messages cannot be read.") from None
        if any(role not in ("user", "assistant") or not is_storable(text) for role, text in found):
            raise ValidationError("Begin a new try-out: the earlier messages cannot be read.")
        return found

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        body = {
            "message": cleaned["message"],
            "mode": cleaned["mode"],
            "custom_fields": cleaned["traits"],
            "context": cleaned["context"],
        }
        try:
            request = read_chat_request(body)
        except InvalidRequest as error:
            field = BLAME.get(error.field or "", error.field)
            self.add_error(field if field in self.fields else None, error.message)
            return cleaned
        cleaned["asked"] = Asked(
            message=request.message,
            mode=request.mode,
            verified=cleaned["verified"],
            traits=request.custom_fields,
            context=request.context,
            earlier=cleaned["earlier"],
        )
        return cleaned


@require_http_methods(["GET", "POST"])
def try_agent(request: HttpRequest, agent_id: uuid.UUID) -> HttpResponse:
    """Asks, waits and shows; what was said before stays in the page."""
    agent, page = _agent(request, agent_id)
    form, found, trouble = TryForm(request.POST), None, ""
    if request.method == "POST":
        if form.is_valid():
            try:
                key = begin(agent=agent, asked=form.cleaned_data["asked"], by=acting(request))
                return HttpResponseRedirect(f"{reverse('try-agent', args=[agent.pk])}?run={key}#answer")
            except HaloError as error:
                form.add_error(None, error.message)
        earlier = form.cleaned_data.get("earlier") or []
    else:
        try:
            found = _found(request, agent, request.GET["run"]) if "run" in request.GET else None
        except Unavailable as error:
            trouble = error.message
        earlier = _earlier(found)
        form = TryForm(initial=_initial(found, earlier))
    context = {
        **admin.site.each_context(request),
        "title": "Try the draft",
        "subtitle": None,
        "opts": page.opts,
        "agent": agent,
        "original": agent,
        "has_view_permission": True,
        "form": form,
        "unpublished": [label_of(name) for name in changed(agent.published(), agent.draft())],
        "trouble": trouble,
        "lines": [(role, render(text) if role == "assistant" else text) for role, text in earlier],
        **(_shown(found, request.GET.get("run", "")) if found else {}),
    }
    return TemplateResponse(
        request, "admin/halo/try_agent.html", context, headers={"Cache-Control": "no-store, private"}
    )


@require_GET
def state(request: HttpRequest, agent_id: uuid.UUID, key: str) -> HttpResponse:
    """Whether the try-out has come back; asked by the page's script."""
    agent, _ = _agent(request, agent_id)
    try:
        return JsonResponse({"state": _found(request, agent, key).state})
    except Unavailable as error:
        return JsonResponse({"code": error.code, "message": error.message}, status=error.status)


def _agent(request: HttpRequest, agent_id: uuid.UUID) -> tuple[Agent, Any]:
    page: Any = admin.site._registry[Agent]
    agent: Agent = page.get_object(request, str(agent_id))
    if not may(request.user, Action.BUILD, agent.org_id):
        raise PermissionDenied
    return agent, page


def _found(request: HttpRequest, agent: Agent, key: str) -> Rehearsal:
    found = find(person=acting(request), key=key)
    # SECURITY: of another person, of another agent, over, and never there: all the same.
    if found is None or found.agent_id != str(agent.pk):
        raise Http404
    return found


def _earlier(found: Rehearsal | None) -> list[tuple[str, str]]:
    """What the next message follows: an exchange that has not come back, or failed, is no part of it."""
    if found is None:
        return []
    if found.state != ANSWERED:
        return found.asked.earlier
    return [*found.asked.earlier, ("user", found.asked.message), ("assistant", found.result["text"])]


def _initial(found: Rehearsal | None, earlier: list[tuple[str, str]]) -> dict[str, Any]:
    if found is None:
        return {"traits": {}, "context": {}, "earlier": "[]"}
    asked = found.asked
    return {
        "mode": asked.mode,
        "verified": asked.verified,
        "traits": asked.traits,
        "context": asked.context,
        "earlier": json.dumps(earlier),
        # Nothing came of it: to be sent again.
        "message": "" if found.state in (WAITING, ANSWERED, ROUTED) else asked.message,
    }


def _shown(found: Rehearsal, key: str) -> dict[str, Any]:
    result = found.result
    return {
        "run": key,
        "rehearsal": found,
        "waiting": found.state == WAITING,
        "lost": found.state == LOST,
        "lines": [(role, render(text) if role == "assistant" else text) for role, text in found.asked.earlier],
        "answer": render(result["text"]) if found.state in (ANSWERED, ROUTED) else "",
        "citations": [
            {"n": item["n"], "quote": item["quote"], "source": link(item["url"], item["title"] or item["article_id"])}
            for item in result.get("citations", ())
        ],
        "actions": [
            (action.get("type", ""), [(name, value) for name, value in action.items() if name != "type"])
            for action in result.get("actions", ())
        ],
        "parts": [
            (title, json.dumps(result[name], indent=2, ensure_ascii=False))
            for title, name in (
                ("What decided about handing over", "explanation"),
                ("Timings (milliseconds)", "timings"),
                ("Prompt", "prompt"),
            )
            if result.get(name)
        ],
    }
