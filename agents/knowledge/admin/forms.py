"""Forms of sources: what each kind asks for, in plain words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from agents.knowledge.addresses import normalised, patterns
from agents.knowledge.documents.drafts import MAX_FILE
from agents.knowledge.models import Source
from agents.sources import FILES_OF, Upload, file_name
from orgs.staff_forms import StaffForm

MAX_AT_ONCE = 20
MAX_TOGETHER = 50 * 1024 * 1024
MAX_PATTERNS = 50


class FilesInput(forms.ClearableFileInput):
    """A browser's own choice of files, several at once."""

    allow_multiple_selected = True
    template_name = "django/forms/widgets/input.html"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": "halo-files", "multiple": True, **(attrs or {})})


class FilesField(forms.FileField):
    """Files of the kinds in `suffixes`, each within the limit; cleaned to uploads."""

    def __init__(self, *, suffixes: tuple[str, ...], **kwargs: Any) -> None:
        kwargs.setdefault("widget", FilesInput(attrs={"accept": ",".join(suffixes)}))
        super().__init__(**kwargs)
        self.suffixes = suffixes

    def clean(self, data: Any, initial: Any = None) -> list[Upload]:
        given: list[UploadedFile] = [file for file in (data if isinstance(data, list) else [data]) if file]
        if not given:
            if self.required:
                raise ValidationError("Choose at least one file.")
            return []
        if len(given) > MAX_AT_ONCE or sum(file.size or 0 for file in given) > MAX_TOGETHER:
            raise ValidationError(f"At most {MAX_AT_ONCE} files and {MAX_TOGETHER // 1024**2} MB at once.")
        uploads = []
        for file in given:
            name = file_name(file.name or "")
            if not name.lower().endswith(self.suffixes):
                raise ValidationError(f"“{name}” cannot be read. Possible are {', '.join(self.suffixes)}.")
            if (file.size or 0) > MAX_FILE:
                raise ValidationError(f"“{name}” is larger than {MAX_FILE // 1024**2} MB.")
            if not file.size:
                raise ValidationError(f"“{name}” is empty.")
            uploads.append(Upload(name, file.read()))
        if len({upload.name for upload in uploads}) < len(uploads):
            raise ValidationError("Two of the files have the same name.")
        return uploads


def files_field(kind: str, *, required: bool = True) -> FilesField:
    """The field for the files that a source of this kind holds."""
    suffixes = FILES_OF[kind]
    return FilesField(
        label="Files",
        suffixes=suffixes,
        required=required,
        help_text=f"{', '.join(suffixes)}, each up to {MAX_FILE // 1024**2} MB, several at once. A file with the name "
        "of one that is there takes its place.",
    )


class UploadForm(forms.Form):
    """More files for a source."""

    uploads = files_field(Source.Kind.UPLOAD)


class SourceForm(StaffForm):
    """A source of the kind that its page was opened for."""

    kind: str = ""
    uploads = files_field(Source.Kind.UPLOAD, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adding = self.instance._state.adding
        self.kind = self.kind if adding else self.instance.kind
        if adding and "name" in self.fields:
            self.fields["name"].required = False
            self.fields["name"].help_text = "What you call it. Empty: the website's or the first file's name."
        for name in {"include", "exclude"} & {*self.fields}:
            self.fields[name].widget.attrs["rows"] = 4
        if "address" in self.fields:
            self.fields["address"].required = True
        if self.kind in FILES_OF and adding:
            self.fields["uploads"] = files_field(self.kind)
        else:
            self.fields.pop("uploads", None)

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"].strip()
        if not normalised(address):
            raise ValidationError("Enter an address that begins with https://, without a password in it.")
        return address

    def clean_include(self) -> str:
        return self._patterns("include")

    def clean_exclude(self) -> str:
        return self._patterns("exclude")

    def _patterns(self, name: str) -> str:
        found = patterns(self.cleaned_data[name])
        if len(found) > MAX_PATTERNS:
            raise ValidationError(f"At most {MAX_PATTERNS} lines.")
        if any(not pattern.startswith(("/", "*")) for pattern in found):
            raise ValidationError("Each line begins with / or *, such as /help/*.")
        return "\n".join(found)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not cleaned.get("name") and self.instance._state.adding:
            uploads = cleaned.get("uploads") or []
            host = urlsplit(cleaned.get("address") or "").hostname or ""
            cleaned["name"] = (host.removeprefix("www.") or (uploads[0].name if uploads else ""))[:200]
            if not cleaned["name"] and not self.errors:
                self.add_error("name", "Give it a name.")
        return cleaned
