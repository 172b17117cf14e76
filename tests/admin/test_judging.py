"""Teammates judge answers on the transcript."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from conversations.models import AnswerLabel, Turn
from orgs.models import AuditEntry, User
from tests.admin.furnished import Furnished, audited, nobody
from tests.cast import Cast


def url_of(acme: Furnished) -> str:
    conversation = acme.rows["conversations.conversation"].pk
    return reverse("admin:conversations_conversation_judge", args=[conversation, acme.turn.pk])


@pytest.mark.parametrize("person", ["omar", "ada", "sue", "ana", "root"])
def test_every_role_judges_and_the_page_shows_it(
    person: str, cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(getattr(cast, person))
    assert "Was this answer right?" in browser.get(acme.url("conversations.conversation")).content.decode()
    said = {"verdict": "wrong", "comment": "It is <b>14</b> days.", "before": "7"}
    answer = browser.post(url_of(acme), said)
    assert (answer.status_code, answer["Location"]) == (
        302,
        f"{acme.url('conversations.conversation')}?before=7#turn-{acme.turn.pk}",
    )
    label = AnswerLabel.objects.get()
    assert (label.verdict, label.by, label.comment) == ("wrong", "teammate", "It is <b>14</b> days.")
    assert label.person == getattr(cast, person)
    page = browser.get(acme.url("conversations.conversation")).content.decode()
    assert "judged wrong" in page and "It is &lt;b&gt;14&lt;/b&gt; days." in page and "<b>14</b>" not in page


def test_a_judgement_is_changed_and_taken_back_and_each_step_is_audited(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.sue)
    browser.post(url_of(acme), {"verdict": "wrong", "comment": "secret words"})
    browser.post(url_of(acme), {"verdict": "right"})
    entry = audited(cast.acme.org, "answer.judged")
    assert entry.before == {"verdict": "wrong", "comment": "yes"}
    assert entry.after == {"verdict": "right", "comment": ""}
    browser.post(url_of(acme), {"verdict": "withdraw"})
    assert not AnswerLabel.objects.exists()
    assert audited(cast.acme.org, "answer.judgement_withdrawn").actor == cast.sue
    assert not AuditEntry.objects.filter(after__icontains="secret").exists()


def test_a_stranger_and_an_unknown_turn_are_the_same_404(
    cast: Cast, acme: Furnished, globex: Furnished, as_: Callable[[User], Client]
) -> None:
    gus = as_(cast.gus)
    mine = globex.rows["conversations.conversation"].pk
    for conversation, turn in (
        (acme.rows["conversations.conversation"].pk, acme.turn.pk),
        (mine, acme.turn.pk),
        (mine, nobody()),
    ):
        url = reverse("admin:conversations_conversation_judge", args=[conversation, turn])
        assert gus.post(url, {"verdict": "wrong"}).status_code == 404
    assert not AnswerLabel.objects.exists()
    assert gus.post(url_of(globex), {"verdict": "right"}).status_code == 302


def test_only_answers_are_judged_by_a_post_with_a_token(
    cast: Cast, acme: Furnished, as_: Callable[[User], Client]
) -> None:
    browser = as_(cast.ana)
    assert browser.get(url_of(acme)).status_code == 405
    for body in ({"verdict": "maybe"}, {}, {"verdict": "right", "comment": "x" * 2001}, {"verdict": "right\x00"}):
        browser.post(url_of(acme), body)
    assert not AnswerLabel.objects.exists()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.ana, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(url_of(acme), {"verdict": "right"}).status_code == 403
    Turn.objects.filter(pk=acme.turn.pk).update(confidence=None)
    browser.post(url_of(acme), {"verdict": "right"})
    assert not AnswerLabel.objects.exists()
    assert "Was this answer right?" not in browser.get(acme.url("conversations.conversation")).content.decode()
