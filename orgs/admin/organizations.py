"""Staff pages of organisations and their settings."""

from __future__ import annotations

import re
import uuid
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from orgs.members import OWNER, invite_member
from orgs.models import IdentitySecret, Organization, User
from orgs.permissions import Action, may
from orgs.services import create_organization, save_settings, set_model_endpoint
from orgs.staff_actions import shown_once
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_forms import ModelKeyFields, StaffForm
from orgs.staff_site import password_link

# What those may change who manage API keys, but not the other settings.
ENDPOINT = ("model_base_url", "new_key", "forget_key")


class OrganizationForm(ModelKeyFields, StaffForm):
    """Settings, with the model's key as a field that never shows what is stored."""

    blame: ClassVar[dict[str, str]] = {"base_url": "model_base_url"}

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].strip().upper()
        if not re.fullmatch(r"[A-Z]{3}", currency):
            raise ValidationError("A currency is three letters, such as USD or EUR.")
        return currency


class NewOrganizationForm(StaffForm):
    """A name suffices."""

    slug = forms.SlugField(
        required=False,
        max_length=80,
        widget=UnfoldAdminTextInputWidget(),
        help_text="A short name for commands and addresses. Empty: made from the name.",
    )
    owner = forms.EmailField(
        label="Owner's e-mail",
        required=False,
        widget=UnfoldAdminEmailInputWidget(),
        help_text="Becomes the first member, and can invite the others. Somebody without an account gets a link.",
    )

    class Meta:
        model = Organization
        fields = ("name", "slug", "verify_identity", "model_backend")

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        if slug and Organization.objects.filter(slug=slug).exists():
            raise ValidationError("This slug is taken.")
        return slug

    def _get_validation_exclusions(self) -> set[str]:
        # An empty slug is made by the service.
        return super()._get_validation_exclusions() | {"slug"}


@admin.register(Organization)
class OrganizationAdmin(StaffAdmin):
    """Superusers make organisations; owners change their settings."""

    read = Action.SEE_SETTINGS
    edit = Action.CHANGE_SETTINGS
    form = OrganizationForm
    list_display = ("name", "slug", "verify_identity", "model_backend", "created_at")
    list_filter = ("verify_identity", "model_backend")
    search_fields = ("name", "slug", "id")
    search_help_text = "Name, slug or id"
    ordering = ("name", "pk")
    readonly_fields = ("id", "created_at")
    help_texts: ClassVar[dict[str, str]] = {
        "name": "What teammates read; visitors do not see it.",
        "model_backend": "Changing it changes what all agents without a setting of their own answer with, from the "
        "next message on. Quoting the knowledge needs no model and sends nothing anywhere.",
        "model_name": "As the endpoint calls it. A name that it does not know makes every answer fail.",
        "output_price": "Empty: the cost of answers is not known.",
        "retain_messages_months": "Counted from a conversation's last message. Then it is deleted whole, with its "
        "images, tickets and session. Shortening this deletes what is older within the hour, and nothing brings it "
        "back; the numbers in Analytics stay.",
        "retain_traces_days": "How answers came about: prompts, passages and timings. Without a trace an answer is "
        "still in its transcript, with its confidence.",
        "retain_events_days": "What visitors did on the site. Agents look back half an hour at most.",
    }
    fieldsets = (
        (None, {"fields": ("name", "slug", "id", "created_at")}),
        ("Identity", {"fields": ("verify_identity",)}),
        (
            "Answering",
            {
                "fields": ("guidance", "model_backend", "model_base_url", "model_name", "new_key", "forget_key"),
                "description": "What agents use that have no setting of their own.",
            },
        ),
        (
            "What answers cost",
            {
                "fields": ("input_price", "output_price", "currency"),
                "description": "Tokens times these prices are the cost on traces and conversations. Halo looks up no "
                "prices: copy them from your provider. They count from the next answer on; an agent may have prices "
                "of its own.",
            },
        ),
        (
            "Limits and retention",
            {
                "fields": (
                    "key_rate_limit",
                    "turn_limit",
                    "retain_messages_months",
                    "retain_traces_days",
                    "retain_events_days",
                    "retain_people_months",
                ),
                "description": "What is older than this is deleted for good, within the hour. Numbers stay: they hold "
                "nothing of anybody. A single person is erased under Data protection.",
            },
        ),
    )
    add_fieldsets = ((None, {"fields": ("name", "slug", "owner", "verify_identity", "model_backend")}),)

    def org_of(self, obj: Organization) -> uuid.UUID:
        return obj.pk

    def scoped(self, queryset: QuerySet[Any], ids: list[uuid.UUID]) -> QuerySet[Any]:
        return queryset.filter(pk__in=ids)

    def form_org(self, request: HttpRequest, obj: Any) -> Organization | None:
        return obj

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may(request.user, Action.RUN_INSTALLATION, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) or self._may(request, Action.MANAGE_SECRETS, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            hidden = set() if obj is None or obj.model_api_key else {"forget_key"}
        else:
            hidden = {"new_key", "forget_key"}
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name not in hidden]})
            for title, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = list(super().get_readonly_fields(request, obj))
        if obj is None:
            return fixed
        if not may(request.user, Action.CHANGE_SETTINGS, obj):
            names = [name for _, options in self.get_fieldsets(request, obj) for name in options["fields"]]
            return [name for name in names if name not in ENDPOINT]
        # Commands and integrations of the whole installation go by the slug, and what one organisation has at once the
        # others have not.
        return fixed if acting(request).is_superuser else [*fixed, "slug", "turn_limit"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewOrganizationForm
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Organization, form: Any, change: bool) -> None:
        by = acting(request)
        if not change:
            self._create(request, obj, form, by)
            return
        # What a form may not change is not in it; these columns and the endpoint's are separate rights.
        names = [name for name in form.changed_data if name in {field.name for field in obj._meta.concrete_fields}]
        save_settings(org=obj, names=names, by=by)
        if may(by, Action.MANAGE_SECRETS, obj) and {*ENDPOINT} & {*form.changed_data}:
            set_model_endpoint(org=obj, base_url=obj.model_base_url, api_key=form.key_to_store(), by=by)
        active = IdentitySecret.objects.for_org(obj).active(now=timezone.now())
        if obj.verify_identity and "verify_identity" in names and not active.exists():
            messages.warning(
                request,
                "Identities are verified now, but there is no active identity secret: every request that names a user "
                "is refused until you create one and your server signs tokens with it.",
            )

    def _create(self, request: HttpRequest, obj: Organization, form: Any, by: User) -> None:
        made = create_organization(
            name=obj.name,
            slug=form.cleaned_data["slug"] or None,
            by=by,
            verify_identity=obj.verify_identity,
            model_backend=obj.model_backend,
        )
        obj.pk, obj.slug = made.pk, made.slug
        owner = form.cleaned_data["owner"]
        if owner:
            membership, is_new = invite_member(org=made, email=owner, role=OWNER, by=by)
            request.halo_invited = membership.user if is_new else None  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Organization, post_url_continue: Any = None) -> HttpResponse:
        invited = getattr(request, "halo_invited", None)
        if invited is None:
            return super().response_add(request, obj, post_url_continue)
        return show_password_link(self, request, invited, back=self.change_url(obj.pk))


def show_password_link(self: Any, request: HttpRequest, user: User, *, back: str) -> HttpResponse:
    """The page with a link that lets `user` set a password."""
    return shown_once(
        self,
        request,
        title=f"A link for {user.email}",
        what="Link",
        value=password_link(request, user),
        explains=f"Send it to {user.email} on a way that only they read. It sets their password, works once, and for "
        "three days.",
        back=back,
    )
