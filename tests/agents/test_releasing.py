"""What leaves of an answer before it is finished is how the finished answer begins."""

from __future__ import annotations

import random

import pytest

from agents.conditions import Facts
from agents.config import AgentConfig
from agents.deciding import Rounds, decide, known_to
from agents.llm.base import Excerpt
from agents.prompts.layers import Briefing, Line
from agents.releasing import Release

EXCERPTS = [
    Excerpt(
        n=1,
        title="Shipping",
        text="Standard shipping takes three to five days. Express shipping costs 9 euros. We ship to Austria.",
        url="https://acme.example/shipping",
        score=0.8,
        article_id="shipping",
        lead=0.2,
    ),
    Excerpt(
        n=2,
        title="Refunds",
        text="Refunds are paid within 14 days. The original payment method is used.",
        url="",
        score=0.5,
        article_id="refunds",
        lead=0.1,
    ),
]
TRUE = "Standard shipping takes three to five days."
ANSWERS = {
    "plain": f"{TRUE} Express shipping costs 9 euros. We ship to Austria too.",
    "cited": f'{TRUE} [1] Express shipping costs 9 euros [1].\n\n[1]: "Express shipping costs 9 euros."\n[type]: answerable',
    "not issued": f"{TRUE} [7] Express shipping costs 9 euros [1]. See [2](https://acme.example).",
    "unsupported marker": f"{TRUE} Quick brown foxes jump [2] over it, and shipping is express for 9 euros.",
    "invented": f"{TRUE} Our founder Melchior Vandersloot sails to Tasmania monthly. Express shipping costs 9 euros.",
    "mostly invented": f"{TRUE} Melchior sails to Tasmania. Ferrets weigh 300 pounds. Zebras own 12 banks. Owls vote.",
    "invented first": f"Melchior Vandersloot sails to Tasmania in March, every year. {TRUE} Express costs 9 euros.",
    "list": f"You can choose:\n\n- {TRUE}\n- Express shipping costs 9 euros.\n- Dragons fly for 77 dollars.\n\nWe ship to Austria.",
    "type first": f"[type]: answerable\n{TRUE} Express shipping costs 9 euros.",
    "type within": f"{TRUE}\n[type]: answerable\nExpress shipping costs 9 euros.",
    "type loosely": f"{TRUE} Express shipping costs 9 euros.\n\nType: answerable",
    "type as a word": f"{TRUE}\nType: savings\nExpress shipping costs 9 euros.",
    "asks": "Which country do you mean? Austria? We ship to Austria.\n[type]: ambiguous",
    "address": f"{TRUE} See https://acme.example/shipping?from=at for more. Express shipping costs 9 euros.",
    "repeats": f"{TRUE} {TRUE} Express shipping costs 9 euros. {TRUE}",
    "gaps": f"  \n\n{TRUE}  \nExpress shipping costs 9 euros.\n\n\n\nWe ship to Austria.   ",
    "code": f"{TRUE}\n```\nship --express 9\n\n[1]: x\n```\nWe ship to Austria.",
    "quote only": '[1]: "We ship to Austria."',
    "quote within": f'{TRUE}\n[1]: "We ship to Austria."\nExpress shipping costs 9 euros.',
    "other language": "Der Versand dauert drei bis fünf Tage, und der Express kostet 9 Euro. Wir liefern auch nach Wien.",
    "brackets": f"{TRUE} Use list[3] and [x] and [12 and [ and ] and (type: it.",
    "blank": "   \n \n",
}


def briefing() -> Briefing:
    return Briefing(message=Line("user", "How long does shipping take?"), mode="chat", organization="Acme")


@pytest.mark.parametrize("guard", [True, False], ids=["guard", "no guard"])
@pytest.mark.parametrize("name", ANSWERS)
def test_what_leaves_is_how_the_answer_begins(name: str, guard: bool) -> None:
    answer, config = ANSWERS[name], AgentConfig(guard=guard)
    decision = decide(
        config=config, briefing=briefing(), facts=Facts(), rounds=Rounds(text=answer, excerpts=EXCERPTS), attempts=1
    )
    chance = random.Random(name)
    for _ in range(40):
        release = Release(excerpts=EXCERPTS, known=known_to(config=config, briefing=briefing(), excerpts=EXCERPTS))
        sent, place = "", 0
        while place < len(answer):
            size = chance.choice((1, 2, 5, 20, 200))
            sent += release.feed(answer[place : place + size])
            place += size
            assert sent == release.text
        if decision.withheld:
            # What is taken back then was supported, and nothing else of it has left.
            assert sent in ("", TRUE)
        else:
            assert decision.text.startswith(sent)


def released(name: str, *, guard: bool) -> str:
    config = AgentConfig(guard=guard)
    release = Release(excerpts=EXCERPTS, known=known_to(config=config, briefing=briefing(), excerpts=EXCERPTS))
    return "".join(release.feed(sign) for sign in ANSWERS[name])


def test_most_of_an_answer_leaves_early() -> None:
    assert released("plain", guard=False) == ANSWERS["plain"].strip()
    assert released("plain", guard=True) == f"{TRUE} Express shipping costs 9 euros."
    assert released("cited", guard=False).startswith(f"{TRUE} [1] Express shipping costs 9 euros [1]")


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("name", ["cited", "type first", "type within", "type loosely", "quote only"])
def test_what_is_not_part_of_the_answer_never_leaves(name: str, guard: bool) -> None:
    assert "type" not in released(name, guard=guard).lower()
    assert '"' not in released(name, guard=guard)


def test_an_invention_never_leaves() -> None:
    for name in ("invented", "invented first", "mostly invented", "list"):
        assert not {"Melchior", "Ferrets", "Dragons"} & set(released(name, guard=True).split())
