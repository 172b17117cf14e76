"""Where transcripts are."""

from __future__ import annotations

from django.urls import path

from conversations.transcripts import pages

urlpatterns = [
    path("", pages.list_transcripts, name="transcripts"),
    path("views/", pages.save_view, name="transcripts-save-view"),
    path("views/<uuid:view_id>/delete/", pages.delete_view, name="transcripts-delete-view"),
    path("<uuid:conversation_id>/", pages.read_transcript, name="transcript"),
    path("<uuid:conversation_id>/notes/", pages.add_note, name="transcript-note"),
    path("<uuid:conversation_id>/notes/remove/", pages.remove_note, name="transcript-note-remove"),
    path("<uuid:conversation_id>/turns/<uuid:turn_id>/judge/", pages.judge_answer, name="transcript-judge"),
]
