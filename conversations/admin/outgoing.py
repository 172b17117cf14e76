"""Staff pages of what leaves by itself: webhooks, and deliveries with what was given up."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from conversations import outbox
from conversations.models import OutboxItem, Webhook
from conversations.outgoing import webhooks
from orgs.permissions import Action
from orgs.staff_actions import button, shown_once
from orgs.staff_admin import StaffAdmin, acting, when
from orgs.staff_forms import GraceForm
from orgs.staff_lists import BoundedPaginator, ScopedRelatedFilter

STATES = {
    "Delivered": "success",
    "Not needed": "info",
    "Waiting": "info",
    "Trying again": "warning",
    "Given up": "danger",
}


@admin.register(Webhook)
class WebhookAdmin(StaffAdmin):
    """Add (the secret is shown once), change, test, rotate."""

    read = edit = Action.MANAGE_SECRETS
    may_delete = True
    list_display = ("label", "url", "is_active", "created_at")
    search_fields = ("label", "url")
    search_help_text = "Label or address"
    ordering = ("label", "pk")
    fieldsets = (
        (None, {"fields": ("label", "url", "is_active")}),
        ("Life", {"fields": ("deliveries", "old_one", "created_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": ("label", "url", "is_active"),
                "description": "Halo tells it of every ticket that is opened or changed. Calls are signed as "
                "standardwebhooks.com says; the secret for checking them is shown once, on the next page.",
            },
        ),
    )
    readonly_fields = ("deliveries", "old_one", "created_at")
    actions_detail: ClassVar[list[str]] = ["send_test", "rotate"]

    @admin.display(description="Deliveries")
    def deliveries(self, obj: Webhook) -> str:
        where = f"{reverse('admin:conversations_outboxitem_changelist')}?webhook__id__exact={obj.pk}"
        return format_html('<a class="halo-link" href="{}">What was sent there</a>', where)

    @admin.display(description="The secret before")
    def old_one(self, obj: Webhook) -> str:
        return f"signs beside the new one until {when(obj.old_secret_until)}" if obj.old_secret_until else "—"

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        if change:
            webhooks.change_webhook(hook=obj, names=form.changed_data, by=acting(request))
        else:
            request.halo_plain = webhooks.add_webhook(hook=obj, by=acting(request))  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: Any = None) -> HttpResponse:
        plain: str = request.halo_plain  # type: ignore[attr-defined]
        return self._shown(request, obj, plain)

    def _shown(self, request: HttpRequest, obj: Webhook, plain: str) -> HttpResponse:
        return shown_once(
            self,
            request,
            title="The webhook's secret",
            what="Secret",
            value=plain,
            explains="Copy it now to the system that is called: it is stored encrypted and never shown again. With it "
            "that system checks that a call comes from here.",
            back=self.change_url(obj.pk),
        )

    @button(
        title="Send a test",
        icon="send",
        needs=Action.MANAGE_SECRETS,
        explains="A call of the type webhook.test goes to “{obj}”. Whether it was taken stands under Deliveries.",
        when=lambda hook: hook.is_active,
    )
    def send_test(self, request: HttpRequest, obj: Webhook, data: dict[str, Any]) -> HttpResponse:
        webhooks.send_test(hook=obj, by=acting(request))
        where = f"{reverse('admin:conversations_outboxitem_changelist')}?webhook__id__exact={obj.pk}"
        self.message_user(request, "The call is on its way.")
        return HttpResponseRedirect(where)

    @button(
        title="Rotate the secret",
        icon="autorenew",
        needs=Action.MANAGE_SECRETS,
        explains="A new secret is made and shown once. Put it in place of the old one at “{obj}”; calls are signed "
        "with both for the time that you choose here, and then with the new one alone.",
        form=GraceForm,
    )
    def rotate(self, request: HttpRequest, obj: Webhook, data: dict[str, Any]) -> HttpResponse:
        return self._shown(request, obj, webhooks.rotate_secret(hook=obj, grace=data["grace"], by=acting(request)))


class StateFilter(admin.SimpleListFilter):
    """Whether it was delivered."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("dead", "Given up"), ("waiting", "Waiting or being tried"), ("done", "Delivered")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        found: dict[str, Any] | None = {
            "dead": {"dead_at__isnull": False},
            "waiting": {"dead_at": None, "done_at": None},
            "done": {"done_at__isnull": False},
        }.get(self.value() or "")
        return queryset.filter(**found) if found else queryset


@admin.register(OutboxItem)
class DeliveryAdmin(StaffAdmin):
    """E-mails and calls that went out, are tried, or were given up and can be sent again."""

    read = Action.MANAGE_SECRETS
    may_add = False
    list_display = ("what", "state", "tried", "error", "created_at")
    list_display_links = ("what",)
    list_filter = (StateFilter, "kind", ("webhook", ScopedRelatedFilter), "created_at")
    list_select_related = ("ticket__team", "webhook", "conversation__session__end_user")
    ordering = ("-pk",)
    sortable_by = ()
    paginator = BoundedPaginator
    fieldsets = (
        (None, {"fields": ("what", "state", "tried", "error", "next_attempt_at", "done_at", "dead_at", "repeater")}),
        ("What is told", {"fields": ("key", "content", "created_at")}),
    )
    readonly_fields = ("what", "state", "tried", "repeater", "content")
    actions_detail: ClassVar[list[str]] = ["repeat"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related(*self.list_select_related, "repeated_by")

    @admin.display(description="Delivery")
    def what(self, obj: OutboxItem) -> str:
        number = f"#{obj.ticket.number}" if obj.ticket is not None else ""
        if obj.kind == OutboxItem.Kind.WEBHOOK:
            told = (obj.payload or {}).get("type", "A call")
            return f"{told} {number} to {obj.webhook}".replace("  ", " ")
        if obj.kind == OutboxItem.Kind.TICKET_EMAIL and obj.ticket is not None:
            return f"E-mail about {number} to {obj.ticket.team}"
        person = obj.conversation.session.end_user if obj.conversation is not None else None
        return f"E-mail to {person or 'a visitor'} about a reply"

    @display(description="State", label=STATES)
    def state(self, obj: OutboxItem) -> str:
        if obj.done_at is not None:
            return "Not needed" if obj.error else "Delivered"
        if obj.dead_at is not None:
            return "Given up"
        return "Trying again" if obj.attempts else "Waiting"

    @admin.display(description="Attempts")
    def tried(self, obj: OutboxItem) -> str:
        return f"{obj.attempts} of {outbox.MAX_ATTEMPTS}"

    @admin.display(description="Sent again by")
    def repeater(self, obj: OutboxItem) -> str:
        return str(obj.repeated_by or "—")

    @admin.display(description="Content")
    def content(self, obj: OutboxItem) -> str:
        if obj.payload is None:
            return "—"
        return format_html('<pre class="halo-json">{}</pre>', json.dumps(obj.payload, indent=2, ensure_ascii=False))

    def name_of(self, obj: OutboxItem) -> str:
        return self.what(obj)

    @button(
        title="Send again",
        icon="redo",
        primary=True,
        needs=Action.MANAGE_SECRETS,
        explains="It is tried again from now on, as often as the first time, under the same id: a receiver that has "
        "it already drops it. Later ones about the same visit have gone ahead meanwhile.",
        when=lambda item: item.dead_at is not None,
    )
    def repeat(self, request: HttpRequest, obj: OutboxItem, data: dict[str, Any]) -> str:
        outbox.repeat(item=obj, by=acting(request))
        return "It is on its way again."
