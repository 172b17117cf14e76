"""The addresses below /inbox/."""

from __future__ import annotations

from django.urls import path

from conversations.inbox import acts, views

urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("list/", views.list_part, name="inbox-list"),
    path("events/", views.events, name="inbox-events"),
    path("canned/", views.canned, name="inbox-canned"),
    path("c/<uuid:conversation_id>/", views.conversation_page, name="inbox-conversation"),
    path("c/<uuid:conversation_id>/part/", views.conversation_part, name="inbox-conversation-part"),
    path("c/<uuid:conversation_id>/take-over/", acts.take_over, name="inbox-take-over"),
    path("c/<uuid:conversation_id>/hand-back/", acts.hand_back, name="inbox-hand-back"),
    path("c/<uuid:conversation_id>/close/", acts.close, name="inbox-close"),
    path("c/<uuid:conversation_id>/reply/", acts.reply, name="inbox-reply"),
    path("c/<uuid:conversation_id>/whisper/", acts.whisper, name="inbox-whisper"),
    path("c/<uuid:conversation_id>/whisper/back/", acts.take_whisper_back, name="inbox-whisper-back"),
    path("c/<uuid:conversation_id>/ticket/", acts.make_ticket, name="inbox-make-ticket"),
    path("t/<uuid:ticket_id>/", views.ticket_page, name="inbox-ticket"),
    path("t/<uuid:ticket_id>/part/", views.ticket_part, name="inbox-ticket-part"),
    path("t/<uuid:ticket_id>/change/", acts.change_ticket, name="inbox-change-ticket"),
    path("at/<uuid:key>/note/", acts.note, name="inbox-note"),
    path("at/<uuid:key>/note/remove/", acts.remove_note, name="inbox-note-remove"),
    path("at/<uuid:key>/here/", acts.here, name="inbox-here"),
]
