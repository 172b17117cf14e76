"""Speed of transcripts: `python bench/transcripts.py [--messages N] [--rounds N] [--json FILE] [--plans FILE]`.

One organisation with N generated messages (a million by default), and one with a twentieth of that in the same tables.
Each kind of page is asked for by an analyst through the whole of Halo but the web server, some times over. Printed are
milliseconds, the CPU milliseconds of Python among them (the rest is PostgreSQL's, and waiting where others use the
machine), and the plans of the statements: which large table was read from end to end, if any. `--plans` writes the
plans out. Beside them the numbers, the inbox and the admin's front page; then everything is exported, in each form, and
the memory of that process looked at. Starts servers of its own, gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from halo.embedded.servers import throw_away_servers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="how often each page is asked for")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--plans", type=Path, metavar="FILE", help="write the plans there")
    return parser.parse_args()


# Before the servers, so that --help starts none; and those before the settings, which want their addresses.
ARGUMENTS = _arguments()
UNTIL_THE_END = ExitStack()
_endpoints = UNTIL_THE_END.enter_context(throw_away_servers())
os.environ.update(
    DATABASE_URL=_endpoints.database_url,
    REDIS_URL=_endpoints.redis_url,
    HALO_DATA_DIR=UNTIL_THE_END.enter_context(tempfile.TemporaryDirectory(prefix="halo-transcripts-")),
    HALO_LOG_LEVEL="WARNING",
    DJANGO_SETTINGS_MODULE="halo.settings",
)

import django

django.setup()

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from agents.models import RoutingRule
from agents.services import create_agent, make_default, publish
from conversations.bulk.generating import generate
from conversations.models import Conversation
from conversations.transcripts.search import Place
from orgs.members import add_member
from orgs.models import Organization, Team, User
from orgs.services import create_organization

LARGE = {"conversations_message", "conversations_conversation", "conversations_turn", "chat_sessions_chatsession"}
LIMIT_MS = 300


def build(messages: int) -> tuple[Organization, User, dict[str, Any]]:
    """Organisations, an analyst of the first, and how long it took to fill them."""
    call_command("migrate", interactive=False, verbosity=0)
    figures: dict[str, Any] = {}
    orgs = []
    for name in ("Large", "Small"):
        org = create_organization(name=name)
        for number in range(2):
            agent = create_agent(org=org, name=f"{name} agent {number}", by=None)
            if not number:
                make_default(agent=agent, by=None)
            for version in range(2):
                agent.instructions = f"Version {version}"
                agent.save(update_fields=["instructions"])
                publish(agent=agent, by=None)
            for title in ("Billing", "Legal"):
                team, _ = Team.objects.get_or_create(org=org, name=title)
                RoutingRule.objects.create(org=org, agent=agent, name=f"{title} matters", phrases="x", team=team)
        for number in range(4):
            person = User.objects.create_user(f"{name}{number}@staff.example".lower(), None, name=f"Person {number}")
            add_member(org=org, user=person, role="support" if number else "analyst", by=None)
        orgs.append(org)
    for org, share in zip(orgs, (1.0, 0.05), strict=True):
        began = time.perf_counter()
        wanted = int(messages * share)
        generate(org=org, messages=wanted, months=12, progress=lambda done, total: _show(done, total))
        seconds = time.perf_counter() - began
        figures[f"seconds to generate {wanted:,} messages"] = round(seconds, 1)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        began = time.perf_counter()
        cursor.execute("VACUUM ANALYZE")
        figures["seconds to vacuum and analyse"] = round(time.perf_counter() - began, 1)
        cursor.execute("SET statement_timeout = '15s'")
        cursor.execute(
            "SELECT relname, pg_size_pretty(pg_relation_size(oid)) FROM pg_class WHERE relname = ANY(%s)"
            " OR relname LIKE 'message_%%' OR relname LIKE 'conversation_%%'"
            " ORDER BY pg_relation_size(oid) DESC LIMIT 12",
            [sorted(LARGE)],
        )
        figures["sizes"] = dict(cursor.fetchall())
    return orgs[0], User.objects.get(email="large0@staff.example"), figures


def _show(done: int, total: int) -> None:
    if done == total or done // 50_000 != (done - 2_500) // 50_000:
        print(f"\r{done:,} of {total:,} messages", end="", file=sys.stderr, flush=True)


def pages(org: Organization) -> dict[str, list[str]]:
    """Addresses by what kind of page they are; several of a kind ask for different things."""
    chance = random.Random(5)
    rows = list(Conversation.objects.for_org(org).order_by("-last_message_at").values_list("last_message_at", "pk"))
    halfway = Place(*rows[len(rows) // 2])
    deep = [Place(*rows[int(len(rows) * share)]) for share in (0.2, 0.5, 0.9)]
    agent, version = Conversation.objects.for_org(org).values_list("agent", "agent_version__number").last()
    day = halfway.at.date().isoformat()
    orders = [f"A-{chance.randint(10_000, 99_999)}" for _ in range(5)]
    kinds = {
        "newest": [""],
        "deep in the pages": [f"after={place}" for place in deep],
        "dates": [f"until={day}", f"since={day}", f"since={day}&until={day}"],
        "agent": [f"agent={agent}"],
        "agent and version": [f"agent={agent}&version={version}", "version=1"],
        "confidence": ["below=30", "below=5", "from=95"],
        "answer type": [f"kind={kind}" for kind in ("answerable", "needs_fact", "ambiguous", "not_allowed")],
        "outcome": [f"outcome={outcome}" for outcome in ("answered", "escalated", "failed", "human", "routed")],
        "escalation": ["escalated=yes", "escalated=no"],
        "routing": ["rule=any", *(f"rule={rule.pk}" for rule in RoutingRule.objects.for_org(org))],
        "rating": ["rating=up", "rating=down", "rating=none"],
        "judged": ["judged=right", "judged=wrong"],
        "verified": ["verified=yes", "verified=no"],
        "company": ["company=Northwind", "company=Cedar+Labs", "company=nowhere"],
        "person": ["person=Zo%C3%AB+Zhang", "person=Ada", "person=nobody+at+all"],
        "language": ["language=en", "language=nl", "language=pt"],
        "images": ["images=yes"],
        "model error": ["error=yes"],
        "several": [
            "outcome=failed&language=nl&images=yes",
            f"since={day}&outcome=escalated&rating=down&verified=yes&below=20",
            "judged=wrong&language=fr&error=yes",
        ],
        "a rare word": [f"q={order}" for order in orders],
        "a word of some": ["q=Z%C3%BCrich", "q=Nairobi+warranty", "q=erstattet"],
        "a word of many": ["q=refund", "q=order", "q=invoice"],
        "several words": ["q=refund+invoice", "q=%22gift+card%22+Oslo", "q=password+-reset"],
        "a word that nobody said": ["q=xylophone", "q=xylophone+refund"],
        "a word with filters": [
            "q=refund&outcome=failed",
            "q=order&language=nl",
            f"q=Oslo&since={day}&rating=down",
            "q=refund&judged=wrong",
            "q=thanks&company=Cedar+Labs&below=20",
        ],
    }
    listed = {kind: [f"/transcripts/?{query}" for query in queries] for kind, queries in kinds.items()}
    read = [reverse("transcript", args=[rows[int(len(rows) * share)][1]]) for share in (0.1, 0.6)]
    of_result = [
        f"{address}?{query}" for address in read for query in ("q=refund", "outcome=failed", "q=refund&error=yes")
    ]
    numbers = ["/analytics/", *(f"/analytics/{page}/" for page in ("gaps", "articles", "agents", "confidence", "team"))]
    return {
        **listed,
        "one, in no result": read,
        "one, in a result": of_result,
        "numbers of 30 days": numbers,
        "numbers of 12 months": [f"{page}?period=365" for page in numbers],
        "inbox": ["/inbox/?view=open"],
        "front page of the admin": ["/admin/"],
    }


def export(org: Organization, what: str) -> dict[str, Any]:
    """Writes one of the files from end to end, to nowhere; its time and the most memory of the process."""
    began = time.perf_counter()
    command = [sys.executable, str(ROOT / "manage.py"), "export", "--org", org.slug, "--what", what]
    most = 0
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=told)
        while process.poll() is None:
            # Not what `wait4` says, which counts the memory of this process before the other one began.
            most = max(most, _peak_of(process.pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        told.seek(0)
        said = told.read().splitlines()
    assert process.returncode == 0, said[-5:]
    return {"seconds": round(seconds, 1), "most MB of RSS": round(most / 1024), "said": said[-1]}


def _peak_of(pid: int) -> int:
    """The most memory that a process has had, in KiB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


