"""Makes the staff pages' own site the admin site (it stands in INSTALLED_APPS where django.contrib.admin would)."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default_site = "orgs.staff_site.StaffSite"
