"""A furnished Acme and Globex: one row of everything that has a page."""

from __future__ import annotations

import base64
import uuid
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils import timezone

from agents.models import Article, CustomTool, Guidance, RoutingRule, Source
from conversations.models import (
    CannedReply,
    Conversation,
    Message,
    MessageImage,
    OutboxItem,
    Ticket,
    ToolCall,
    Turn,
    TurnTrace,
    Webhook,
)
from orgs import audit
from orgs.api_keys import create_api_key
from orgs.models import AuditEntry, Membership, Team, User
from sessions.models import ChatSession, Company, EndUser, Event
from tests.cast import House

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True, slots=True)
class Furnished:
    """A house and a row of every model that has a page, by label."""

    house: House
    rows: dict[str, Any]
    turn: Turn
    image: MessageImage

    def url(self, label: str, page: str = "change") -> str:
        app, model = label.split(".")
        return reverse(f"admin:{app}_{model}_{page}", args=[self.rows[label].pk])


def furnish(house: House, owner: User) -> Furnished:
    org, name, now = house.org, house.org.name, timezone.now()
    team = Team.objects.create(org=org, name=f"{name} billing")
    rule = RoutingRule.objects.create(org=org, agent=house.agent, name=f"{name} refunds", phrases="refund", team=team)
    source = Source.objects.create(org=org, name=f"{name} help centre")
    article = Article.objects.create(org=org, source=source, external_id="doc_1", title=f"{name} resets", content="x")
    guidance = Guidance.objects.create(org=org, title=f"{name} tone", text="Be kind.")
    tool = CustomTool.objects.create(
        org=org, name=f"{name.lower()}_orders", description=f"{name} orders", url_template="https://api.example/orders"
    )
    company = Company.objects.create(org=org, external_id="c-1", name=f"{name} customer")
    person = EndUser.objects.create(org=org, external_id="u-1", name=f"{name} visitor", company=company)
    conversation = add_conversation(house, person)
    turn = Turn.objects.get(conversation=conversation)
    ticket = Ticket.objects.create(
        org=org, number=1, session=conversation.session, conversation=conversation, subject=f"{name} trouble", team=team
    )
    canned = CannedReply.objects.create(org=org, name=f"{name}-hello", text=f"Hello from {name}.")
    hook = Webhook.objects.create(
        org=org, label=f"{name} help desk", url="https://hooks.example/in", secret="whsec_eA=="
    )
    delivery = OutboxItem.objects.create(
        org=org,
        kind="webhook",
        key=f"msg_{name}",
        webhook=hook,
        ticket=ticket,
        payload={"type": f"{name}.test"},
        dead_at=now,
    )
    event = Event.objects.create(
        org=org, session=conversation.session, end_user=person, event_type=f"{name} click", created_at=now
    )
    entry = audit.record(org=org, actor=None, action=f"{name.lower()}.tested")
    reader, _ = create_api_key(org=org, label=f"{name} warehouse", scopes=["messages"], by=None)
    rows = [
        org,
        team,
        rule,
        tool,
        source,
        guidance,
        article,
        company,
        person,
        conversation,
        ticket,
        canned,
        hook,
        delivery,
        event,
        entry,
        reader,
        house.agent,
    ]
    rows += [house.agent.current_version, house.key, house.secret, Membership.objects.get(org=org, user=owner)]
    return Furnished(
        house=house,
        rows={row._meta.label_lower: row for row in rows},
        turn=turn,
        image=MessageImage.objects.get(org=org),
    )


def add_conversation(house: House, person: EndUser | None, *, turns: int = 1) -> Conversation:
    """A conversation with `turns` answered messages, the first with an image."""
    org, now = house.org, timezone.now()
    session = ChatSession.objects.create(org=org, end_user=person)
    conversation = Conversation.objects.create(
        org=org, session=session, agent=house.agent, agent_version=house.agent.current_version
    )
    for seq in range(1, turns + 1):
        turn = Turn.objects.create(
            org=org,
            conversation=conversation,
            seq=seq,
            status="done",
            agent_version=house.agent.current_version,
            accepted_at=now,
            answer_by=now,
            finished_at=now,
            response={"text": "x"},
            confidence=0.42,
            confidence_inputs={"best_similarity": 0.81},
            error_code="model_timeout",
            verified=True,
        )
        asked = Message.objects.create(
            org=org, conversation=conversation, turn=turn, seq=seq, author="visitor", text=f"{org.name} question {seq}"
        )
        Message.objects.create(
            org=org,
            conversation=conversation,
            turn=turn,
            seq=seq,
            part=1,
            author="agent",
            text=f"**{org.name} answer** {seq}",
            citations=[{"n": 1, "title": "Guide", "url": "https://help.example/guide", "quote": "Open it."}],
        )
        ToolCall.objects.create(
            org=org, turn=turn, step=0, round=0, call_id="1", name="search_knowledge", arguments="{}"
        )
        TurnTrace.objects.create(org=org, turn=turn, prompt=[{"role": "user", "content": f"{org.name} prompt"}])
        if seq == 1 and not MessageImage.objects.filter(org=org).exists():
            MessageImage.objects.create(org=org, message=asked, position=0, media_type="image/png", data=PNG)
            Message.objects.filter(pk=asked.pk).update(image_count=1)
    return conversation


def audited(org: Any, action: str) -> AuditEntry:
    """The newest audit row of this action in `org`."""
    found = AuditEntry.objects.filter(org=org, action=action).order_by("-pk").first()
    assert found is not None, f"{action} left no audit row"
    return found


def nobody() -> str:
    """An id that no row has."""
    return str(uuid.uuid4())
