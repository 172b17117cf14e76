"""Lists of the staff pages: pages without exact counts, and filters that know their organisations."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Field
from django.http import HttpRequest

from orgs.permissions import orgs_of


class BoundedPaginator(Paginator):
    """Counts up to `MOST` rows and no further, however large the table is."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        """The number of rows, or MOST where there are at least as many."""
        queryset: Any = self.object_list
        return int(queryset.order_by().values("pk")[: self.MOST].count())

    @property
    def is_cut(self) -> bool:
        """Whether there may be more rows than were counted."""
        return self.count >= self.MOST


class OrgFilter(admin.SimpleListFilter):
    """The organisations of whoever looks; absent for those who have only one."""

    title = "organisation"
    parameter_name = "org"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = orgs_of(request.user).order_by("name").values_list("pk", "name")[:100]
        return [(str(pk), name) for pk, name in found] if len(found) > 1 else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(org=self.value()) if self.value() else queryset


class ScopedRelatedFilter(admin.RelatedFieldListFilter):
    """Offers what the related model's own page would list, and nothing of other organisations."""

    def field_choices(self, field: Field, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        related = model_admin.admin_site._registry.get(field.related_model)
        if related is None or not related.has_view_permission(request):
            return []
        # SECURITY: Django's own filter lists every row of the related table.
        return [(str(row.pk), str(row)) for row in related.get_queryset(request).order_by("pk")[:200]]

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1
