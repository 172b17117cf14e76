"""Staff pages of conversations: the list, the transcript, and stepping in."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.postgres.search import SearchQuery, SearchVector
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Left
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.decorators import display

from agents.answer_types import AnswerType
from conversations.admin import trace, transcript
from conversations.admin.filters import RuleFilter
from conversations.admin.judging import JudgementForm, judge
from conversations.models import WORDS, Conversation, Message, MessageImage, Turn
from conversations.takeover import close, hand_back, take_over
from conversations.visible import IMAGE_TYPES
from halo.markdown import host_of
from orgs import audit
from orgs.models import User
from orgs.permissions import Action, may, org_ids
from orgs.staff_actions import button
from orgs.staff_admin import StaffAdmin, acting
from orgs.staff_bulk import bulk
from orgs.staff_lists import ScopedRelatedFilter
from sessions.models import EndUser

OUTCOMES = {
    "Answered by the agent": "success",
    "Escalated": "warning",
    "Routed to a team": "info",
    "With a teammate": "info",
    "Not answered": "danger",
}
# As short as a column wants them.
KINDS = {value: str(label) for value, label in AnswerType.choices if value} | {AnswerType.ANSWERABLE: "Answered"}
KIND_COLOURS = {
    KINDS[AnswerType.ANSWERABLE]: "success",
    KINDS[AnswerType.NEEDS_FACT]: "info",
    KINDS[AnswerType.AMBIGUOUS]: "info",
    KINDS[AnswerType.NOT_IN_KNOWLEDGE]: "warning",
    KINDS[AnswerType.NOT_ALLOWED]: "warning",
    KINDS[AnswerType.NEEDS_PERSON]: "warning",
}
MOST_FOUND, MOST_PEOPLE = 1000, 200


class PersonFilter(admin.SimpleListFilter):
    """The conversations of one end user; reached from that user's page."""

    title = "person"
    parameter_name = "person"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        wanted = _uuid(request.GET.get(self.parameter_name, ""))
        if wanted is None or not isinstance(request.user, User):
            return []
        people = EndUser.objects.filter(pk=wanted)
        if not request.user.is_superuser:
            people = people.filter(org__in=org_ids(request.user, Action.SEE_PEOPLE))
        return [(str(person.pk), str(person)) for person in people]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if not self.value():
            return queryset
        wanted = _uuid(self.value() or "")
        return queryset.filter(session__end_user=wanted) if wanted else queryset.none()


class AnswerTypeFilter(admin.SimpleListFilter):
    """Conversations whose last answer is of a kind."""

    title = "last answer"
    parameter_name = "answer_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, str(label)) for value, label in AnswerType.choices if value]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(answer_type=self.value()) if self.value() else queryset


