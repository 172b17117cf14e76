"""A teammate's judgement of an answer, as the transcript's form sends it."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest

from conversations.labels import By, NotAnAnswer, Verdict, label_answer, withdraw_judgement
from conversations.models import AnswerLabel, Turn
from orgs.models import User

WITHDRAW = "withdraw"


class JudgementForm(forms.Form):
    """Which button was pressed, and the words beside it."""

    verdict = forms.ChoiceField(choices=[*Verdict.choices, (WITHDRAW, "Take back")])
    comment = forms.CharField(required=False, max_length=AnswerLabel._meta.get_field("comment").max_length)


def judge(request: HttpRequest, *, turn: Turn, form: JudgementForm, by: User) -> None:
    """Does what the form says and tells the person so."""
    if not form.is_valid():
        messages.error(request, str(next(iter(form.errors.values()))[0]))
        return
    verdict, comment = form.cleaned_data["verdict"], form.cleaned_data["comment"]
    if verdict == WITHDRAW:
        withdraw_judgement(turn=turn, by=by)
        messages.success(request, "Your team's judgement of this answer is taken back.")
        return
    try:
        label_answer(turn=turn, verdict=verdict, by=By.TEAMMATE, person=by, comment=comment)
    except NotAnAnswer as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"The answer counts as {verdict}.")
