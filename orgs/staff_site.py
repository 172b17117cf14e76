"""The admin site: who may enter, its front page and sidebar, and the page where an invited person sets a password."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, cast

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.tokens import default_token_generator
from django.contrib.auth.views import PasswordResetConfirmView
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.text import capfirst
from django.views.decorators.cache import never_cache
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite
from unfold.widgets import BASE_INPUT_CLASSES

from orgs import audit
from orgs.permissions import roles_of
from orgs.staff_pages import StaffPage

# (group, ((model or name of a StaffPage, icon, what one does there), ...)); what a person may not see is left out.
PAGES: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Conversations",
        (
            ("conversations.Conversation", "forum", "What visitors asked and what they were answered."),
            ("conversations.Ticket", "confirmation_number", "Work that was handed to a team."),
            ("conversations.CannedReply", "quickreply", "Replies that are kept ready for the inbox."),
            ("export", "download", "Conversations and messages as files."),
        ),
    ),
    (
        "Analytics",
        (("confidence", "target", "How often answers are right, and how sure one must be for an error budget."),),
    ),
    (
        "Agents and knowledge",
        (
            ("agents.Agent", "smart_toy", "Who answers: instructions, model, greeting, and which one is active."),
            ("agents.RoutingRule", "alt_route", "Messages that go straight to a team."),
            ("agents.Guidance", "signpost", "What agents keep in mind in every answer."),
            ("agents.Source", "library_books", "Where knowledge comes from: websites, files, imports."),
            ("agents.Article", "article", "What the agents know and quote; write one here."),
            ("agents.CustomTool", "build", "Calls to other systems that agents may make."),
        ),
    ),
    (
        "People on the site",
        (
            ("chat_sessions.EndUser", "person", "The customer's users, as far as they were named."),
            ("chat_sessions.Company", "domain", "The firms that they belong to."),
            ("chat_sessions.Event", "ads_click", "What visitors did on the site."),
        ),
    ),
    (
        "Organisation",
        (
            ("orgs.Organization", "apartment", "Settings, identity verification, the model, retention."),
            ("orgs.Membership", "badge", "Who works here, as what."),
            ("orgs.Team", "groups", "Who takes tickets together."),
            ("install", "integration_instructions", "Put the chat onto your website, and see what arrives."),
            ("orgs.WidgetKey", "key", "The public keys that websites use."),
            ("orgs.IdentitySecret", "encrypted", "What your server signs identity tokens with."),
            ("conversations.Webhook", "webhook", "Other systems that are told of tickets."),
            ("conversations.OutboxItem", "outbox", "E-mails and calls that went out, or were given up."),
            ("privacy", "shield_person", "Export or erase a person; how long things are kept."),
            ("orgs.ApiKey", "api", "Keys that tools of yours read conversations and tickets with."),
            ("orgs.AuditEntry", "history", "Who did what, and when."),
        ),
    ),
    ("Installation", (("orgs.User", "manage_accounts", "Everybody who may log in here."),)),
)


class LoginForm(AuthenticationForm):
    """E-mail address and password."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "The e-mail address or the password is wrong, or the account may not log in here.",
    }


class StaffPasswordForm(SetPasswordForm):
    """Two fields for a new password, dressed like the login page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = " ".join(BASE_INPUT_CLASSES)


class SetPasswordView(PasswordResetConfirmView):
    """The page behind a single-use link."""

    form_class = StaffPasswordForm
    template_name = "admin/halo/set_password.html"
    success_url = reverse_lazy("admin:index")
    post_reset_login = False

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        audit.record(
            org=None,
            actor=form.user,
            action="password.set",
            target=form.user,
            address=audit.address_of(self.request),
        )
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**admin.site.each_context(self.request), **super().get_context_data(**kwargs)}


class ScopedAutocomplete(AutocompleteJsonView):
    """Looks rows up in the organisation of the form that asks."""

    def get_queryset(self) -> QuerySet[Any]:
        self.term = self.term.replace("\x00", "")
        # SECURITY: the model admin's queryset holds the person's organisations only; `org` narrows it further.
        queryset = super().get_queryset()
        try:
            wanted = uuid.UUID(self.request.GET.get("org", ""))
        except ValueError:
            return queryset.none()
        return queryset.filter(org=wanted)


class StaffSite(UnfoldAdminSite):
    """Teammates of an organisation and superusers may enter, each to see their own."""

    site_title = site_header = "Halo"
    login_form = LoginForm

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.pages: dict[str, StaffPage] = {}
        self.front: Callable[[HttpRequest], dict[str, Any]] | None = None

    def add_page(self, page: StaffPage) -> None:
        """Makes a page that belongs to no model part of the site; before the addresses are asked for."""
        self.pages[page.name] = page

    def set_front(self, front: Callable[[HttpRequest], dict[str, Any]]) -> None:
        """What the front page says above its list of pages; `front` adds to the context of admin/index.html."""
        self.front = front

    def has_permission(self, request: HttpRequest) -> bool:
        user: Any = request.user
        if not (user.is_active and getattr(user, "is_staff", False)):
            return False
        audit.came_from(user, request)
        return bool(user.is_superuser or roles_of(user))

    def extra_urls(self) -> list[URLPattern]:
        """Pages without a model, and the address that needs no login: who has the link is whom it was made for."""
        link = path("set-password/<uidb64>/<token>/", never_cache(SetPasswordView.as_view()), name="set_password")
        return [link, *(url for page in self.pages.values() for url in page.urls(self))]

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        return cast(HttpResponse, ScopedAutocomplete.as_view(admin_site=self)(request))

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        front = self.front(request) if self.front is not None else {}
        context = {"title": "Welcome", "groups": self._groups(request), **front, **(extra_context or {})}
        return super().index(request, context)

    def _groups(self, request: HttpRequest) -> list[dict[str, Any]]:
        groups = []
        for title, pages in PAGES:
            items = []
            for label, icon, does in pages:
                entry = self._entry(request, label)
                if entry is not None:
                    items.append({**entry, "icon": icon, "does": does})
            if items:
                groups.append({"title": title, "separator": True, "collapsible": False, "items": items})
        return groups

    def _entry(self, request: HttpRequest, label: str) -> dict[str, Any] | None:
        """Title and link of a page in PAGES, if this person may see it."""
        if "." not in label:
            plain = self.pages.get(label)
            seen = plain is not None and plain.may_be_seen(request)
            return {"title": plain.title, "link": plain.link(self)} if plain is not None and seen else None
        model = apps.get_model(label)
        page = self._registry.get(model)
        if page is None or not page.has_module_permission(request):
            return None
        link = reverse(f"{self.name}:{model._meta.app_label}_{model._meta.model_name}_changelist")
        return {"title": capfirst(str(model._meta.verbose_name_plural)), "link": link}


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """What unfold shows in the sidebar: the pages that this person may see."""
    site: Any = admin.site
    home = {"title": "Home", "icon": "home", "link": reverse("admin:index")}
    return [{"title": "", "separator": False, "items": [home]}, *site._groups(request)]


def password_link(request: HttpRequest, user: Any) -> str:
    """A link that lets its bearer set `user`'s password, once, within three days."""
    key = urlsafe_base64_encode(force_bytes(user.pk))
    where = reverse("admin:set_password", args=[key, default_token_generator.make_token(user)])
    return request.build_absolute_uri(where)
