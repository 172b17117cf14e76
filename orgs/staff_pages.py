"""Staff pages that belong to no model, such as those of analytics: one organisation at a time, by the same table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from halo.errors import NotFound
from orgs import audit
from orgs.models import Organization, User
from orgs.permissions import Action, may_somewhere, orgs_of, roles_of

View = Callable[[HttpRequest, Organization], HttpResponseBase]


@dataclass(frozen=True, slots=True)
class Door:
    """One address of a page: what it needs, whether it is read or pressed, and whether operators leave a trace."""

    view: View
    needs: Action
    route: str = ""
    name: str = ""
    method: str = "GET"
    audited: bool = True


@dataclass(frozen=True, slots=True)
class StaffPage:
    """A page with its addresses, the first of them its own; PAGES in orgs.staff_site places it by `name`."""

    name: str
    title: str
    route: str
    doors: tuple[Door, ...]

    def may_be_seen(self, request: HttpRequest) -> bool:
        return may_somewhere(request.user, self.doors[0].needs)

    def link(self, site: AdminSite) -> str:
        return reverse(f"{site.name}:{self.name}")

    def urls(self, site: AdminSite) -> list[URLPattern]:
        return [
            path(
                f"{self.route}{door.route}",
                site.admin_view(_guarded(site, self, door)),
                name=f"{self.name}_{door.name}" if door.name else self.name,
            )
            for door in self.doors
        ]


def _guarded(site: AdminSite, page: StaffPage, door: Door) -> Callable[[HttpRequest], HttpResponseBase]:
    def view(request: HttpRequest) -> HttpResponseBase:
        if request.method != door.method:
            return HttpResponseNotAllowed([door.method])
        if not may_somewhere(request.user, door.needs):
            raise PermissionDenied
        org = org_asked_for(request, door.needs)
        if org is None:
            return _choose_org(site, request, page, door)
        if door.audited:
            audit_operator(request, org, page.name)
        try:
            return door.view(request, org)
        except NotFound:
            raise Http404 from None

    return view


def org_asked_for(request: HttpRequest, needs: Action) -> Organization | None:
    """The organisation in the address, or the person's only one; None: ask."""
    possible = orgs_of(request.user, needs)
    wanted = request.GET.get("org")
    if wanted:
        try:
            # SECURITY: foreign, unknown and not allowed look the same.
            return possible.get(pk=wanted)
        except (Organization.DoesNotExist, ValidationError, ValueError):
            raise Http404 from None
    first = list(possible[:2])
    return first[0] if len(first) == 1 else None


def _choose_org(site: AdminSite, request: HttpRequest, page: StaffPage, door: Door) -> HttpResponseBase:
    term = request.GET.get("q", "").replace("\x00", "").strip()
    possible = orgs_of(request.user, door.needs).filter(name__icontains=term).order_by("name")
    context = {**site.each_context(request), "title": page.title, "term": term, "orgs": possible[:50]}
    return TemplateResponse(request, "admin/halo/choose_org.html", context)


def audit_operator(request: HttpRequest, org: Organization, page: str) -> None:
    """Superusers see every organisation; what they read in one that they do not belong to is written down."""
    user = request.user
    if isinstance(user, User) and user.is_superuser and org.pk not in roles_of(user):
        asked = {"page": page, "query": audit.query_of(request)}
        audit.record(org=org, actor=user, action="operator.read", after=asked)
