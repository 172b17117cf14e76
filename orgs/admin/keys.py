"""Staff pages of widget keys and identity secrets."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from unfold.decorators import display

from orgs.models import IdentitySecret, WidgetKey
from orgs.permissions import Action
from orgs.services import (
    change_widget_key,
    clean_origins,
    create_identity_secret,
    create_widget_key,
    revoke_identity_secret,
    revoke_widget_key,
    rotate_identity_secret,
    rotate_widget_key,
)
from orgs.staff_actions import button, shown_once
from orgs.staff_admin import StaffAdmin, acting, when
from orgs.staff_forms import GraceForm, LinesField, StaffForm

STATES = {"Active": "success", "Ending": "warning", "Ended": "danger", "Revoked": "danger"}


class StateFilter(admin.SimpleListFilter):
    """Whether a key still works."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("working", "Works"), ("over", "Revoked or ended")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        if self.value() == "working":
            return queryset.active(now=now)
        if self.value() == "over":
            return queryset.filter(Q(revoked_at__isnull=False) | Q(expires_at__lte=now))
        return queryset


class KeyAdmin(StaffAdmin):
    """What keys and secrets have in common: they start, they end, and nobody edits their value."""

    list_filter = (StateFilter,)
    list_select_related = ("created_by",)
    ordering = ("-created_at", "-pk")

    @display(description="State", label=STATES)
    def state(self, obj: WidgetKey | IdentitySecret) -> str:
        if obj.revoked_at:
            return "Revoked"
        if obj.is_active(now=timezone.now()):
            return "Ending" if obj.expires_at else "Active"
        return "Ended"

    @admin.display(description="Works until")
    def ends(self, obj: WidgetKey | IdentitySecret) -> str:
        end = obj.revoked_at or obj.expires_at
        return when(end) if end else "Revoked or rotated"

    @admin.display(description="Created by")
    def maker(self, obj: WidgetKey | IdentitySecret) -> str:
        return str(obj.created_by or "The command line")


class WidgetKeyForm(StaffForm):
    """Label and origins; an origin is checked as browsers write it."""

    origins = LinesField(
        label="Allowed origins",
        required=False,
        help_text="One a line, such as https://www.example.com. Requests from other sites are refused. "
        "Empty: the key works from every site.",
    )

    class Meta:
        model = WidgetKey
        fields = ("label", "origins")

    def clean_origins(self) -> list[str]:
        return self._as_form_error(clean_origins, self.cleaned_data["origins"])


@admin.register(WidgetKey)
class WidgetKeyAdmin(KeyAdmin):
    """Create, label, restrict, rotate, revoke."""

    read = edit = Action.MANAGE_WIDGET_KEYS
    form = WidgetKeyForm
    list_display = ("label", "value", "origin_list", "state", "created_at")
    search_fields = ("label", "value")
    search_help_text = "Label or key"
    fieldsets = (
        (None, {"fields": ("label", "value", "origins")}),
        ("Life", {"fields": ("state", "ends", "created_at", "maker")}),
    )
    add_fieldsets = ((None, {"fields": ("label", "origins")}),)
    readonly_fields = ("value", "state", "ends", "created_at", "maker")
    actions_detail: ClassVar[list[str]] = ["rotate", "revoke"]

    @admin.display(description="Origins")
    def origin_list(self, obj: WidgetKey) -> str:
        more = f" and {len(obj.origins) - 2} more" if len(obj.origins) > 2 else ""
        return (", ".join(obj.origins[:2]) + more) or "Every site"

    def save_model(self, request: HttpRequest, obj: WidgetKey, form: Any, change: bool) -> None:
        if change:
            change_widget_key(key=obj, label=obj.label, origins=obj.origins, by=acting(request))
        else:
            made = create_widget_key(org=obj.org, label=obj.label, origins=obj.origins, by=acting(request))
            obj.pk, obj.value = made.pk, made.value

    @button(
        title="Rotate",
        icon="autorenew",
        needs=Action.MANAGE_WIDGET_KEYS,
        explains="A new key with the same label and origins is made. Put it in place of “{obj}” on your site; "
        "the old key goes on working for the time that you choose here, and is refused after it.",
        form=GraceForm,
        when=lambda key: key.revoked_at is None and key.expires_at is None,
    )
    def rotate(self, request: HttpRequest, obj: WidgetKey, data: dict[str, Any]) -> HttpResponse:
        new = rotate_widget_key(key=obj, grace=data["grace"], by=acting(request))
        self.message_user(request, "This is the new key. Put it in place of the old one.")
        return HttpResponseRedirect(self.change_url(new.pk))

    @button(
        title="Revoke",
        icon="block",
        danger=True,
        needs=Action.MANAGE_WIDGET_KEYS,
        explains="“{obj}” stops working at once and for ever: every widget that still uses it is refused.",
        when=lambda key: key.is_active(now=timezone.now()),
    )
    def revoke(self, request: HttpRequest, obj: WidgetKey, data: dict[str, Any]) -> str:
        revoke_widget_key(key=obj, by=acting(request))
        return "The key is revoked."


