"""Forms of the staff pages: bound to one organisation, strict about what can be stored."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from halo.api.strict_json import parse_object, storable_tree
from halo.errors import HaloError
from orgs.models import Organization


class StaffForm(forms.ModelForm):
    """A form for a row of `org`, which is never a field of it. The page's fieldsets say which columns it has."""

    # Set by StaffAdmin.get_form, which makes a class of its own for every request.
    request: ClassVar[HttpRequest]
    org: ClassVar[Organization | None] = None
    # Which form field is to blame when a service names its own.
    blame: ClassVar[dict[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # SECURITY: the organisation comes from the page's address, checked against the person's roles.
        if self.instance._state.adding and self.org is not None and hasattr(self.instance, "org_id"):
            self.instance.org = self.org

    def _as_form_error(self, check: Callable[..., Any], *values: Any) -> Any:
        """What `check` returns; what it refuses, as this field's error."""
        try:
            return check(*values)
        except HaloError as error:
            raise ValidationError(error.message) from None

    def _get_validation_exclusions(self) -> set[str]:
        # The organisation is part of most unique constraints, and those are to be checked here too.
        return super()._get_validation_exclusions() - {"org"}  # type: ignore[misc]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        refused: HaloError | None = getattr(self.request, "halo_refused", None)
        if refused is not None:
            field = self.blame.get(refused.field or "", refused.field or "")
            self.add_error(field if field in self.fields else None, refused.message)
        return cleaned


class StrictJSONField(forms.JSONField):
    """JSON that PostgreSQL can store, shown indented."""

    def to_python(self, value: Any) -> Any:
        if self.disabled or value in self.empty_values or isinstance(value, (list, dict)):
            return value if isinstance(value, (list, dict)) else None
        try:
            wrapped = parse_object(b'{"value": ' + str(value).encode() + b"}")
        except HaloError as error:
            raise ValidationError(error.message.replace("The body", "This")) from None
        if set(wrapped) != {"value"}:
            raise ValidationError("This is not valid JSON.")
        return storable_tree(wrapped["value"])

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else data

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):  # what was typed, shown again beside its error
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)


class JSONObjectField(StrictJSONField):
    """A JSON object; empty is `{}`."""

    empty_values = [None, ""]

    def clean(self, value: Any) -> Any:
        cleaned = super().clean(value)
        if cleaned is None:
            return {}
        if not isinstance(cleaned, dict):
            raise ValidationError('This must be a JSON object, such as {"plan": "pro"}.')
        return cleaned


class LinesField(forms.CharField):
    """A list of strings, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 4})

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(item) for item in value) if isinstance(value, list) else value

    def run_validators(self, value: Any) -> None:
        super().run_validators("\n".join(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or []) != self.to_python(data)


class ModelKeyFields(forms.Form):
    """What a form needs to take a model's key without ever showing the stored one."""

    new_key = forms.CharField(
        label="Model key",
        required=False,
        strip=True,
        max_length=1000,
        # SECURITY: the stored key is never sent to a browser, and browsers are told not to fill in one of theirs.
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
        help_text="Encrypted when it is stored, and never shown again. Leave it empty to keep the stored key. "
        "Changing the model's address clears the stored key: enter it again then.",
    )
    forget_key = forms.BooleanField(label="Remove the stored key", required=False, widget=UnfoldBooleanSwitchWidget())

    def key_to_store(self) -> str | None:
        """None keeps the stored key, empty removes it."""
        given: str = self.cleaned_data.get("new_key") or ""
        return "" if self.cleaned_data.get("forget_key") else given or None


class GraceForm(forms.Form):
    """How long what is replaced still works."""

    CHOICES = (
        (0, "Not at all: it stops now"),
        (60, "1 hour"),
        (24 * 60, "1 day"),
        (7 * 24 * 60, "7 days"),
        (30 * 24 * 60, "30 days"),
    )
    grace = forms.TypedChoiceField(
        label="The old one works for",
        coerce=int,
        choices=CHOICES,
        initial=24 * 60,
        widget=UnfoldAdminSelectWidget(),
        help_text="Put the new one in place within this time. What still uses the old one after it is refused.",
    )

    def clean_grace(self) -> dt.timedelta:
        return dt.timedelta(minutes=self.cleaned_data["grace"])
