"""Search finds what was asked for, by meaning and by exact words, and never another organisation's passages."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from agents.knowledge import search as searching
from agents.knowledge.embedding import embed
from agents.knowledge.importing import Draft, delete_article, import_articles
from agents.knowledge.search import query_text, query_vector, search
from agents.models import Article, Passage, Source
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


CHATTER = "I have been a customer for many years now, always liked your shop, and wait for my parcel. " * 12


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("ERR-4012", "err 4012"),
        ("ERR-4012", "error 4012"),
        ("ERR_4012", "ERR_4012"),
        ("HTTP 504", "HTTP 504"),
        ("HTTP 504", "HTTP-504"),
        ("config.max_retries", "config.max_retries"),
        ("KX-8841-B", "kx8841b"),
        ("order 88127345", "88127345"),
        ("2.14.3", "v2.14.3"),
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("O'Neill/7_x", "Neill/7_x"),
    ],
)
def test_an_identifier_is_found_in_a_long_message_about_something_else(
    acme: Organization, written: str, asked: str
) -> None:
    drafts = [Draft(f"parcel_{number}", "Parcels", f"{CHATTER[:300]} Note {'x' * number}.") for number in range(1, 12)]
    import_articles(org=acme, source_name="Help", drafts=[*drafts, Draft("wanted", "Lid", f"{written}: lid open.")])
    assert "wanted" not in found(acme, CHATTER, limit=8)
    assert "wanted" in found(acme, f"{CHATTER} It said {asked} then. {CHATTER}", limit=8)


def test_quantities_and_short_numbers_are_no_identifiers(acme: Organization) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT halo_identifiers('In 24h', 'Pay $500 or 7,500 or 300 € in 30-day steps, 5%%, e.g. 12.')")
        assert cursor.fetchone()[0] == []


def test_only_the_sources_asked_for_are_searched(acme: Organization) -> None:
    import_articles(org=acme, source_name="Other", drafts=[Draft("other", "Parcels", "ERR-4031 parcel, three days.")])
    ids = dict(Source.objects.for_org(acme).values_list("name", "pk"))

    def within(*sources: uuid.UUID) -> set[str]:
        hits = search(org_id=acme.pk, query="ERR-4031 of my parcel", limit=50, sources=sources)
        return {hit.external_id for hit in hits}

    assert within(ids["Other"]) == {"other"}
    assert within(ids["Help"]) == {draft.external_id for draft in DRAFTS}
    assert within(*ids.values()) == within(ids["Other"]) | within(ids["Help"])
    assert within() == set()


def test_a_source_of_another_organisation_brings_nothing(cast: Cast, acme: Organization) -> None:
    foreign = Source.objects.for_org(cast.globex.org).get()
    assert search(org_id=acme.pk, query="password", sources=[foreign.pk, uuid.uuid4()]) == []
    assert len(search(org_id=cast.globex.org.pk, query="password", sources={foreign.pk})) == 1


def test_a_passage_is_of_its_articles_source_whatever_is_written(cast: Cast, acme: Organization) -> None:
    other = Source.objects.create(org=acme, name="Other")
    passage = Passage.objects.for_org(acme).get(article__external_id="parcel")
    Passage.objects.filter(pk=passage.pk).update(source=other)
    passage.refresh_from_db()
    assert passage.source.name == "Help"
    Article.objects.filter(pk=passage.article_id).update(source=other)
    assert search(org_id=acme.pk, query="parcel", sources=[other.pk])[0].external_id == "parcel"


def test_a_passage_of_another_organisations_article_is_refused(cast: Cast, acme: Organization) -> None:
    passage = Passage.objects.for_org(acme).get(article__external_id="parcel")
    with pytest.raises(IntegrityError), transaction.atomic():
        Passage.objects.filter(pk=passage.pk).update(org=cast.globex.org)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Knowledge of more than five passages counts as large, and few of them are looked at."""
    monkeypatch.setattr(searching, "EXACT_UP_TO", 5)
    monkeypatch.setattr(searching, "ROUGHLY_NEAREST", 6)


@pytest.mark.usefixtures("large")
def test_large_knowledge_is_searched_by_the_same_rules(cast: Cast, acme: Organization) -> None:
    assert found(acme, "How do I reset my password?")[0] == "password"
    assert found(acme, "What does ERR-4031 mean?")[0] == "code"
    assert found(acme, f"{CHATTER} It said close_account_7742. {CHATTER}")[0] in ("tool", "parcel")
    assert len(found(acme, "parcel", limit=100)) < len(DRAFTS)
    assert "stranger" not in found(acme, "How do I reset my password? ERR-4031", limit=100)
    delete_article(org=acme, article_id=Article.objects.get(org=acme, external_id="password").pk)
    assert "password" not in found(acme, "How do I reset my password?", limit=100)


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
    # How much knowledge is there (for none no model is loaded); the search itself.
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
