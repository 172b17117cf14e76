"""Staff pages of members, teams and, for superusers, accounts."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminTextInputWidget,
)

from orgs import audit
from orgs.admin.organizations import show_password_link
from orgs.hours_fields import HoursField, TimeZoneField, as_list
from orgs.members import (
    ACCOUNT,
    OWNER,
    change_role,
    invite_member,
    may_reset_password,
    remove_member,
    save_account,
)
from orgs.models import Membership, Team, User
from orgs.permissions import Action, may
from orgs.staff_actions import button
from orgs.staff_admin import StaffAdmin, acting, when
from orgs.staff_forms import StaffForm

ROLE_COLOURS = {"Owner": "info", "Admin": "primary", "Support": "success", "Analyst": "warning"}


class InvitationForm(StaffForm):
    """A new member, by e-mail."""

    email = forms.EmailField(label="E-mail", widget=UnfoldAdminEmailInputWidget())
    name = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget(),
        help_text="For somebody who has no account yet.",
    )

    class Meta:
        model = Membership
        fields = ("role",)

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() | {"user"}


@admin.register(Membership)
class MembershipAdmin(StaffAdmin):
    """Invite, change a role, remove, hand out a link for a new password."""

    read = Action.SEE_SETTINGS
    edit = Action.MANAGE_MEMBERS
    may_delete = True
    list_display = ("person", "login", "role_label", "last_login", "created_at")
    list_display_links = ("person", "login")
    list_filter = ("role",)
    list_select_related = ("user",)
    search_fields = ("user__email", "user__name")
    search_help_text = "Name or e-mail"
    ordering = ("user__email", "pk")
    fieldsets = ((None, {"fields": ("person", "login", "role", "last_login", "created_at")}),)
    add_fieldsets = (
        (
            None,
            {
                "fields": ("email", "name", "role"),
                "description": "Owner: everything. Admin: members (but owners), keys and secrets, agents, "
                "conversations. Support: agents, knowledge, conversations, widget keys. Analyst: reads, and changes "
                "nothing.",
            },
        ),
    )
    readonly_fields = ("person", "login", "last_login", "created_at")
    actions_detail: ClassVar[list[str]] = ["new_password"]
    help_texts: ClassVar[dict[str, str]] = {
        "role": "Owner: everything. Admin: members (but owners), keys and secrets, agents, conversations. Support: "
        "agents, knowledge, conversations, widget keys. Analyst: reads, and changes nothing. A change holds from the "
        "person's next click on.",
    }

    @admin.display(description="Name", ordering="user__name")
    def person(self, obj: Membership) -> str:
        return obj.user.name or "—"

    @admin.display(description="E-mail", ordering="user__email")
    def login(self, obj: Membership) -> str:
        return obj.user.email

    @display(description="Role", ordering="role", label=ROLE_COLOURS)
    def role_label(self, obj: Membership) -> str:
        return obj.get_role_display()

    @admin.display(description="Last login")
    def last_login(self, obj: Membership) -> Any:
        return when(obj.user.last_login) if obj.user.last_login else "Never"

    def _above(self, request: HttpRequest, obj: Membership | None) -> bool:
        return obj is None or obj.role != OWNER or may(request.user, Action.MANAGE_OWNERS, obj.org_id)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._above(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._above(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = InvitationForm
        return super().get_form(request, obj, change=change, **kwargs)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        org = request.halo_form_org  # type: ignore[attr-defined]
        if db_field.name == "role" and not may(request.user, Action.MANAGE_OWNERS, org):
            kwargs["choices"] = [choice for choice in Membership.Role.choices if choice[0] != OWNER]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        by = acting(request)
        if change:
            change_role(membership=obj, role=obj.role, by=by)
            return
        made, is_new = invite_member(
            org=obj.org,
            email=form.cleaned_data["email"],
            name=form.cleaned_data["name"],
            role=obj.role,
            by=by,
        )
        obj.pk, obj.user = made.pk, made.user
        request.halo_invited = made.user if is_new else None  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Membership, post_url_continue: Any = None) -> HttpResponse:
        invited = getattr(request, "halo_invited", None)
        if invited is None:
            return super().response_add(request, obj, post_url_continue)
        return show_password_link(self, request, invited, back=self.list_url())

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        remove_member(membership=obj, by=acting(request))

    @button(
        title="New password",
        icon="lock_reset",
        needs=Action.MANAGE_MEMBERS,
        explains="You get a link for {obj} that sets a new password. It works once, and for three days. The old "
        "password works until then; after it, the person is logged out everywhere.",
        also=lambda page, request, obj: may_reset_password(by=acting(request), user=obj.user),
    )
    def new_password(self, request: HttpRequest, obj: Membership, data: dict[str, Any]) -> HttpResponse:
        audit.record(org=obj.org_id, actor=acting(request), action="member.password_link", target=obj.user)
        return show_password_link(self, request, obj.user, back=self.change_url(obj.pk))


class TeamForm(StaffForm):
    """A team with its hours."""

    time_zone = TimeZoneField(label="Time zone", help_text="What the hours are in.")
    hours = HoursField(
        label="Hours",
        help_text="When people are there, such as “09:00-12:30, 13:30-17:00”, or “22:00-06:00” over midnight. A day "
        "without hours is closed. All empty: always there.",
    )

    class Meta:
        model = Team
        fields = ("name", "email", "members", "time_zone", "hours", "away_text")

    def clean_time_zone(self) -> str:
        chosen: str = self.cleaned_data["time_zone"]
        return chosen or self.instance.time_zone


@admin.register(Team)
class TeamAdmin(StaffAdmin):
    """Name, address and members of a team, and when it is there."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    may_delete = True
    list_display = ("name", "email", "people")
    search_fields = ("name", "email")
    ordering = ("name", "pk")
    form = TeamForm
    help_texts: ClassVar[dict[str, str]] = {
        "name": "Visitors do not see it; agents and rules hand over to it.",
        "email": "Gets an e-mail for each ticket that comes to the team. Empty: nobody is told, and somebody has to "
        "look at the list.",
    }
    fieldsets = (
        (None, {"fields": ("name", "email", "members")}),
        (
            "Hours",
            {
                "fields": ("time_zone", "hours", "away_text"),
                "description": "Outside these hours, visitors who are passed on to this team are told when it is back.",
            },
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        (first, (title, options)) = self.fieldsets
        return (first, (title, {**options, "fields": ("time_zone", "week", "away_text")}))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("week",)

    @admin.display(description="Hours")
    def week(self, obj: Team) -> str:
        return as_list(obj.hours)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("members")

    @admin.display(description="Members")
    def people(self, obj: Team) -> str:
        return ", ".join(sorted(str(person) for person in obj.members.all())) or "—"

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        field.widget = UnfoldAdminCheckboxSelectMultipleWidget()
        field.widget.choices = field.choices
        field.help_text = "Members of the organisation. People are invited under Members."
        return field

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = audit.state(form.instance, ["members"])
        super().save_related(request, form, formsets, change)
        after = audit.state(form.instance, ["members"])
        if before != after:
            audit.record(
                org=form.instance.org_id,
                actor=acting(request),
                action="team.members_changed",
                target=form.instance,
                before=before,
                after=after,
            )


class AccountForm(StaffForm):
    """An account; logins are compared without regard to case."""

    class Meta:
        model = User
        fields = ACCOUNT

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].strip().lower()
        return email


@admin.register(User)
class UserAdmin(StaffAdmin):
    """Everybody's accounts, for superusers; teammates are managed as members of their organisation."""

    read = edit = Action.RUN_INSTALLATION
    form = AccountForm
    list_display = ("email", "name", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("email", "name")
    search_help_text = "Name or e-mail"
    ordering = ("email", "pk")
    fieldsets = (
        (
            None,
            {
                "fields": ("email", "name", "is_active", "is_superuser", "organisations", "last_login", "date_joined"),
                "description": "A superuser sees and changes every organisation; what they read there is audited.",
            },
        ),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "is_superuser")}),)
    help_texts: ClassVar[dict[str, str]] = {
        "email": "The login. After a change the old address does not open the account any more.",
        "is_active": "Off: the person is out at their next click, in every organisation, and cannot log in. What they "
        "did stays in the audit.",
        "is_superuser": "Sees and changes every organisation, and makes organisations and accounts.",
    }
    readonly_fields = ("organisations", "last_login", "date_joined")
    actions_detail: ClassVar[list[str]] = ["new_password"]

    def org_of(self, obj: User) -> Any:
        return None

    def scoped(self, queryset: Any, ids: Any) -> Any:
        return queryset.none()

    def form_org(self, request: HttpRequest, obj: Any) -> None:
        return None

    @admin.display(description="Organisations")
    def organisations(self, obj: User) -> str:
        found = Membership.objects.filter(user=obj).select_related("org").order_by("org__name")
        return ", ".join(f"{row.org} ({row.get_role_display()})" for row in found) or "—"

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        save_account(user=obj, names=form.changed_data, by=acting(request))

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: Any = None) -> HttpResponse:
        return show_password_link(self, request, obj, back=self.change_url(obj.pk))

    @button(
        title="New password",
        icon="lock_reset",
        needs=Action.RUN_INSTALLATION,
        explains="You get a link for {obj} that sets a new password. It works once, and for three days.",
        when=lambda user: user.is_active,
    )
    def new_password(self, request: HttpRequest, obj: User, data: dict[str, Any]) -> HttpResponse:
        audit.record(org=None, actor=acting(request), action="account.password_link", target=obj)
        return show_password_link(self, request, obj, back=self.change_url(obj.pk))
