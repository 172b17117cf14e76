"""Staff pages of articles: written here with a preview, or read-only where a source brings them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from agents.articles import have_read, rewrite_article, write_article
from agents.knowledge.importing import MAX_CONTENT
from agents.knowledge.models import Article, Passage, Source
from halo.markdown import link, render
from orgs.permissions import Action, may_somewhere
from orgs.services import Conflict
from orgs.staff_actions import button
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_forms import StaffForm
from orgs.staff_lists import ScopedRelatedFilter

READ, UPDATING, UNREAD = "Searchable", "Being updated", "Not read yet"
_FOR_VISITORS = "Agents show it to visitors, so write nothing here that is not for them."


class ArticleForm(StaffForm):
    """An article as short as an import takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "content" in self.fields:
            # halo/knowledge.js shows beside it what it will look like.
            preview = {"data-preview": reverse("admin:agents_article_preview"), "rows": 18}
            self.fields["content"].widget = UnfoldAdminTextareaWidget(attrs=preview)

    def clean_content(self) -> str:
        content: str = self.cleaned_data["content"]
        if len(content.encode()) > MAX_CONTENT:
            raise ValidationError(f"This is longer than {MAX_CONTENT // 1024**2} MB.")
        return content


class StateFilter(admin.SimpleListFilter):
    """Whether agents find what an article says now."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("read", READ), ("unread", "Still to be read")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "read":
            return queryset.exclude(content_hash="")
        return queryset.filter(content_hash="") if self.value() == "unread" else queryset


@admin.register(Article)
class ArticleAdmin(StaffAdmin):
    """What the agents know, article by article."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    may_delete = True
    form = ArticleForm
    list_display = ("title", "source", "state", "updated_at")
    list_filter = (("source", ScopedRelatedFilter), StateFilter, "updated_at")
    list_select_related = ("source",)
    search_fields = ("title", "external_id")
    search_help_text = "Title or the importer's id"
    ordering = ("-updated_at", "id")
    sortable_by = ("updated_at",)
    readonly_fields = (
        "state",
        "shown",
        "leads_to",
        "source",
        "external_id",
        "passages_made",
        "created_at",
        "updated_at",
    )
    add_fieldsets = (
        (
            None,
            {
                "fields": ("title", "url", "content"),
                "description": f"Agents find and quote it some seconds after it is saved. {_FOR_VISITORS} What agents "
                "are always to keep in mind, whatever is asked, is guidance, and not an article.",
            },
        ),
    )
    written_fieldsets = (
        (None, {"fields": ("title", "url", "content"), "description": _FOR_VISITORS}),
        ("About it", {"fields": ("state", "passages_made", "source", "external_id", "created_at", "updated_at")}),
    )
    brought_fieldsets = (
        (
            None,
            {
                "fields": ("title", "leads_to", "shown"),
                "description": "Its source brings this article, and would bring it again: change it there.",
            },
        ),
        ("About it", {"fields": ("state", "passages_made", "source", "external_id", "created_at", "updated_at")}),
    )
    actions_detail: ClassVar[list[str]] = ["read_again"]
    help_texts: ClassVar[dict[str, str]] = {
        "title": "Agents find the article by it too: say it as visitors would ask it.",
        "url": "Where visitors read it themselves; citations lead there. Empty: a citation has no link.",
    }
    empty_title = "No articles yet"
    empty_text = "Write one, or add a source under Sources: a website, files or JSON Lines."

    class Media:
        js = ("halo/knowledge.js",)

    def get_urls(self) -> list[URLPattern]:
        preview = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", preview, name="agents_article_preview"), *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        passages = Passage.objects.filter(org=OuterRef("org"), article=OuterRef("pk"))
        found: QuerySet[Any] = super().get_queryset(request).annotate(has_passages=Exists(passages))
        return found

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        return self.written_fieldsets if self.has_change_permission(request, obj) else self.brought_fieldsets

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What a source brought, it would bring again.
        written = obj is None or obj.source.kind == Source.Kind.MANUAL
        return written and super().has_change_permission(request, obj)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """What Markdown looks like, as the same allow-list of tags that answers are shown with."""
        if not may_somewhere(request.user, Action.BUILD):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return HttpResponse(render(request.POST.get("text", "")[:MAX_CONTENT]))

    @display(description="State", label={READ: "success", UPDATING: "info", UNREAD: "warning"})
    def state(self, obj: Article) -> str:
        if obj.content_hash:
            return READ
        return UPDATING if getattr(obj, "has_passages", False) else UNREAD

    @admin.display(description="Content")
    def shown(self, obj: Article) -> str:
        return format_html('<div class="halo-text halo-prose">{}</div>', render(obj.content[:200_000]))

    @admin.display(description="Address")
    def leads_to(self, obj: Article) -> str:
        return link(obj.url, obj.url) if obj.url else "—"

    @admin.display(description="Passages")
    def passages_made(self, obj: Article) -> int:
        return int(Passage.objects.for_org(obj.org_id).filter(article=obj).count())

    def save_model(self, request: HttpRequest, obj: Article, form: Any, change: bool) -> None:
        if change:
            rewrite_article(article=obj, names=form.changed_data, by=acting(request))
        else:
            write_article(article=obj, by=acting(request))

    @button(
        title="Read again",
        icon="refresh",
        needs=Action.BUILD,
        explains="“{obj}” has not been read yet as it is now, so agents do not find what it says. A worker is asked to "
        "read it now.",
        when=lambda article: not article.content_hash,
    )
    def read_again(self, request: HttpRequest, obj: Article, data: dict[str, Any]) -> str:
        if not have_read(obj):
            raise Conflict("The queue does not answer at the moment. It is asked again by itself within a minute.")
        return "A worker reads it now."
