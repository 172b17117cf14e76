"""Buttons above a staff page: each asks first, saying what will happen, and then calls a service."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.enums import ActionVariant

from halo.errors import HaloError
from orgs.permissions import Action, may

Offered = Callable[[Any, HttpRequest, Any], bool]


def button(
    *,
    title: str,
    needs: Action,
    explains: str,
    icon: str = "",
    danger: bool = False,
    primary: bool = False,
    form: type[forms.Form] | None = None,
    when: Callable[[Any], bool] | None = None,
    also: Offered | None = None,
    shows: Callable[[Any, HttpRequest, Any], SafeString] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., HttpResponse]]:
    """Makes `method(self, request, obj, data) -> str | HttpResponse` a page that asks, and acts when it is posted.

    `explains` may hold `{obj}`. It is offered to whoever may do `needs` in the row's organisation, `when` the row is
    in the right state, and where `also(self, request, obj)` holds. `shows(self, request, obj)` is what the asking page
    shows above its fields. A returned sentence is shown on the row's page.
    """

    def offered(self: Any, request: HttpRequest, obj: Any) -> bool:
        return (
            may(request.user, needs, self.org_of(obj))
            and (when is None or when(obj))
            and (also is None or also(self, request, obj))
        )

    def decorate(method: Callable[..., Any]) -> Callable[..., HttpResponse]:
        @functools.wraps(method)
        def view(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            if request.method not in ("GET", "POST"):
                return HttpResponseNotAllowed(["GET", "POST"])
            obj = self.get_object(request, unquote(object_id))
            if not may(request.user, needs, self.org_of(obj)):
                raise PermissionDenied
            back = self.change_url(obj.pk)
            if not offered(self, request, obj):
                messages.error(request, f"“{title}” is not possible here any more, or not for you.")
                return HttpResponseRedirect(back)
            sent = (request.POST, request.FILES) if request.method == "POST" else ()
            asked = (form or forms.Form)(*sent)
            if request.method == "POST" and asked.is_valid():
                try:
                    done = method(self, request, obj, asked.cleaned_data)
                except HaloError as error:
                    asked.add_error(None, error.message)
                else:
                    if isinstance(done, HttpResponse):
                        return done
                    messages.success(request, done)
                    return HttpResponseRedirect(back)
            context = {
                **self.admin_site.each_context(request),
                "title": title,
                "subtitle": self.name_of(obj),
                "opts": self.opts,
                "form": asked,
                "explains": explains.format(obj=obj),
                "danger": danger,
                "shown": shows(self, request, obj) if shows else "",
                "back": back,
            }
            return TemplateResponse(request, "admin/halo/confirm.html", context)

        view.short_description = title  # type: ignore[attr-defined]
        view.icon = icon  # type: ignore[attr-defined]
        view.attrs = {}  # type: ignore[attr-defined]
        view.variant = (  # type: ignore[attr-defined]
            ActionVariant.DANGER if danger else ActionVariant.PRIMARY if primary else ActionVariant.DEFAULT
        )
        view.original_function_name = method.__name__  # type: ignore[attr-defined]
        view.offered = offered  # type: ignore[attr-defined]
        return view

    return decorate


def link(*, title: str, needs: Action, icon: str = "") -> Callable[[Callable[..., str]], Callable[..., HttpResponse]]:
    """Makes `method(self, request, obj) -> str` a button that leads to that address, for whoever may do `needs`."""

    def offered(self: Any, request: HttpRequest, obj: Any) -> bool:
        return may(request.user, needs, self.org_of(obj))

    def decorate(method: Callable[..., str]) -> Callable[..., HttpResponse]:
        @functools.wraps(method)
        def view(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
            obj = self.get_object(request, unquote(object_id))
            if not offered(self, request, obj):
                raise PermissionDenied
            return HttpResponseRedirect(method(self, request, obj))

        view.short_description = title  # type: ignore[attr-defined]
        view.icon = icon  # type: ignore[attr-defined]
        view.attrs = {}  # type: ignore[attr-defined]
        view.variant = ActionVariant.DEFAULT  # type: ignore[attr-defined]
        view.original_function_name = method.__name__  # type: ignore[attr-defined]
        view.offered = offered  # type: ignore[attr-defined]
        return view

    return decorate


def shown_once(
    self: Any, request: HttpRequest, *, title: str, what: str, value: str, explains: str, back: str
) -> TemplateResponse:
    """The answer to a POST that shows a secret: it is in this response, and in no message, session or cache."""
    context = {
        **self.admin_site.each_context(request),
        "title": title,
        "opts": self.opts,
        "what": what,
        "value": value,
        "explains": explains,
        "back": back,
    }
    return TemplateResponse(
        request, "admin/halo/shown_once.html", context, headers={"Cache-Control": "no-store, private"}
    )