@admin.register(IdentitySecret)
class IdentitySecretAdmin(KeyAdmin):
    """Create (shown once), rotate, revoke."""

    read = edit = Action.MANAGE_SECRETS
    list_display = ("__str__", "ending", "state", "created_at")
    search_fields = ("label", "hint")
    search_help_text = "Label or last characters"
    fieldsets = ((None, {"fields": ("label", "ending", "state", "ends", "created_at", "maker")}),)
    add_fieldsets = (
        (
            None,
            {
                "fields": ("label",),
                "description": "Your server signs identity tokens with this secret (JWT, HS256). It is shown once, on "
                "the next page. At most two secrets are active, so that one can be rotated without a gap.",
            },
        ),
    )
    readonly_fields = ("ending", "state", "ends", "created_at", "maker")
    actions_detail: ClassVar[list[str]] = ["rotate", "revoke"]

    @admin.display(description="Ends with")
    def ending(self, obj: IdentitySecret) -> str:
        return f"…{obj.hint}"

    def save_model(self, request: HttpRequest, obj: IdentitySecret, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        made, plain = create_identity_secret(org=obj.org, label=obj.label, by=acting(request))
        obj.pk = made.pk
        request.halo_plain = plain  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: IdentitySecret, post_url_continue: Any = None) -> HttpResponse:
        plain: str = request.halo_plain  # type: ignore[attr-defined]
        return self._shown(request, obj, plain)

    def _shown(self, request: HttpRequest, obj: IdentitySecret, plain: str) -> HttpResponse:
        return shown_once(
            self,
            request,
            title="New identity secret",
            what="Identity secret",
            value=plain,
            explains="Copy it now to your server's configuration: it is stored encrypted and never shown again. "
            "Whoever has it can speak in the name of every one of your users.",
            back=self.change_url(obj.pk),
        )

    @button(
        title="Rotate",
        icon="autorenew",
        needs=Action.MANAGE_SECRETS,
        explains="A new secret is made and shown once. Put it on your server in place of “{obj}”; tokens signed with "
        "the old one are accepted for the time that you choose here, and refused after it.",
        form=GraceForm,
        when=lambda secret: secret.revoked_at is None and secret.expires_at is None,
    )
    def rotate(self, request: HttpRequest, obj: IdentitySecret, data: dict[str, Any]) -> HttpResponse:
        made, plain = rotate_identity_secret(org=obj.org, grace=data["grace"], by=acting(request))
        return self._shown(request, made, plain)

    @button(
        title="Revoke",
        icon="block",
        danger=True,
        needs=Action.MANAGE_SECRETS,
        explains="Tokens signed with “{obj}” are refused from now on. Where identities are verified and no other "
        "secret is active, every request that names a user is refused.",
        when=lambda secret: secret.is_active(now=timezone.now()),
    )
    def revoke(self, request: HttpRequest, obj: IdentitySecret, data: dict[str, Any]) -> str:
        revoke_identity_secret(secret=obj, by=acting(request))
        return "The secret is revoked."
