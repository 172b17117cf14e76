"""The base of every staff page: it shows rows of the person's organisations, as far as their role allows."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AutocompleteSelect, RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import formats, timezone
from unfold.admin import ModelAdmin as UnfoldAdmin

from halo.errors import HaloError
from orgs import audit
from orgs.models import Organization, User
from orgs.permissions import Action, may, may_somewhere, org_ids, orgs_of, roles_of
from orgs.rows import add_row, change_row, delete_row
from orgs.staff_forms import StaffForm, StrictJSONField
from orgs.staff_lists import BoundedPaginator, OrgFilter
from orgs.tenancy import TenantModel

if TYPE_CHECKING:
    Base = Any  # unfold fixes types that its users are meant to override
else:
    Base = UnfoldAdmin


class OrgAutocomplete(AutocompleteSelect):
    """Looks up rows of one organisation only."""

    org_id: uuid.UUID | None = None

    def get_url(self) -> str:
        return f"{super().get_url()}?org={self.org_id}"


class StaffAdmin(Base):
    """A subclass names the actions of the permission table that its pages need, and overrides little else."""

    read: ClassVar[Action]
    edit: ClassVar[Action | None] = None
    may_add = True
    may_delete = False

    form = StaffForm
    list_filter_submit = False
    # No table is small for ever, and an exact count reads all of it.
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    # What follows from a field's value, where the model does not say so.
    help_texts: ClassVar[dict[str, str]] = {}
    # Look-ups that lists may be filtered by although no filter offers them.
    extra_lookups: ClassVar[Iterable[str]] = ()
    formfield_overrides: ClassVar[dict[Any, Any]] = {
        models.JSONField: {"form_class": StrictJSONField},
        models.URLField: {"assume_scheme": "https"},
    }

    # --- Who may -----------------------------------------------------------------------------------------------------

    def org_of(self, obj: Any) -> uuid.UUID:
        """The id of the organisation that `obj` belongs to."""
        org_id: uuid.UUID = obj.org_id
        return org_id

    def scoped(self, queryset: QuerySet[Any], ids: list[uuid.UUID]) -> QuerySet[Any]:
        """Rows of these organisations."""
        return queryset.filter(org__in=ids)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = super().get_queryset(request)
        user = request.user
        if not isinstance(user, User):
            return queryset.none()
        # SECURITY: every list, detail, search, autocomplete, bulk action and history starts from this queryset.
        return queryset if user.is_superuser else self.scoped(queryset, org_ids(user, self.read))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # The buttons, the form and the audit of one page ask for the same row.
        known: dict[Any, Any] = request.__dict__.setdefault("halo_rows", {})
        key = (self.opts.label, object_id, from_field)
        if key not in known:
            known[key] = super().get_object(request, object_id, from_field)
        if known[key] is None:
            # SECURITY: foreign and unknown look the same.
            raise Http404
        return known[key]

    def _may(self, request: HttpRequest, action: Action | None, obj: Any) -> bool:
        if action is None:
            return False
        return may_somewhere(request.user, action) if obj is None else may(request.user, action, self.org_of(obj))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_somewhere(request.user, self.read)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.read, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_add and self._may(request, self.edit, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.edit, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_delete and self._may(request, self.edit, obj)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # SECURITY: Django allows a filter on any column of the model, and so a guess at hidden ones, letter by letter.
        if lookup in self.extra_lookups:
            return True
        for item in [*self.get_list_filter(request), *([self.date_hierarchy] if self.date_hierarchy else [])]:
            name = item[0] if isinstance(item, (list, tuple)) else item
            if not isinstance(name, str):
                allowed = lookup == item.parameter_name
            elif self.opts.get_field(name).is_relation:
                allowed = lookup in {f"{name}__exact", f"{name}__id__exact", f"{name}__isnull"}
            else:
                allowed = lookup == name or lookup.startswith(f"{name}__")
            if allowed:
                return True
        return False

    # --- Lists -------------------------------------------------------------------------------------------------------

    def shows_orgs(self, request: HttpRequest) -> bool:
        """Whether rows of several organisations may stand side by side."""
        user = request.user
        return isinstance(user, User) and (user.is_superuser or len(roles_of(user)) > 1)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = list(super().get_list_display(request))
        return [*columns, "org"] if self.shows_orgs(request) and issubclass(self.model, TenantModel) else columns

    def get_list_filter(self, request: HttpRequest | None) -> list[Any]:
        filters = list(self.list_filter)
        shown = request is not None and self.shows_orgs(request) and issubclass(self.model, TenantModel)
        return [OrgFilter, *filters] if shown else filters

    def get_list_select_related(self, request: HttpRequest) -> list[str]:
        return [*(self.list_select_related or ()), *(["org"] if issubclass(self.model, TenantModel) else [])]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """The actions on chosen rows, without those that this person may do nowhere (orgs.staff_bulk)."""
        found: dict[str, Any] = super().get_actions(request)
        return {
            name: entry
            for name, entry in found.items()
            if (needs := getattr(entry[0], "needs", None)) is None or may_somewhere(request.user, needs)
        }

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if "\x00" in "".join(value for values in request.GET.lists() for value in values[1]):
            return HttpResponseRedirect(request.path)
        try:
            response = super().changelist_view(request, extra_context)
        except (HaloError, ValidationError) as error:
            messages.error(request, getattr(error, "message", "That is not a value to filter by."))
            return HttpResponseRedirect(request.path)
        listed = getattr(response, "context_data", None) or {}
        if request.method == "GET" and "cl" in listed:
            self._audit_operator(request, {self.org_of(row) for row in listed["cl"].result_list})
        return response

    def _audit_operator(self, request: HttpRequest, orgs: Iterable[uuid.UUID | None], target: Any = None) -> None:
        """Superusers see every organisation, and what they read in those that they do not belong to is written down."""
        user = request.user
        if not isinstance(user, User) or not user.is_superuser:
            return
        for org_id in orgs:
            if org_id is not None and org_id not in roles_of(user):
                audit.record(
                    org=org_id,
                    actor=user,
                    action="operator.read",
                    target=target,
                    after={"page": self.opts.label_lower, "query": audit.query_of(request)},
                )

    # --- One organisation at a time ----------------------------------------------------------------------------------

    def org_to_add_to(self, request: HttpRequest) -> Organization | None:
        """The organisation of a new row: the only possible one, or the one in the address; None: ask."""
        possible = orgs_of(request.user, self.edit)
        wanted = request.GET.get("org") or QueryDict(request.GET.get("_changelist_filters", "")).get("org")
        if wanted:
            try:
                return possible.get(pk=wanted)
            except (Organization.DoesNotExist, ValidationError, ValueError):
                raise Http404 from None
        first = list(possible[:2])
        return first[0] if len(first) == 1 else None

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if issubclass(self.model, TenantModel) and self.org_to_add_to(request) is None:
            return self.choose_org(request)
        return super().add_view(request, form_url, extra_context)

    def choose_org(self, request: HttpRequest) -> TemplateResponse:
        """A page that asks which organisation the new row is for."""
        term = request.GET.get("q", "").replace("\x00", "").strip()
        possible = orgs_of(request.user, self.edit).filter(name__icontains=term).order_by("name")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Add {self.opts.verbose_name}",
            "opts": self.opts,
            "term": term,
            "orgs": possible[:50],
        }
        return TemplateResponse(request, "admin/halo/choose_org.html", context)

    def form_org(self, request: HttpRequest, obj: Any) -> Organization | None:
        """The organisation whose rows a form offers."""
        return self.org_to_add_to(request) if obj is None else obj.org

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        org = self.form_org(request, obj)
        request.halo_form_org = org  # type: ignore[attr-defined]
        form = super().get_form(request, obj, change=change, **kwargs)
        form.request, form.org = request, org
        return form

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.help_texts:
            kwargs.setdefault("help_text", self.help_texts[db_field.name])
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            # A window that adds a related row would not know the organisation.
            field.widget = field.widget.widget
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = self.choices_for(db_field, request)
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs["widget"] = OrgAutocomplete(db_field, self.admin_site)
            kwargs["widget"].org_id = getattr(request.halo_form_org, "pk", None)  # type: ignore[attr-defined]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = self.choices_for(db_field, request)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def choices_for(self, db_field: Any, request: HttpRequest) -> QuerySet[Any]:
        """What a relation may point at: rows of the form's organisation."""
        org: Organization | None = request.halo_form_org  # type: ignore[attr-defined]
        related: type[models.Model] = db_field.remote_field.model
        if org is None:
            return related._default_manager.none()
        if related is User:
            # Not through a join: a person has one membership an organisation.
            return User.objects.filter(memberships__org=org).order_by("email")
        # SECURITY: neither offered nor accepted unless it is the same organisation's.
        return related._default_manager.filter(org=org)

    # --- Writing -----------------------------------------------------------------------------------------------------

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        extra_context = {"show_history": False, "show_save_and_add_another": False, **(extra_context or {})}
        if not object_id:
            extra_context["show_save_and_continue"] = False
        else:
            obj = self.get_object(request, unquote(object_id))
            extra_context["show_history"] = may(request.user, Action.READ_AUDIT, self.org_of(obj))
            if request.method == "GET":
                self._audit_operator(request, [self.org_of(obj)], obj)
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except HaloError as error:
            # What a service refused is shown in the form: its transaction is gone, StaffForm.clean adds the sentence.
            request.halo_refused = error  # type: ignore[attr-defined]
            request.halo_rows = {}  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            change_row(row=obj, names=form.changed_data, by=acting(request))
        else:
            add_row(row=obj, by=acting(request))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        delete_row(row=obj, by=acting(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self.delete_model(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        listed, counts, _, protected = super().get_deleted_objects(objs, request)
        # What goes with a row is the row's own; what must not go is protected by the database.
        refused = any(not self.has_delete_permission(request, obj) for obj in objs)
        return listed, counts, {self.opts.verbose_name} if refused else set(), protected

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except HaloError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(self.change_url(unquote(object_id)))

    def name_of(self, obj: Any) -> str:
        """What a page that asks about `obj` calls it."""
        return str(obj)

    def change_url(self, key: Any) -> str:
        """Where the row with this primary key is shown."""
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change", args=[key])

    def list_url(self) -> str:
        """Where the rows are listed."""
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")

    # --- History: the audit, not Django's own log --------------------------------------------------------------------

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        return None

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if not may(request.user, Action.READ_AUDIT, self.org_of(obj)):
            raise PermissionDenied
        where = f"target_type__exact={self.opts.label_lower}&target_id__exact={obj.pk}"
        return HttpResponseRedirect(f"{reverse(f'{self.admin_site.name}:orgs_auditentry_changelist')}?{where}")

    # --- Buttons above a page (orgs.staff_actions) -------------------------------------------------------------------

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        obj = self.get_object(request, unquote(str(object_id)))
        buttons = super().get_actions_detail(request, object_id)
        return [button for button in buttons if self._offers(button.method, request, obj)]

    def _offers(self, method: Callable[..., Any], request: HttpRequest, obj: Any) -> bool:
        offered: Callable[..., bool] | None = getattr(method, "offered", None)
        return offered is None or offered(self, request, obj)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return HttpResponseRedirect(self.change_url(obj.pk))


def acting(request: HttpRequest) -> User:
    """Who is doing this; staff pages are never reached by anyone else."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def when(moment: dt.datetime) -> str:
    """A time as lists show theirs."""
    return formats.date_format(timezone.localtime(moment), "DATETIME_FORMAT")
