"""The words of one made-up conversation, in one language, about one order."""

from __future__ import annotations

import json
import random

from agents.answer_types import AnswerType
from conversations.bulk import phrases
from conversations.bulk.phrases import Tongue


class Wording:
    """Puts phrases together; what they are about changes now and then."""

    def __init__(self, tongue: Tongue, chance: random.Random) -> None:
        self.tongue, self.chance = tongue, chance
        self.about = self._subject()

    def question(self, *, first: bool, wants_person: bool) -> str:
        """What the visitor writes."""
        chance, tongue = self.chance, self.tongue
        if wants_person:
            return chance.choice(tongue.wants_person)
        if first:
            said = chance.choice(tongue.greetings) + chance.choice(tongue.questions)
        else:
            if chance.random() < 0.3:
                self.about = self._subject()
            weights = (0.16, 0.5, 0.34)
            said = chance.choice(chance.choices((tongue.thanks, tongue.follow_ups, tongue.questions), weights)[0])
        if chance.random() < 0.35:
            said = " ".join([said, *chance.sample(tongue.details, k=min(chance.randint(1, 3), len(tongue.details)))])
        return self._fill(said)

    def answer(self, kind: AnswerType, *, escalated: bool) -> tuple[str, str]:
        """What the agent answers, and its citations as JSON."""
        chance, tongue = self.chance, self.tongue
        if kind in (AnswerType.NEEDS_FACT, AnswerType.AMBIGUOUS):
            return self._fill(chance.choice(tongue.asking_back)), "[]"
        if kind == AnswerType.NOT_IN_KNOWLEDGE:
            text = self._fill(chance.choice(tongue.unknown))
            return f"{text}\n\n{self.handed_over()}" if escalated else text, "[]"
        if kind == AnswerType.NEEDS_PERSON:
            return self.handed_over(), "[]"
        said = [self._fill(text) for text in chance.sample(tongue.answers, k=min(chance.choice((1, 1, 2, 3)), 3))]
        text = " ".join(said)
        if chance.random() < 0.3:
            steps = chance.sample(tongue.steps, k=min(chance.randint(2, 4), len(tongue.steps)))
            text += "\n\n" + "\n".join(f"{n}. {self._fill(step)}" for n, step in enumerate(steps, 1))
        if chance.random() > 0.6:
            return text, "[]"
        guide = chance.choice(phrases.GUIDES)
        address = f"https://help.customer.example/{guide.lower().replace(' ', '-')}"
        return f"{text} [1]", json.dumps([{"n": 1, "title": guide, "url": address, "quote": said[0][:160]}])

    def handed_over(self) -> str:
        """What the agent says when it calls in a person."""
        return self.chance.choice(self.tongue.handed_over)

    def of_teammate(self) -> str:
        """What a person writes."""
        return self._fill(self.chance.choice(self.tongue.teammate))

    def _subject(self) -> dict[str, str]:
        chance = self.chance
        words = {
            "order": f"A-{chance.randint(10_000, 99_999)}",
            "code": f"ERR-{chance.randint(100, 999)}",
            "city": chance.choice(phrases.CITIES),
            "days": str(chance.randint(2, 14)),
            "price": f"€ {chance.randint(5, 480)}",
        }
        return {**words, "topic": chance.choice(self.tongue.topics).format_map(words)}

    def _fill(self, text: str) -> str:
        filled = text.format_map(self.about) if "{" in text else text
        return filled[0].upper() + filled[1:] if text.startswith("{") else filled
