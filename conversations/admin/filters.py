"""Filters of the list of conversations that are no column of theirs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from agents.models import RoutingRule
from conversations.models import Turn
from orgs.models import User
from orgs.permissions import Action, org_ids

MOST_RULES = 50


class RuleFilter(admin.SimpleListFilter):
    """The conversations in which a routing rule sent a message to its team."""

    title = "routing rule"
    parameter_name = "rule"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if not isinstance(request.user, User):
            return []
        rules = RoutingRule.objects.order_by("name", "pk")
        if not request.user.is_superuser:
            # SECURITY: names of rules, of the person's own organisations only.
            rules = rules.filter(org__in=org_ids(request.user, Action.SEE_BUILD))
        return [(str(pk), name) for pk, name in rules.values_list("pk", "name")[:MOST_RULES]]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        wanted = self.value() or ""
        if not wanted:
            return queryset
        if not wanted.isdecimal() or len(wanted) > 18:
            return queryset.none()
        # The outer queryset is scoped already; the inner one goes by an index on the rule.
        return queryset.filter(pk__in=Turn.objects.filter(routing_rule=int(wanted)).values("conversation"))
