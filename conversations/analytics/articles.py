"""Articles by how often they were cited, and by what people thought of the answers that cited them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Sum

from agents.calibration import Interval, share
from agents.models import Article
from conversations import labels
from conversations.analytics.period import Asked
from conversations.models import AnswerLabel, DayArticle, Message

MOST, MOST_LABELS = 200, 5_000


@dataclass(frozen=True, slots=True)
class Row:
    """An article; `key` is empty where it is gone, and then only its importer's id is known."""

    title: str
    key: str
    source: str
    answers: int
    judged: int
    wrong: int
    share_wrong: Interval | None


def articles(asked: Asked) -> list[Row]:
    """The articles that were cited most in the period, or in an answer that somebody called wrong."""
    days = DayArticle.objects.for_org(asked.org).filter(day__gte=asked.since.date(), day__lte=asked.until.date())
    used = dict(days.values("article").annotate(n=Sum("answers")).order_by("-n").values_list("article", "n")[:MOST])
    judged = _judged(asked)
    cited = [*used, *(name for name in judged if name not in used)]
    known = {
        article.external_id: article
        for article in Article.objects.for_org(asked.org)
        .filter(external_id__in=cited)
        .select_related("source")
        .only("title", "external_id", "source__name")
    }
    rows = []
    for name in cited:
        article, (right, wrong) = known.get(name), judged.get(name, (0, 0))
        rows.append(
            Row(
                title=article.title if article else name,
                key=str(article.pk) if article else "",
                source=article.source.name if article else "",
                answers=used.get(name, 0),
                judged=right + wrong,
                wrong=wrong,
                share_wrong=share(wrong, right + wrong) if right + wrong else None,
            )
        )
    return rows


def never_cited(asked: Asked) -> tuple[list[Article], bool]:
    """Articles that no answer of the period cited, the oldest first, and whether there are more."""
    days = DayArticle.objects.for_org(asked.org).filter(day__gte=asked.since.date(), day__lte=asked.until.date())
    found = (
        Article.objects.for_org(asked.org)
        .filter(created_at__lt=asked.since)
        .exclude(external_id__in=days.values("article"))
    )
    rows = list(found.select_related("source").only("title", "source__name").order_by("updated_at", "pk")[:51])
    return rows[:50], len(rows) > 50


def _judged(asked: Asked) -> dict[str, tuple[int, int]]:
    """By the importer's own id: right and wrong answers among those that cited it, by the word that counts most."""
    found = AnswerLabel.objects.for_org(asked.org).filter(created_at__gte=asked.since)
    if asked.agent is not None:
        found = found.filter(turn__agent_version__agent=asked.agent)
    said: dict[Any, dict[str, str]] = {}
    for turn, by, verdict in found.order_by("-created_at", "-pk").values_list("turn_id", "by", "verdict")[:MOST_LABELS]:
        said.setdefault(turn, {})[by] = verdict
    sums: dict[str, tuple[int, int]] = {}
    replies = Message.objects.for_org(asked.org).filter(turn__in=list(said), part=Message.Part.REPLY)
    for turn, citations in replies.values_list("turn_id", "citations").iterator(chunk_size=2000):
        counts = labels.effective(said[turn])
        is_right = counts is not None and counts[0] == labels.Verdict.RIGHT
        for name in {str(one.get("article_id") or "") for one in citations if isinstance(one, dict)} - {""}:
            right, wrong = sums.get(name, (0, 0))
            sums[name] = (right + is_right, wrong + (not is_right))
    return sums
