"""Actions on chosen rows of a list: each asks first, saying what will happen, and then calls a service row by row."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from halo.errors import HaloError
from orgs.permissions import Action, may

# More at once would take longer than a request should.
MOST = 200


def bulk(
    *,
    title: str,
    needs: Action,
    explains: str,
    done: str,
    danger: bool = False,
    when: Callable[[Any], bool] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., HttpResponse | None]]:
    """Makes `method(self, request, obj)` an action of the list that asks, and acts when it is confirmed.

    It is offered to whoever may do `needs` somewhere, and done to the chosen rows in whose organisation they may,
    `when` the row is in the right state; the others are left alone and counted. `done` says what happened to one.
    """

    def decorate(method: Callable[..., None]) -> Callable[..., HttpResponse | None]:
        @functools.wraps(method)
        def action(self: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
            # SECURITY: the queryset holds rows of the person's own organisations; the role in each is looked at here.
            chosen = list(queryset[: MOST + 1])
            if len(chosen) > MOST:
                messages.error(request, f"Choose {MOST} at most; more than that take too long at once.")
                return None
            fit = [row for row in chosen if may(request.user, needs, self.org_of(row)) and (when is None or when(row))]
            if not fit:
                messages.error(request, f"“{title}” is possible for none of these, or not for you.")
                return None
            if request.POST.get("confirmed") != "yes":
                return _ask(self, request, method.__name__, title, explains, fit, len(chosen), danger)
            _act(self, request, method, title, done, fit)
            return None

        action.short_description = title  # type: ignore[attr-defined]
        action.needs = needs  # type: ignore[attr-defined]
        return action

    return decorate


def _ask(
    self: Any, request: HttpRequest, name: str, title: str, explains: str, fit: list[Any], chosen: int, danger: bool
) -> HttpResponse:
    context = {
        **self.admin_site.each_context(request),
        "title": title,
        "opts": self.opts,
        "explains": explains,
        "rows": [self.name_of(row) for row in fit[:20]],
        "more": max(len(fit) - 20, 0),
        "left_alone": chosen - len(fit),
        "keys": [row.pk for row in fit],
        "name": name,
        "checkbox": ACTION_CHECKBOX_NAME,
        "danger": danger,
        "back": request.get_full_path(),
    }
    return TemplateResponse(request, "admin/halo/confirm_bulk.html", context)


def _act(self: Any, request: HttpRequest, method: Callable[..., None], title: str, done: str, fit: list[Any]) -> None:
    succeeded = 0
    for row in fit:
        try:
            method(self, request, row)
        except HaloError as error:
            messages.error(request, f"{self.name_of(row)}: {error.message}")
        else:
            succeeded += 1
    if succeeded:
        what = self.opts.verbose_name if succeeded == 1 else self.opts.verbose_name_plural
        messages.success(request, f"{succeeded} {what}: {done}.")
