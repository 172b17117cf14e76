"""Search finds what was asked for, by meaning and by exact words, and never another organisation's passages."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from agents.knowledge.embedding import embed
from agents.knowledge.importing import Draft, delete_article, import_articles
from agents.knowledge.search import query_text, query_vector, search
from agents.models import Article
from orgs.models import Organization
from tests.cast import Cast

FILLER = [
    Draft(
        f"filler_{number}", f"Fixing problem {number}", f"When an error shows up in the {place}, restart it and wait."
    )
    for number, place in enumerate(["app", "browser", "printer", "scanner", "terminal", "reader", "phone", "till"])
]
DRAFTS = [
    Draft("password", "Signing in again", "If you have forgotten your secret word, ask for a new one under Security."),
    Draft("parcel", "Parcels", "A parcel is with you after three working days.", "https://acme.example/parcels"),
    Draft("refund", "Money back", "Refunds reach your bank account within ten days after we have received the goods."),
    Draft("code", "Messages of the machine", "ERR-4031: the lid is open. ERR-4032: the filter is full."),
    Draft("tool", "Internal", "Agents use close_account_7742 for this."),
    *FILLER,
]


@pytest.fixture
def acme(cast: Cast) -> Organization:
    """Acme with articles, beside Globex, whose one article answers everything that is asked here."""
    import_articles(org=cast.acme.org, source_name="Help", drafts=DRAFTS)
    import_articles(
        org=cast.globex.org,
        source_name="Help",
        drafts=[Draft("stranger", "How do I reset my password?", "ERR-4031 parcel refund close_account_7742 password")],
    )
    return cast.acme.org


def found(org: Organization, query: str | list[str], limit: int = 3) -> list[str]:
    return [hit.external_id for hit in search(org_id=org.pk, query=query, limit=limit)]


def test_a_question_finds_the_article_that_says_it_in_other_words(acme: Organization) -> None:
    assert found(acme, "How do I reset my password?")[0] == "password"
    assert found(acme, "When will my order be delivered?")[0] == "parcel"


@pytest.mark.parametrize(
    ("query", "article"),
    [("What does ERR-4031 mean, how do I fix this error?", "code"), ("close_account_7742", "tool"), ("4032", "code")],
)
def test_an_exact_code_is_found(acme: Organization, query: str, article: str) -> None:
    assert found(acme, query)[0] == article


def test_a_hit_says_where_it_is_from_and_how_similar_it_is(acme: Organization) -> None:
    hit = search(org_id=acme.pk, query="How long does a parcel take?", limit=1)[0]
    assert (hit.external_id, hit.title, hit.heading) == ("parcel", "Parcels", "Parcels")
    assert (hit.text, hit.url) == (DRAFTS[1].content, DRAFTS[1].url)
    assert hit.article_pk == Article.objects.get(org=acme, external_id="parcel").pk
    question, passage = embed(["How long does a parcel take?", f"Parcels\n{hit.text}"])
    assert hit.score == pytest.approx(float(question @ passage), abs=1e-4)


def test_a_stranger_finds_nothing_of_another_organisation(cast: Cast, acme: Organization) -> None:
    for draft in DRAFTS:
        assert found(cast.globex.org, f"{draft.title} {draft.content}", limit=50) == ["stranger"]
        assert "stranger" not in found(acme, f"{draft.title} password", limit=50)


def test_an_organisation_that_is_unknown_or_has_no_knowledge_finds_nothing(cast: Cast, acme: Organization) -> None:
    assert search(org_id=uuid.uuid4(), query="password") == []
    delete_article(org=cast.globex.org, article_id=Article.objects.get(org=cast.globex.org).pk)
    assert found(cast.globex.org, "password") == []


def test_no_more_hits_than_asked_for(acme: Organization) -> None:
    assert len(found(acme, "error", limit=4)) == 4
    assert len(found(acme, "error", limit=100)) == len(DRAFTS)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        " " * 10_000,
        "the and of",
        "it's o'clock \\ 'x' & | ! <-> :* ( http://a.b/c\\d'e?f=1&g=2 C:\\dir",
        "%s %(org)s %%",
        "nul \x00 surrogate \ud800",
        "日本語 🇩🇪",
        "x" * 10_000,
        "'; drop table agents_passage; --",
        "parcel " * 1400,
    ],
)
def test_any_text_can_be_searched_for(acme: Organization, query: str) -> None:
    assert len(found(acme, query)) == 3


def test_a_follow_up_is_understood_from_what_was_said_before(acme: Organization) -> None:
    history = ["I want my money back.", "Of course. You can send the goods back to us at no cost."]
    assert found(acme, query_text("And how long does that take until it is there?", history))[0] == "refund"


def test_a_new_subject_is_found_in_spite_of_what_was_said_before(acme: Organization) -> None:
    history = ["I want my money back.", "Of course. You can send the goods back to us at no cost."]
    assert found(acme, query_text("How do I reset my password?", history))[0] == "password"


def test_the_end_of_a_long_message_counts(acme: Organization) -> None:
    chatter = "I have been a customer for many years now and always liked your shop. " * 40
    assert "password" in found(acme, chatter + "I forgot my password. I need a new password.")


def test_only_the_last_exchange_is_searched_and_only_the_beginning_of_it() -> None:
    message, context = query_text("Why?", ["old", "question", "answer " * 100])
    assert message == "Why?"
    assert context.splitlines() == ["question", "answer " * 39 + "answer", "Why?"]
    assert query_text("Why?") == ["Why?"]


def test_a_search_is_two_statements(acme: Organization, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    # Is there any knowledge (else no model is loaded); the search itself.
    with django_assert_num_queries(2):
        search(org_id=acme.pk, query="How do I reset my password?")


def test_a_vector_that_is_known_need_not_be_made_again(acme: Organization) -> None:
    vector = query_vector(["When will my order be delivered?"])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert search(org_id=acme.pk, query="order", limit=1, vector=vector)[0].external_id == "parcel"


def test_a_hit_leads_the_passages_that_come_next_however_few_are_asked_for(acme: Organization) -> None:
    every = search(org_id=acme.pk, query="Where is my parcel?", limit=50)
    assert every[0].lead == pytest.approx(every[0].score - np.mean([hit.score for hit in every]))
    assert every[0].lead > every[-1].lead
    few = search(org_id=acme.pk, query="Where is my parcel?", limit=2)
    assert [(hit.passage_id, hit.lead) for hit in few] == [(hit.passage_id, hit.lead) for hit in every[:2]]
