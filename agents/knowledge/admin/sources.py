"""Staff pages of sources: where articles come from, how their reading goes, and what came of it."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render as render_page
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import display

from agents import sources
from agents.knowledge.admin import progress
from agents.knowledge.admin.forms import SourceForm, UploadForm
from agents.knowledge.models import Article, Source, SourceDocument, SourceFile, SourceRun
from orgs.permissions import Action, may
from orgs.staff_actions import button
from orgs.staff_admin import StaffAdmin, acting, when

# What the page that adds a source asks: (kind, icon, title, what one gets).
KINDS = (
    (Source.Kind.SITE, "language", "Read a website", "Your help centre or website, page by page, and again regularly."),
    (
        Source.Kind.UPLOAD,
        "upload_file",
        "Upload files",
        "PDF, Word (.docx), web pages, text, Markdown, tables (.csv) and JSON, up to 10 MB each.",
    ),
    (
        Source.Kind.IMPORT,
        "data_object",
        "Import JSON Lines",
        "Articles exported from another system: an object a line with id, title, content and url.",
    ),
)
NOT_READ = "Not read yet"
STATUS_COLOURS = {
    "Done": "success",
    "Waiting": "info",
    "Reading": "info",
    "Failed": "danger",
    "Stopped": "warning",
    NOT_READ: "warning",
}


def _open(source: Source) -> bool:
    return bool(SourceRun.objects.for_org(source.org_id).filter(source=source, status__in=SourceRun.OPEN).exists())


def _can_be_read(source: Source) -> bool:
    if source.kind == Source.Kind.SITE:
        return not _open(source)
    return SourceFile.objects.for_org(source.org_id).filter(source=source).exists() and not _open(source)


@admin.register(Source)
class SourceAdmin(StaffAdmin):
    """Everything that agents know comes from a source."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    form = SourceForm
    list_display = ("name", "kind", "status", "article_count", "last_read", "next_read")
    list_filter = ("kind",)
    search_fields = ("name", "address")
    search_help_text = "Name or address"
    ordering = ("name", "id")
    fieldsets = ((None, {"fields": ("name",)}),)
    site_fieldsets = (
        (None, {"fields": ("name", "address", "every")}),
        (
            "Which pages",
            {
                "fields": ("include", "exclude", "page_limit"),
                "description": "Robots.txt is kept to, and pages that ask not to be indexed are left out. Changing "
                "which pages are read reads the website again.",
            },
        ),
    )
    file_fieldsets = ((None, {"fields": ("name", "uploads")}),)
    actions_detail: ClassVar[list[str]] = ["read_again", "add_files", "stop", "remove"]
    change_form_outer_before_template = "admin/halo/source.html"
    empty_title = "Your agents know nothing yet"
    empty_text = "Add the first source: a website, files, or articles that you write."

    class Media:
        js = ("halo/knowledge.js",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:object_id>/progress/", wrap(self.progress_view), name="agents_source_progress"),
            path("<uuid:object_id>/readings/<uuid:run_id>/", wrap(self.reading_view), name="agents_source_reading"),
            path("<uuid:object_id>/files/<int:file_id>/", wrap(self.file_view), name="agents_source_file"),
            *super().get_urls(),
        ]

    # --- The list ----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        articles = (
            Article.objects.filter(org=OuterRef("org"), source=OuterRef("pk"))
            .order_by()
            .values("source")
            .annotate(number=Count("pk"))
            .values("number")
        )
        newest = SourceRun.objects.filter(org=OuterRef("org"), source=OuterRef("pk")).order_by("-created_at")
        found: QuerySet[Any] = super().get_queryset(request)
        return found.annotate(number=Coalesce(Subquery(articles), 0), newest=Subquery(newest.values("status")[:1]))

    @display(description="Status", label=STATUS_COLOURS)
    def status(self, obj: Any) -> str:
        if obj.newest:
            return SourceRun.Status(obj.newest).label
        return "Done" if obj.number else NOT_READ

    @admin.display(description="Articles", ordering="number")
    def article_count(self, obj: Any) -> int:
        return int(obj.number)

    @admin.display(description="Last read", ordering="last_read_at")
    def last_read(self, obj: Source) -> str:
        return when(obj.last_read_at) if obj.last_read_at else "—"

    @admin.display(description="Next", ordering="next_read_at")
    def next_read(self, obj: Source) -> str:
        return when(obj.next_read_at) if obj.next_read_at else "—"

    # --- Adding ------------------------------------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        org = self.org_to_add_to(request)
        if org is not None and not self._kind(request):
            context = {
                **self.admin_site.each_context(request),
                "title": "Add knowledge",
                "opts": self.opts,
                "kinds": KINDS,
                "org": org,
            }
            return TemplateResponse(request, "admin/halo/source_kinds.html", context)
        titles = {kind: title for kind, _, title, _ in KINDS}
        title = titles.get(Source.Kind(self._kind(request) or Source.Kind.SITE))
        return super().add_view(request, form_url, {"title": title, **(extra_context or {})})

    def _kind(self, request: HttpRequest) -> str:
        asked = request.GET.get("kind", "")
        return asked if asked in {kind for kind, *_ in KINDS} else ""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = obj.kind if obj else self._kind(request)
        if kind == Source.Kind.SITE:
            return self.site_fieldsets
        return self.fieldsets if obj else self.file_fieldsets

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.kind = obj.kind if obj else self._kind(request)
        return form

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        by = acting(request)
        if change:
            sources.change_source(source=obj, names=form.changed_data, by=by)
            return
        obj.kind = form.kind
        if obj.kind != Source.Kind.SITE:
            obj.every = Source.Every.NEVER
        sources.add_source(source=obj, by=by, uploads=form.cleaned_data.get("uploads") or ())

    # --- Looking -----------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        source = self.get_object(request, unquote(object_id))
        shown = self._shown(request, source) if self.has_view_permission(request, source) else {}
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def _shown(self, request: HttpRequest, source: Source) -> dict[str, Any]:
        articles = reverse(f"{self.admin_site.name}:agents_article_changelist")
        return {
            "source": source,
            "progress": progress.of(source),
            "articles_url": f"{articles}?source__id__exact={source.pk}",
            "may_build": may(request.user, Action.BUILD, source.org_id),
        }

    def _readable(self, request: HttpRequest, object_id: uuid.UUID) -> Source:
        source: Source = self.get_object(request, str(object_id))
        if request.method != "GET":
            raise PermissionDenied
        return source

    def progress_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """The part of the page that changes while a reading goes on."""
        source = self._readable(request, object_id)
        return render_page(request, "admin/halo/source_progress.html", self._shown(request, source))

    def reading_view(self, request: HttpRequest, object_id: uuid.UUID, run_id: uuid.UUID) -> HttpResponse:
        """Every page or file of one reading, and what became of it."""
        source = self._readable(request, object_id)
        run = SourceRun.objects.for_org(source.org_id).filter(source=source, pk=run_id).defer("memory").first()
        if run is None:
            raise Http404
        state, counts = request.GET.get("state", ""), progress.counts_of(run)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Reading of {source}",
            "opts": self.opts,
            "source": source,
            "run": run,
            "state": state,
            "counts": counts,
            "states": [(value, label, counts.get(value, 0)) for value, label in SourceDocument.State.choices],
            "page": progress.page_of(run, state, request.GET.get("p", "1")),
            "back": self.change_url(source.pk),
        }
        return TemplateResponse(request, "admin/halo/source_reading.html", context)

    # --- Doing -------------------------------------------------------------------------------------------------------

    def file_view(self, request: HttpRequest, object_id: uuid.UUID, file_id: int) -> HttpResponse:
        """Asks whether a file is to go, and removes it when that is posted."""
        if request.method not in ("GET", "POST"):
            return HttpResponseNotAllowed(["GET", "POST"])
        source = self.get_object(request, str(object_id))
        if not may(request.user, Action.BUILD, source.org_id):
            raise PermissionDenied
        files = SourceFile.objects.for_org(source.org_id).filter(source=source).defer("data")
        file = files.filter(pk=file_id).first()
        if file is None:
            raise Http404
        back = self.change_url(source.pk)
        if request.method == "POST":
            removed = sources.remove_file(file=file, by=acting(request))
            messages.success(request, f"“{file}” and its {removed} articles are removed.")
            return HttpResponseRedirect(back)
        number = Article.objects.for_org(source.org_id).filter(file=file).count()
        context = {
            **self.admin_site.each_context(request),
            "title": "Remove this file",
            "subtitle": file.name,
            "opts": self.opts,
            "form": None,
            "explains": f"“{file}” and its articles ({number}) are removed at once: agents do not find them any more.",
            "danger": True,
            "back": back,
        }
        return TemplateResponse(request, "admin/halo/confirm.html", context)

    @button(
        title="Read again",
        icon="refresh",
        needs=Action.BUILD,
        explains="“{obj}” is read from the beginning. What is known now is found until everything has been read, and "
        "stays if that fails.",
        when=_can_be_read,
    )
    def read_again(self, request: HttpRequest, obj: Source, data: dict[str, Any]) -> str:
        sources.read_again(source=obj, by=acting(request))
        return f"“{obj}” is being read."

    @button(
        title="Add files",
        icon="upload_file",
        needs=Action.BUILD,
        explains="“{obj}” gets more files. They are read at once, and what is there is found meanwhile.",
        form=UploadForm,
        when=lambda source: source.kind in sources.FILES_OF,
    )
    def add_files(self, request: HttpRequest, obj: Source, data: dict[str, Any]) -> str:
        sources.add_files(source=obj, uploads=data["uploads"], by=acting(request))
        return "The files are being read."

    @button(
        title="Stop",
        icon="stop_circle",
        needs=Action.BUILD,
        explains="The reading of “{obj}” ends. What was known before it stays as it is.",
        when=_open,
    )
    def stop(self, request: HttpRequest, obj: Source, data: dict[str, Any]) -> str:
        stopped = sources.stop_reading(source=obj, by=acting(request))
        return "The reading was stopped." if stopped else "The reading has ended already."

    @button(
        title="Delete",
        icon="delete",
        danger=True,
        needs=Action.BUILD,
        explains="“{obj}” goes with everything that came from it, at once and for good: {obj.holds}. Agents do not "
        "find any of it any more.",
    )
    def remove(self, request: HttpRequest, obj: Source, data: dict[str, Any]) -> HttpResponse:
        removed = sources.delete_source(source=obj, by=acting(request))
        messages.success(request, f"“{obj}” and its {removed} articles are deleted.")
        return HttpResponseRedirect(self.list_url())
