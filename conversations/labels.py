"""What people think of answers: visitors' thumbs, teammates' judgements, and what a takeover says without words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from django.db import transaction

from agents.answer_types import AnswerType
from conversations.idempotency import hashed
from conversations.models import AnswerLabel, Conversation, Message, Turn
from halo.db import release_connection
from halo.errors import HaloError, NotFound
from halo.ids import parse_uuid
from orgs import audit, throttling
from orgs.models import Organization, User
from sessions.identity import identify_bearer
from sessions.visitors import find_owned

Verdict, By = AnswerLabel.Verdict, AnswerLabel.By
# Whose word counts where they differ: a teammate knows the subject, a takeover has many reasons.
PRECEDENCE = (By.TEAMMATE, By.VISITOR, By.TAKEOVER)
# Somebody who read the answer said so; a takeover only makes it likely.
EXPLICIT = (By.TEAMMATE, By.VISITOR)
OF_RATING = {Conversation.Rating.UP: Verdict.RIGHT, Conversation.Rating.DOWN: Verdict.WRONG}


class NotAnAnswer(HaloError):
    """409: there is nothing in this turn that could be right or wrong."""

    status = 409

    def __init__(self) -> None:
        super().__init__("conflict", "The agent gave no answer of its own there.")


def label_answer(
    *, turn: Turn, verdict: str, by: AnswerLabel.By, person: User | None = None, comment: str = ""
) -> AnswerLabel:
    """Stores what `by` thinks of the answer of `turn`, in the place of what they thought before.

    A teammate's judgement is audited. Raises NotAnAnswer where a teammate judges what no agent said.
    """
    if by == By.TEAMMATE and not may_be_judged(turn):
        raise NotAnAnswer
    with transaction.atomic():
        stored = AnswerLabel.objects.for_org(turn.org_id).select_for_update().filter(turn=turn, by=by).first()
        before = _state(stored)
        label, _ = AnswerLabel.objects.update_or_create(
            org_id=turn.org_id,
            turn=turn,
            by=by,
            defaults={"verdict": Verdict(verdict), "person": person, "comment": comment},
        )
        if by == By.TEAMMATE and before != _state(label):
            audit.record(
                org=turn.org_id, actor=person, action="answer.judged", target=turn, before=before, after=_state(label)
            )
    return label


@transaction.atomic
def withdraw_judgement(*, turn: Turn, by: User) -> None:
    """Takes the teammates' judgement of the answer back, if there is one."""
    stored = AnswerLabel.objects.for_org(turn.org_id).select_for_update().filter(turn=turn, by=By.TEAMMATE).first()
    if stored is not None:
        audit.record(org=turn.org_id, actor=by, action="answer.judgement_withdrawn", target=turn, before=_state(stored))
        stored.delete()


def label_taken_over(*, conversation: Conversation, by: User) -> None:
    """A teammate steps in: the last answer counts as wrong, unless the agent itself had called for people or declined.

    Inside the takeover's transaction, before it ends what is in flight.
    """
    # What was merged into another turn has no answer of its own.
    turns = Turn.objects.for_org(conversation.org_id).filter(
        conversation=conversation, status=Turn.Status.DONE, merged_into=None
    )
    last = turns.order_by("-seq").first()
    if last is not None and _claimed_something(last):
        label_answer(turn=last, verdict=Verdict.WRONG, by=By.TAKEOVER, person=by)


def rate_message(
    *,
    org: Organization,
    key_id: int,
    message_id: str,
    session_id: str,
    user_token: str,
    rating: str,
    comment: str,
    now: dt.datetime,
) -> None:
    """A visitor's thumb for a message of the agent; rating it again replaces the one before.

    Checks in the order 403, 404, 429. Whatever is not theirs is NotFound, as if it were not there.
    """
    identity = identify_bearer(org=org, token=user_token, now=now)
    session = find_owned(org=org, session_id=session_id, identity=identity, now=now)
    # SECURITY: only what was said in the session that this request owns, and only what the agent said there.
    messages = Message.objects.for_org(org).filter(conversation__session=session, author=Message.Author.AGENT)
    known = parse_uuid(message_id)
    message = messages.select_related("turn").filter(pk=known).first() if session is not None and known else None
    if message is None or message.turn is None:
        raise NotFound("There is no such message of the agent.")
    release_connection()
    throttling.take(
        [
            throttling.bucket("key", str(key_id), override=org.key_rate_limit),
            # Apart from the session's messages, so that thumbs never keep a visitor from writing.
            throttling.bucket("session", hashed(f"feedback:{org.pk}:{session_id}")),
        ]
    )
    with transaction.atomic():
        # Thumbs for answers of one conversation follow one another, so that its summary is that of all of them.
        conversation = Conversation.objects.for_org(org).select_for_update(no_key=True).get(pk=message.conversation_id)
        label_answer(turn=message.turn, verdict=OF_RATING[Conversation.Rating(rating)], by=By.VISITOR, comment=comment)
        thumbs = AnswerLabel.objects.for_org(org).filter(turn__conversation=conversation, by=By.VISITOR)
        down = thumbs.filter(verdict=Verdict.WRONG).exists()
        conversation.rating = Conversation.Rating.DOWN if down else Conversation.Rating.UP
        conversation.save(update_fields=["rating"])


def may_be_judged(turn: Turn) -> bool:
    """Whether the turn has an answer with a confidence: acknowledgements, apologies and teammates' words have none."""
    return turn.status == Turn.Status.DONE and turn.confidence is not None


def effective(verdicts: Mapping[str, str], sources: Iterable[str] = PRECEDENCE) -> tuple[str, str] | None:
    """The verdict that counts among those `by` different people, and whose it is; None where `sources` said nothing."""
    wanted = set(sources)
    return next(((verdicts[by], by) for by in PRECEDENCE if by in wanted and by in verdicts), None)


def _claimed_something(turn: Turn) -> bool:
    """Whether the answer stated anything that could be wrong: not a refusal, not a call for people, not held back."""
    return (
        turn.outcome == Turn.Outcome.ANSWERED
        and may_be_judged(turn)
        and not turn.escalated
        and not turn.withheld
        and turn.answer_type in (AnswerType.NONE, AnswerType.ANSWERABLE)
        and not turn.confidence_inputs.get("hedged")
    )


def _state(label: AnswerLabel | None) -> dict[str, str] | None:
    # SECURITY: the audit outlives transcripts, so it keeps that there was a comment and not its words.
    return {"verdict": str(label.verdict), "comment": "yes" if label.comment else ""} if label else None
