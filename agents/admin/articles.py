"""Staff pages of articles."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from unfold.decorators import display

from agents.articles import have_read, write_article
from agents.knowledge.importing import MAX_CONTENT
from agents.models import Article
from orgs.permissions import Action
from orgs.services import Conflict
from orgs.staff_actions import button
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_forms import StaffForm
from orgs.staff_lists import BoundedPaginator


class ArticleForm(StaffForm):
    """An article as short as an import takes."""

    def clean_content(self) -> str:
        content: str = self.cleaned_data["content"]
        if len(content.encode()) > MAX_CONTENT:
            raise ValidationError(f"This is longer than {MAX_CONTENT // 1024**2} MB.")
        return content


@admin.register(Article)
class ArticleAdmin(StaffAdmin):
    """What the agents know. Many at once are loaded with `manage.py load_articles`."""

    read = Action.SEE_BUILD
    edit = Action.BUILD
    may_delete = True
    form = ArticleForm
    list_display = ("title", "source", "external_id", "searchable", "updated_at")
    list_select_related = ("source",)
    search_fields = ("title", "external_id")
    search_help_text = "Title or the importer's id"
    ordering = ("-updated_at", "id")
    sortable_by = ("updated_at",)
    paginator = BoundedPaginator
    fields = ("title", "url", "content", "searchable", "source", "external_id", "created_at", "updated_at")
    readonly_fields = ("searchable", "source", "external_id", "created_at", "updated_at")
    add_fieldsets = (
        (
            None,
            {
                "fields": ("title", "url", "content"),
                "description": "Agents find and quote it some seconds after it is saved. Agents show it to visitors, "
                "so write nothing here that is not for them.",
            },
        ),
    )
    actions_detail: ClassVar[list[str]] = ["read_again"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # What an import brought, the next import would bring again.
        return False

    @display(description="Searchable", boolean=True)
    def searchable(self, obj: Article) -> bool:
        return bool(obj.content_hash)

    def save_model(self, request: HttpRequest, obj: Article, form: Any, change: bool) -> None:
        write_article(article=obj, by=acting(request))

    @button(
        title="Read again",
        icon="refresh",
        needs=Action.BUILD,
        explains="“{obj}” has not been read yet, so agents do not find it. A worker is asked to read it now.",
        when=lambda article: not article.content_hash,
    )
    def read_again(self, request: HttpRequest, obj: Article, data: dict[str, Any]) -> str:
        if not have_read(obj):
            raise Conflict("The queue does not answer at the moment. Try again in a minute.")
        return "A worker reads it now."
