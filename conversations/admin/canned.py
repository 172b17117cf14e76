"""Staff pages of replies that are kept ready for the inbox."""

from __future__ import annotations

from django.contrib import admin
from django.utils.text import Truncator

from conversations.models import CannedReply
from orgs.permissions import Action
from orgs.staff_admin import StaffAdmin


@admin.register(CannedReply)
class CannedReplyAdmin(StaffAdmin):
    """Whoever answers visitors writes them; everybody who reads transcripts may read them."""

    read = Action.READ_TRANSCRIPTS
    edit = Action.WORK_INBOX
    may_delete = True
    list_display = ("slashed", "begins", "updated_at")
    list_display_links = ("slashed",)
    search_fields = ("name", "text")
    search_help_text = "Name or words"
    ordering = ("name",)
    fields = ("name", "text")

    @admin.display(description="Name")
    def slashed(self, obj: CannedReply) -> str:
        return f"/{obj.name}"

    @admin.display(description="Text")
    def begins(self, obj: CannedReply) -> str:
        return Truncator(" ".join(obj.text.split())).chars(90)
