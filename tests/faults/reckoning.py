"""What became of every message of a bout, by the client's account and the database's; and the table of it all."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.conversations.receiver import Receiver
from tests.faults.clients import PAY, TICKET, Client, Said
from tests.product import Stack

# Everything in the conversations of a bout, in the order of the transcript.
TRANSCRIPTS = """
SELECT c.id, c.seq, m.seq, m.part, m.text, m.turn_id, t.status, s.session_id
  FROM conversations_message m
  JOIN conversations_conversation c ON c.id = m.conversation_id
  JOIN chat_sessions_chatsession s ON s.id = c.session_id
  JOIN conversations_turn t ON t.id = m.turn_id
 WHERE c.id IN (SELECT conversation_id FROM conversations_message WHERE text LIKE %s)
 ORDER BY c.id, m.seq, m.part
"""
TICKETS = """
SELECT m.text, count(k.id) FROM conversations_message m LEFT JOIN conversations_ticket k ON k.turn_id = m.turn_id
 WHERE m.part = 0 AND m.text LIKE %s GROUP BY m.text
"""


@dataclass
class Bout:
    """One fault under load."""

    kind: str
    within: float
    turns: int = 0
    # Of which the fault, or a refusal, was noticed by the client.
    cut: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    # Seconds until somebody new was answered, and until everybody was.
    first: float = 0.0
    everybody: float = 0.0
    # How many processes of this machine wanted a core meanwhile, on average over a minute.
    load: float = 0.0


def reckon(bout: Bout, *, prefix: str, clients: Sequence[Client], stack: Stack, receiver: Receiver) -> None:
    """Fills `bout` with what went wrong."""
    bout.load = round(os.getloadavg()[0], 1)
    rows = stack.sql(TRANSCRIPTS, f"{prefix}-%")
    turns: dict[str, set[Any]] = defaultdict(set)
    by_turn: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        by_turn[row[5]].append(row)
        if row[3] == 0:
            turns[row[4]].add(row[5])
    tickets = dict(stack.sql(TICKETS, f"{prefix}-%"))
    calls = Counter(headers["idempotency-key"] for _, _, headers, _ in list(receiver.asked))
    for client in clients:
        for said in client.said:
            bout.turns += 1
            bout.cut += said.cut
            bout.refused += said.refused
            bout.flaws += said.flaws
            _reckon_one(bout, said, turns.get(said.text, set()), by_turn)
            wanted = int(said.text.endswith(TICKET))
            if tickets.get(said.text, 0) != wanted:
                (bout.lost if wanted and not tickets.get(said.text) else bout.doubled).append(f"tickets of {said.text}")
            if said.text.endswith(PAY) and any(calls[f"halo-{turn}-0"] > 1 for turn in turns.get(said.text, ())):
                bout.doubled.append(f"calls of {said.text}")
        _reckon_order(bout, client, rows)


def _reckon_one(bout: Bout, said: Said, turns: set[Any], by_turn: dict[Any, list[Any]]) -> None:
    if len(turns) > 1 or len(said.answers) > 1:
        bout.doubled.append(said.text)
    if not said.answers or not turns:
        bout.lost.append(said.text)
        return
    for turn in turns:
        rows = by_turn[turn]
        parts = [row[3] for row in rows]
        if len(parts) != len(set(parts)):
            bout.doubled.append(said.text)
        told = [row[4] for row in rows if row[3] == 1]
        if rows[0][6] != "done" or told != [said.body["text"]] or said.text not in told[0]:
            bout.lost.append(said.text)


def _reckon_order(bout: Bout, client: Client, rows: Sequence[Any]) -> None:
    mine = [row for row in rows if row[4].startswith(f"{client.name}-") and row[3] == 0]
    if [row[4] for row in mine] != [said.text for said in client.said]:
        bout.out_of_order.append(f"{client.name}: {[row[4] for row in mine]}")
    for conversation in {row[0] for row in mine}:
        seqs = sorted({row[2] for row in rows if row[0] == conversation})
        # A message that was refused and came again has a later number; nothing else leaves a gap.
        gaps = seqs[-1] - len(seqs)
        if gaps > sum(said.refused for said in client.said):
            bout.out_of_order.append(f"{client.name}: {seqs}")


def table(bouts: Sequence[Bout]) -> str:
    """What is printed: a line a kind of fault."""
    lines = [
        f"{'fault':<24}{'faults':>7}{'turns':>7}{'cut':>6}{'refused':>8}{'lost':>6}{'doubled':>8}{'order':>6}{'500s':>6}"
        f"{'first answer (s)':>18}{'everybody (s)':>15}{'allowed':>9}",
        f"{'':<74}{'median':>13}{'worst':>7}{'worst':>13}",
    ]
    for kind in dict.fromkeys(bout.kind for bout in bouts):
        mine = [bout for bout in bouts if bout.kind == kind]
        firsts = sorted(bout.first for bout in mine)
        lines.append(
            f"{kind:<24}{len(mine):>7}{sum(b.turns for b in mine):>7}{sum(b.cut for b in mine):>6}"
            f"{sum(b.refused for b in mine):>8}{sum(len(b.lost) for b in mine):>6}"
            f"{sum(len(b.doubled) for b in mine):>8}{sum(len(b.out_of_order) for b in mine):>6}"
            f"{sum(len(b.flaws) for b in mine):>6}{firsts[len(firsts) // 2]:>11.1f}{firsts[-1]:>7.1f}"
            f"{max(b.everybody for b in mine):>13.1f}{mine[0].within:>11.0f}"
        )
    loads = sorted(bout.load for bout in bouts)
    if loads:
        lines.append(f"{os.cpu_count()} cores, load {loads[0]} to {loads[-1]}, median {loads[len(loads) // 2]}")
    return "\n".join(lines)


def as_json(bouts: Sequence[Bout]) -> str:
    return json.dumps([asdict(bout) for bout in bouts], indent=1, ensure_ascii=False)
