"""What a visitor's words ask for, as far as words alone tell.

A wish for a person is known in some languages: where an agent never hands over by itself, it is the only way there.
Consent is read in several too, and there is no other way to give it.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


GREETINGS = _words("hi hello hey hiya howdy hallo greetings morning afternoon evening")
THANKS = _words("thanks thank thx ty cheers ok okay great perfect cool super wonderful awesome")
FAREWELLS = _words("bye goodbye cya farewell")
FILLERS = _words(
    "a again all and are day everyone everybody for good have help helping how is it later lot me much nice now one see"
    " so team that the there this today very was well you your"
)
_SOMEBODY = r"(?:human|person|someone|somebody|agent|representative|operator|support|manager)"
_PERSON = re.compile(
    # "How do visitors talk to a person?" is a question, and may have an answer.
    r"(?!\W*(?:how|what|when|where|which|why|who|does|do)\b).*?"
    rf"(?:\b(?:talk|speak|chat) (?:to|with) (?:an? |some |your )?(?:real |live |human )*{_SOMEBODY}\b"
    rf"|\b(?:connect|transfer|get|give|put) me\b.{{0,30}}\b{_SOMEBODY}\b"
    r"|\b(?:want|need|prefer)\b.{0,15}\b(?:human|real person|live agent|representative)\b"
    r"|^\W*(?:an? )?(?:human|agent|operator|representative|(?:real )?person)(?:,? please)?\W*$)",
    re.IGNORECASE | re.DOTALL,
)
_PERSON_ELSEWHERE = re.compile(
    # As above, "how ...?" is a question: German, French, Spanish and Portuguese, Italian, Dutch.
    r"(?!\W*(?:wie|comment|c[oó]mo|come|hoe)\b).*?"
    r"(?:\b(?:mensch(?:en)?|mitarbeiter(?:in)?|berater(?:in)?|person|jemandem)\b.{0,25}"
    r"\b(?:sprechen|reden|chatten|verbinden|verbunden)\b"
    r"|\bparler\b.{0,4}(?:à|avec)\b.{0,12}\b(?:humain|personne|quelqu.un|conseill(?:er|ère)|agent|opérateur)\b"
    r"|\bhablar con\b.{0,12}\b(?:humano|persona|alguien|agente|operador|asesor)\b"
    r"|\bfalar com\b.{0,12}\b(?:humano|pessoa|algu[eé]m|atendente|agente)\b"
    r"|\bparlare con\b.{0,12}\b(?:umano|persona|qualcuno|operatore|operatrice|agente)\b"
    r"|\b(?:spreken|praten) met\b.{0,12}\b(?:mens|medewerker|iemand|persoon)\b"
    r"|\b(?:mens|medewerker|iemand)\b.{0,12}\b(?:spreken|praten)\b)",
    re.IGNORECASE | re.DOTALL,
)


def asks_for_person(*messages: str) -> bool:
    """Whether the visitor wants to talk to somebody, by any of the messages."""
    return any(_PERSON.match(message) or _PERSON_ELSEWHERE.match(message) for message in messages)


def is_small_talk(message: str) -> bool:
    """Whether it is a greeting, thanks or a farewell, and nothing else."""
    words = {word.lower() for word in _WORD.findall(message)}
    courtesies = GREETINGS | THANKS | FAREWELLS
    return bool(words) and words <= courtesies | FILLERS and not words.isdisjoint(courtesies)


# Whole messages: what is not listed is no consent, so a doubt, a change or a "not" anywhere in it ends the matter.
_YES = (
    *("yes", "yes i do", "yep", "yeah", "yup", "aye", "sure", "sure thing", "of course", "absolutely", "definitely"),
    *("certainly", "ok", "okay", "k", "alright", "agreed", "i agree", "i approve", "approved", "approve", "confirm"),
    *("confirmed", "i confirm", "i confirm that", "correct", "that is correct", "that's correct", "that's right"),
    *("go ahead", "go for it", "do it", "do that", "do so", "please do", "make it so", "proceed", "sounds good"),
    *("ja", "jawohl", "jep", "klar", "na klar", "gerne", "gern", "sicher", "natürlich", "einverstanden", "genau"),
    *("in ordnung", "mach das", "machen sie das", "mach es", "bestätigt", "ich bestätige", "ich stimme zu", "passt"),
    *("oui", "d'accord", "bien sûr", "je confirme", "confirmé", "vas-y", "allez-y", "certainement"),
    *("sí", "si", "claro", "de acuerdo", "confirmo", "adelante", "por supuesto", "vale", "hazlo"),
    *("sì", "certo", "d'accordo", "va bene", "procedi", "sim", "com certeza", "pode fazer", "ja graag", "akkoord"),
    *("graag", "zeker", "doe maar", "zgadzam się", "potwierdzam", "да", "согласен", "согласна", "是", "是的"),
    *("好的", "确认", "はい", "お願いします", "네", "예", "evet", "نعم", "हाँ", "👍", "✅"),
)
_POLITE = (
    *("please", "thanks", "thank you", "bitte", "danke", "s'il vous plaît", "merci", "por favor", "gracias", "now"),
    *("per favore", "grazie", "obrigado", "obrigada", "alstublieft", "dank je", "proszę", "dziękuję"),
)
_CONSENT = re.compile(
    r"(?:(?:{polite}){gap})?(?:{yes})(?:{gap}(?:{yes}|{polite})){{0,4}}[.! ]*".format(
        yes="|".join(map(re.escape, sorted(_YES, key=len, reverse=True))),
        polite="|".join(map(re.escape, sorted(_POLITE, key=len, reverse=True))),
        gap=r"[ ,.!]{1,3}",
    )
)
_LONGEST_CONSENT = 60


def is_consent(message: str) -> bool:
    """Whether the whole message says yes and nothing else; a question, a condition or a doubt is none."""
    # SECURITY: outside effects hang on this, so it knows the words of a yes, not those of a no.
    if len(message) > _LONGEST_CONSENT:
        return False
    text = unicodedata.normalize("NFC", message).casefold().replace("’", "'").strip()
    return _CONSENT.fullmatch(text) is not None