class Plans:
    """Explains what a page asks the database for."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def of(self, client: Client, address: str) -> dict[str, list[str]]:
        """Indexes that were used, and large tables that were read from end to end."""
        caught: list[tuple[str, Any]] = []

        def catch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if sql.startswith("SELECT") and any(table in sql for table in LARGE):
                caught.append((sql, params))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(catch):
            client.get(address)
        indexes: set[str] = set()
        whole: set[str] = set()
        for sql, params in caught:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
                plan = cursor.fetchone()[0][0]
            _walk(plan["Plan"], indexes, whole)
            self.written.append(f"{address}\n{sql[:600]}\n{json.dumps(plan, indent=1)}\n")
        return {"indexes": sorted(indexes), "read whole": sorted(whole)}


def _walk(node: dict[str, Any], indexes: set[str], whole: set[str]) -> None:
    if "Index Name" in node:
        indexes.add(node["Index Name"])
    if node["Node Type"] == "Seq Scan" and node.get("Relation Name") in LARGE:
        whole.add(node["Relation Name"])
    for child in node.get("Plans", []):
        _walk(child, indexes, whole)


def machine() -> str:
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{os.cpu_count()} cores, load {busy} (1, 5, 15 min)"


def main() -> None:
    org, analyst, figures = build(ARGUMENTS.messages)
    figures = {"machine before": machine(), **figures}
    client = Client(SERVER_NAME="localhost")
    client.force_login(analyst, backend="django.contrib.auth.backends.ModelBackend")
    plans, measured = Plans(), {}
    print(f"\n{'page':<26} {'median':>8} {'p95':>8} {'slowest':>8} {'Python':>8}   plan")
    for kind, addresses in pages(org).items():
        taken: dict[str, list[float]] = {}
        used: list[float] = []
        for address in addresses:
            client.get(address)
            taken[address] = []
            for _ in range(ARGUMENTS.rounds):
                began, cpu = time.perf_counter(), time.process_time()
                assert client.get(address).status_code == 200, address
                taken[address].append((time.perf_counter() - began) * 1000)
                used.append((time.process_time() - cpu) * 1000)
        every = [ms for several in taken.values() for ms in several]
        seen = [plans.of(client, address) for address in addresses]
        whole = sorted({table for one in seen for table in one["read whole"]})
        measured[kind] = {
            "median ms": round(median(every), 1),
            "p95 ms": round(quantiles(every, n=20)[-1], 1),
            "median CPU ms of Python": round(median(used), 1),
            "median ms by address": {address: round(median(several), 1) for address, several in taken.items()},
            "indexes": sorted({name for one in seen for name in one["indexes"]}),
            "read whole": whole,
        }
        slowest = max(measured[kind]["median ms by address"].values())
        p95 = measured[kind]["p95 ms"]
        told = f"reads all of {', '.join(whole)}" if whole else "by indexes"
        print(f"{kind:<26} {median(every):>8.1f} {p95:>8.1f} {slowest:>8.1f} {median(used):>8.1f}   {told}")
    figures["exports"] = {what: export(org, what) for what in ("conversations", "messages", "jsonl")}
    figures |= {"pages": measured, "machine after": machine()}
    late = [kind for kind, one in measured.items() if one["median ms"] > LIMIT_MS]
    figures[f"kinds over {LIMIT_MS} ms"] = late
    print(json.dumps({name: value for name, value in figures.items() if name != "pages"}, indent=2))
    if ARGUMENTS.json:
        ARGUMENTS.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if ARGUMENTS.plans:
        ARGUMENTS.plans.write_text("\n".join(plans.written), encoding="utf-8")


if __name__ == "__main__":
    with UNTIL_THE_END:
        main()
