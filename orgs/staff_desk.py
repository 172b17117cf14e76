"""Staff's pages outside the admin (inbox, transcripts, numbers): who enters, for which organisation, and their CSP."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from csp.decorators import csp
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse

from halo.errors import NotFound
from orgs.models import Organization, User
from orgs.permissions import Action, may_somewhere, orgs_of, roles_of
from orgs.staff_pages import audit_operator, org_asked_for
from orgs.tenancy import TenantModel

# SECURITY: what visitors wrote and models answered is shown here, so nothing inline runs, nothing is evaluated, and
# nothing comes from or goes to elsewhere.
STRICT_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
SHOWN_ORGS = 50


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the navigation; it is shown once an address is called `name`, to those who may do `needs`."""

    name: str
    title: str
    icon: str
    needs: Action


SECTIONS = (
    Section("inbox", "Inbox", "inbox", Action.WRITE_NOTES),
    Section("transcripts", "Transcripts", "transcripts", Action.READ_TRANSCRIPTS),
    Section("numbers", "Numbers", "numbers", Action.READ_TRANSCRIPTS),
)


def desk(
    *,
    needs: Action,
    methods: tuple[str, ...] = ("GET",),
    of: type[TenantModel] | None = None,
    named: str = "",
    operator_audit: bool = True,
) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Makes `view(request, org, **kwargs)` a page for whoever is logged in and may do `needs` in `org`.

    The organisation is that of the row of `of` whose key is the address's `named`; without, the one in `?org=`, or the
    person's only one, or the person is asked. What superusers look at in other people's organisations is audited,
    unless `operator_audit` is off because the view audits every reading itself, or is asked again and again.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        def entered(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            if request.method not in methods:
                return HttpResponseNotAllowed(methods)
            if not may_somewhere(request.user, needs):
                raise PermissionDenied
            if of is not None:
                org = _org_of_row(request, needs, of, kwargs[named])
            else:
                found = org_asked_for(request, needs)
                if found is None:
                    return _choose_org(request, needs)
                org = found
            if operator_audit:
                audit_operator(request, org, request.path)
            try:
                return view(request, org, **kwargs)
            except NotFound:
                raise Http404 from None

        @functools.wraps(view)
        def guarded(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            # Asked for late: the site is made when all apps are there.
            inside: Callable[..., HttpResponseBase] = admin.site.admin_view(csp(STRICT_CSP)(entered))
            return inside(request, **kwargs)

        return guarded

    return decorate


def show(
    request: HttpRequest,
    org: Organization | None,
    template: str,
    context: dict[str, Any],
    *,
    section: str,
    status: int = 200,
) -> TemplateResponse:
    """A page in the frame of templates/staff/base.html.

    It knows `title` (give one), `org`, `sections`, and `in_org`: what an address needs behind it to stay in `org`.
    """
    several = several_orgs(request)
    in_org = f"?org={org.pk}" if org is not None and several else ""
    frame = {
        "org": org,
        "several_orgs": several,
        "in_org": in_org,
        "sections": [
            {
                "title": part.title,
                "icon": part.icon,
                "link": link + in_org,
                "is_current": part.name == section,
            }
            for part in SECTIONS
            if (link := _address(part)) and may_somewhere(request.user, part.needs)
        ],
    }
    return TemplateResponse(request, template, {**frame, **context}, status=status)


def several_orgs(request: HttpRequest) -> bool:
    """Whether the person has more than one organisation to choose from, so that addresses have to name it."""
    user = request.user
    if isinstance(user, User) and user.is_superuser:
        return len(orgs_of(user)[:2]) > 1
    return isinstance(user, User) and len(roles_of(user)) > 1


def _address(part: Section) -> str:
    try:
        return reverse(part.name)
    except NoReverseMatch:
        return ""


def _org_of_row(request: HttpRequest, needs: Action, model: type[TenantModel], key: Any) -> Organization:
    # SECURITY: only among organisations in which this person may do it; foreign and unknown look the same.
    rows = model.objects.filter(pk=key).values("org")
    org = orgs_of(request.user, needs).filter(pk__in=rows).first()
    if org is None:
        raise Http404
    return org


def _choose_org(request: HttpRequest, needs: Action) -> HttpResponseBase:
    """A page that asks for the organisation, and keeps what else the address says."""
    term = request.GET.get("org_name", "").replace("\x00", "").strip()
    rest = request.GET.copy()
    for name in ("org", "org_name"):
        rest.pop(name, None)
    possible = orgs_of(request.user, needs).filter(name__icontains=term).order_by("name", "pk")
    context = {
        "title": "Which organisation?",
        "term": term,
        "rest": list(rest.items()),
        "query": f"{rest.urlencode()}&" if rest else "",
        "orgs": possible[:SHOWN_ORGS],
    }
    return show(request, None, "staff/choose_org.html", context, section="")
