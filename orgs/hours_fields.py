"""Form fields for when a team is there: a line a weekday, and a time zone to choose."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import BASE_INPUT_CLASSES, UnfoldAdminSelectWidget

from halo.errors import HaloError
from orgs.hours import DAY_NAMES, DAYS, check_hours, read_day

REGIONS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)
CLOSED = "closed"


def as_list(hours: Any) -> str | SafeString:
    """Hours as those read them who may not change them."""
    if not hours:
        return "Always there"
    days = ((name, _line(hours.get(day))) for day, name in zip(DAYS, DAY_NAMES, strict=True))
    return format_html('<ul class="halo-list">{}</ul>', format_html_join("", "<li>{}: {}</li>", days))


def time_zones() -> list[tuple[str, Any]]:
    """All places that have a time, by region."""
    groups: dict[str, list[tuple[str, str]]] = {region: [] for region in REGIONS}
    for name in sorted(zoneinfo.available_timezones()):
        region, _, place = name.partition("/")
        if place and region in groups:
            groups[region].append((name, name.replace("_", " ")))
    return [("UTC", "UTC"), *groups.items()]


class TimeZoneField(forms.ChoiceField):
    """A time zone; one that is stored and not in the list stays possible."""

    widget = UnfoldAdminSelectWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"choices": time_zones, "required": False, **kwargs})


class HoursWidget(forms.Widget):
    """A line a weekday."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        value = value if isinstance(value, dict) else {}
        # What was typed is shown again beside its error; what is stored is a list a day.
        lines = [
            {"day": day, "label": label, "text": value.get(day) if isinstance(value.get(day), str) else ""}
            for day, label in zip(DAYS, DAY_NAMES, strict=True)
        ]
        return render_to_string(
            "admin/halo/hours.html", {"name": name, "lines": lines, "input": " ".join(BASE_INPUT_CLASSES)}
        )

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> dict[str, str]:
        return {day: str(data.get(f"{name}-{day}") or "") for day in DAYS}

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}-mon" not in data

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-mon" if id_ else ""


class HoursField(forms.Field):
    """Hours as `orgs.hours` reads them; every line empty: always there."""

    widget = HoursWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, dict) or not any(isinstance(spans, list) for spans in value.values()):
            return value
        return {day: _line(value.get(day)) for day in DAYS}

    def to_python(self, value: Any) -> dict[str, list[str]]:
        lines = {day: text.strip() for day, text in (value or {}).items()}
        if not any(lines.values()):
            return {}
        try:
            return {day: [] if text.lower() == CLOSED else read_day(text, day=day) for day, text in lines.items()}
        except HaloError as error:
            raise ValidationError(error.message) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return _whole_week(initial) != self.to_python(data)
        except (ValidationError, HaloError):
            return True


def _whole_week(hours: Any) -> dict[str, list[str]]:
    return {day: check_hours(hours).get(day, []) for day in DAYS} if hours else {}


def _line(spans: Any) -> str:
    return ", ".join(map(str, spans)) if isinstance(spans, list) and spans else CLOSED