@admin.register(Conversation)
class ConversationAdmin(StaffAdmin):
    """What visitors asked and what they were answered. Opening one is written to the audit."""

    read = Action.READ_TRANSCRIPTS
    may_add = False
    list_display = ("said", "person", "agent", "outcome_label", "answer_kind", "confidence", "last_message_at")
    list_display_links = ("said",)
    list_filter = (
        "status",
        "outcome",
        AnswerTypeFilter,
        ("agent", ScopedRelatedFilter),
        "rating",
        "has_error",
        "verified",
        "has_images",
        RuleFilter,
        PersonFilter,
        "last_message_at",
    )
    list_select_related = ("session__end_user", "agent", "taken_over_by")
    search_fields = ("pk",)  # what is searched is in get_search_results
    search_help_text = "Words of a message, or a person's id, e-mail or name"
    ordering = ("-last_message_at", "id")
    sortable_by = ()
    actions: ClassVar[list[str]] = ["close_chosen"]
    actions_detail: ClassVar[list[str]] = ["take_over", "hand_back", "close"]

    # --- The list ----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related(*self.get_list_select_related(request))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if wanted := _uuid(term):
            of_turn = Turn.objects.filter(pk=wanted).values("conversation")
            return queryset.filter(Q(pk=wanted) | Q(session__end_user=wanted) | Q(pk__in=of_turn)), False
        user = acting(request)
        ids = None if user.is_superuser else org_ids(user, self.read)
        return queryset.filter(pk__in=_matching(term, ids)), False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        first = Message.objects.filter(conversation=OuterRef("pk"), author=Message.Author.VISITOR)
        begins = Subquery(first.order_by("seq", "part").annotate(start=Left("text", 120)).values("start")[:1])
        changes.result_list = changes.result_list.annotate(begins=begins)
        return changes

    @admin.display(description="First message")
    def said(self, obj: Any) -> str:
        return " ".join((getattr(obj, "begins", "") or "(nothing yet)").split())[:90]

    @admin.display(description="Person")
    def person(self, obj: Conversation) -> str:
        return str(obj.session.end_user or "Anonymous")

    @display(description="Outcome", label=OUTCOMES)
    def outcome_label(self, obj: Conversation) -> str:
        return obj.get_outcome_display() if obj.outcome else ""

    @display(description="Last answer", label=KIND_COLOURS)
    def answer_kind(self, obj: Conversation) -> str:
        return KINDS.get(obj.answer_type, "")

    @admin.display(description="Confidence")
    def confidence(self, obj: Conversation) -> str:
        return "—" if obj.lowest_confidence is None else f"{obj.lowest_confidence:.0%}"

    # --- The transcript ----------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:object_id>/images/<int:image_id>/", wrap(self.image_view), name=f"{name}_image"),
            path("<uuid:object_id>/turns/<uuid:turn_id>/", wrap(self.turn_view), name=f"{name}_turn"),
            path("<uuid:object_id>/turns/<uuid:turn_id>/json/", wrap(self.turn_json), name=f"{name}_turn_json"),
            path("<uuid:object_id>/turns/<uuid:turn_id>/judge/", wrap(self.judge_view), name=f"{name}_judge"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        conversation = self._readable(request, unquote(object_id))
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        before = request.GET.get("before", "")
        found = transcript.read(conversation, before=int(before) if before.isdecimal() and len(before) < 19 else None)
        audit.record(org=conversation.org_id, actor=acting(request), action="transcript.read", target=conversation)
        context = {
            **self._context(request, conversation),
            "transcript": found,
            "person": conversation.session.end_user,
            "company": conversation.session.company,
            "may_judge": may(request.user, Action.WRITE_NOTES, conversation.org_id),
            "before": before,
            "actions_detail": self._get_actions_navigation(
                list(self.actions_detail), self.get_actions_detail(request, object_id), object_id
            ),
            "actions_detail_hide_default": True,
        }
        return TemplateResponse(request, "admin/halo/transcript.html", context)

    def turn_view(self, request: HttpRequest, object_id: uuid.UUID, turn_id: uuid.UUID) -> HttpResponse:
        """How an answer came about, or failed to: all that is known of a turn on one page."""
        conversation = self._readable(request, str(object_id))
        told = self._told(conversation, turn_id)
        audit.record(org=conversation.org_id, actor=acting(request), action="trace.read", target=told.turn)
        context = {
            **self._context(request, conversation),
            "title": "How this answer came about",
            **trace.page(told),
            "may_export": may(request.user, Action.EXPORT, conversation.org_id),
        }
        return TemplateResponse(request, "admin/halo/turn.html", context)

    def turn_json(self, request: HttpRequest, object_id: uuid.UUID, turn_id: uuid.UUID) -> HttpResponse:
        """The same as a file, for those who may export."""
        conversation = self._readable(request, str(object_id))
        if not may(request.user, Action.EXPORT, conversation.org_id):
            raise PermissionDenied
        told = self._told(conversation, turn_id)
        audit.record(org=conversation.org_id, actor=acting(request), action="trace.exported", target=told.turn)
        return JsonResponse(
            trace.download(told),
            json_dumps_params={"indent": 2, "ensure_ascii": False},
            headers={
                "Content-Disposition": f'attachment; filename="trace-{told.turn.pk}.json"',
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "private, no-store",
            },
        )

    def _told(self, conversation: Conversation, turn_id: uuid.UUID) -> trace.Told:
        told = trace.find(conversation, turn_id)
        if told is None:
            raise Http404
        return told

    def judge_view(self, request: HttpRequest, object_id: uuid.UUID, turn_id: uuid.UUID) -> HttpResponse:
        """A teammate says whether an answer was right, changes their mind, or takes it back."""
        conversation = self._readable(request, str(object_id))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not may(request.user, Action.WRITE_NOTES, conversation.org_id):
            raise PermissionDenied
        turn = self._turn(conversation, turn_id)
        judge(request, turn=turn, form=JudgementForm(request.POST), by=acting(request))
        before = request.POST.get("before", "")
        where = f"?before={before}" if before.isdecimal() and before.isascii() and len(before) < 19 else ""
        return HttpResponseRedirect(f"{self.change_url(conversation.pk)}{where}#turn-{turn.pk}")

    def image_view(self, request: HttpRequest, object_id: uuid.UUID, image_id: int) -> HttpResponse:
        """The bytes of an image that came with a message."""
        conversation = self._readable(request, str(object_id))
        images = MessageImage.objects.for_org(conversation.org_id).filter(message__conversation=conversation)
        image = images.filter(pk=image_id, data__isnull=False).first()
        # SECURITY: a visitor's bytes. The type is one of four, as the bytes' beginning was when they were stored; the
        # browser may neither guess another nor run anything in them.
        if image is None or image.data is None or image.media_type not in IMAGE_TYPES:
            raise Http404
        return HttpResponse(
            bytes(image.data),
            content_type=image.media_type,
            headers={
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "X-Content-Type-Options": "nosniff",
                "Content-Disposition": f'inline; filename="image-{image.pk}.{image.media_type[6:]}"',
                "Cache-Control": "private, no-store",
            },
        )

    def name_of(self, obj: Conversation) -> str:
        return f"the conversation with {obj.session.end_user or 'an anonymous visitor'}"

    def _readable(self, request: HttpRequest, object_id: str) -> Conversation:
        conversation: Conversation = self.get_object(request, object_id)
        if not self.has_view_permission(request, conversation):
            raise PermissionDenied
        return conversation

    def _turn(self, conversation: Conversation, turn_id: uuid.UUID) -> Turn:
        turns = Turn.objects.for_org(conversation.org_id).select_related("agent_version", "routing_rule")
        turn: Turn | None = turns.filter(conversation=conversation, pk=turn_id).first()
        if turn is None:
            raise Http404
        return turn

    def _context(self, request: HttpRequest, conversation: Conversation) -> dict[str, Any]:
        started = conversation.created_at
        return {
            **self.admin_site.each_context(request),
            "title": f"Conversation of {started:%-d %B %Y}",
            "subtitle": None,
            "opts": self.opts,
            "original": conversation,
            "conversation": conversation,
            "host_of": host_of,
            "has_view_permission": True,
        }

    # --- Stepping in -------------------------------------------------------------------------------------------------

    @button(
        title="Take over",
        icon="front_hand",
        needs=Action.WORK_INBOX,
        explains="You answer this visitor from now on. The agent says nothing more; an answer that it is writing now "
        "is dropped.",
        when=lambda row: row.status == Conversation.Status.OPEN and row.taken_over_by_id is None,
    )
    def take_over(self, request: HttpRequest, obj: Conversation, data: dict[str, Any]) -> str:
        take_over(conversation=obj, by=acting(request))
        return "The conversation is yours."

    @button(
        title="Hand back",
        icon="undo",
        needs=Action.WORK_INBOX,
        explains="The agent answers this visitor again, from their next message on.",
        when=lambda row: row.status == Conversation.Status.OPEN and row.taken_over_by_id is not None,
    )
    def hand_back(self, request: HttpRequest, obj: Conversation, data: dict[str, Any]) -> str:
        hand_back(conversation=obj, by=acting(request))
        return "The agent answers again."

    @button(
        title="Close",
        icon="done_all",
        needs=Action.WORK_INBOX,
        explains="The conversation ends. What the visitor writes next begins a new one.",
        when=lambda row: row.status == Conversation.Status.OPEN,
    )
    def close(self, request: HttpRequest, obj: Conversation, data: dict[str, Any]) -> str:
        close(conversation=obj, by=acting(request))
        return "The conversation is closed."

    @bulk(
        title="Close conversations",
        needs=Action.WORK_INBOX,
        explains="These conversations end, also where a teammate has taken over. What their visitors write next begins "
        "new ones.",
        done="closed",
        when=lambda row: row.status == Conversation.Status.OPEN,
    )
    def close_chosen(self, request: HttpRequest, obj: Conversation) -> None:
        close(conversation=obj, by=acting(request))


def _matching(term: str, orgs: list[uuid.UUID] | None) -> set[uuid.UUID]:
    """Conversations in these organisations (None: all) with `term` in a message, or of people that it names.

    The newest `MOST_FOUND` of each: whoever searches for a word that is everywhere looks at the first page.
    """
    # The same expression as the index on messages.
    said = Message.objects.annotate(words=SearchVector("text", config=WORDS)).filter(
        words=SearchQuery(term, config=WORDS, search_type="websearch")
    )
    people = EndUser.objects.filter(Q(external_id=term) | Q(email__istartswith=term) | Q(name__icontains=term))
    theirs = Conversation.objects.all()
    if orgs is not None:
        said, people, theirs = said.filter(org__in=orgs), people.filter(org__in=orgs), theirs.filter(org__in=orgs)
    # Lists and not subqueries: a condition on either of two joins would read every conversation.
    named = list(people.order_by("-last_seen").values_list("pk", flat=True)[:MOST_PEOPLE])
    found = set(said.order_by("-id").values_list("conversation_id", flat=True)[:MOST_FOUND])
    if named:
        theirs = theirs.filter(session__end_user__in=named).order_by("-last_message_at")
        found |= set(theirs.values_list("pk", flat=True)[:MOST_FOUND])
    return found


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text.strip())
    except ValueError:
        return None
