"""Staff pages of organisations, their people, teams and keys, and of the audit."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group

from orgs import logins
from orgs.admin.api_keys import ApiKeyAdmin
from orgs.admin.keys import IdentitySecretAdmin, WidgetKeyAdmin
from orgs.admin.organizations import OrganizationAdmin
from orgs.admin.people import MembershipAdmin, TeamAdmin, UserAdmin
from orgs.admin.record import AuditEntryAdmin

__all__ = [
    "ApiKeyAdmin",
    "AuditEntryAdmin",
    "IdentitySecretAdmin",
    "MembershipAdmin",
    "OrganizationAdmin",
    "TeamAdmin",
    "UserAdmin",
    "WidgetKeyAdmin",
    "logins",
]

# Roles are memberships here; Django's groups and permissions decide nothing.
if admin.site.is_registered(Group):
    admin.site.unregister(Group)
