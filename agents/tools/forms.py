"""Choosing an agent's custom tools."""

from __future__ import annotations

from django import forms
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from agents.models import CustomTool
from orgs.models import Organization


class CustomToolsField(forms.MultipleChoiceField):
    """Ids of custom tools of one organisation, as a list of strings."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def offer(self, org: Organization | None) -> None:
        """Offers the tools of `org`, and takes no others."""
        # SECURITY: neither offered nor accepted unless it is the same organisation's.
        tools = CustomTool.objects.for_org(org).order_by("name") if org is not None else CustomTool.objects.none()
        self.choices = [
            (str(tool.pk), tool.name if tool.is_active else f"{tool.name} (not active)")
            for tool in tools.defer("headers")
        ]
        if not self.choices:
            self.help_text = "There are none yet: add one under Custom tools."
