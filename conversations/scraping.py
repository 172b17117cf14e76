"""`GET /metrics`: the sums that processes have counted, and what the rows say now, as Prometheus reads it."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from conversations.models import OutboxItem
from halo import metrics, wire
from halo.api.exceptions import bare_response
from halo.db import release_connection

GAUGES = {
    "halo_database_up": "Whether PostgreSQL answers.",
    "halo_redis_up": "Whether Redis answers.",
    "halo_turns_in_flight": "Turns that wait or are being answered.",
    "halo_queue_age_seconds": "How long the oldest turn has waited that could be answered.",
    "halo_processes": "Processes that answer turns, web processes included.",
    "halo_outbox_due": "Things that should have been sent by now: webhooks, e-mails.",
}

# By the partial index of turns in flight; organisations are not told apart.
_ROWS = """
SELECT count(*) FILTER (WHERE t.status = 'queued'), count(*) FILTER (WHERE t.status = 'running'),
       coalesce(extract(epoch FROM max(now() - t.accepted_at) FILTER (
           WHERE t.status = 'queued' AND NOT EXISTS (
               SELECT 1 FROM conversations_turn AS e WHERE e.conversation_id = t.conversation_id AND e.seq < t.seq
                  AND e.status IN ('queued', 'running')))), 0)::float8,
       (SELECT count(DISTINCT l.pid) FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = 'halo-process-lock')
  FROM conversations_turn AS t WHERE t.status IN ('queued', 'running')
"""


class Unfit(Exception):
    """The request may not see the metrics; `status` says how that is told."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@csrf_exempt
@require_safe
def scrape(request: HttpRequest) -> HttpResponse:
    """The metrics of the whole installation, to whoever holds its token."""
    try:
        check_token(request.META.get("HTTP_AUTHORIZATION", ""))
    except Unfit as refused:
        return bare_response(refused.status, request_id=request.halo_request_id)  # type: ignore[attr-defined]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def check_token(authorization: str) -> None:
    """Raises Unfit: 404 where no token is set, as then there is nothing here, and 401 for one that is not right."""
    wanted: str = settings.HALO_METRICS_TOKEN
    if not wanted:
        raise Unfit(404)
    kind, _, given = authorization.partition(" ")
    # SECURITY: the comparison takes as long for a wrong token as for a right one; who is asking from where is no proof,
    # as behind a proxy everybody comes from this machine.
    right = secrets.compare_digest(given.strip().encode(), wanted.encode())
    if kind.lower() != "bearer" or not right:
        raise Unfit(401)


class _Everything:
    """A collector of prometheus_client."""

    def collect(self) -> Iterator[Metric]:
        """All families, those of the rows first."""
        metrics.flush()
        try:
            sums, redis_up = metrics.sums(), 1
        except wire.WireAway:
            sums, redis_up = {}, 0
        rows = _gauges()
        yield _gauge("halo_database_up", {"": float(bool(rows))})
        yield _gauge("halo_redis_up", {"": float(redis_up)})
        if rows:
            yield _gauge("halo_turns_in_flight", {"queued": rows[0], "running": rows[1]}, label="status")
            yield _gauge("halo_queue_age_seconds", {"": rows[2]})
            yield _gauge("halo_processes", {"": rows[3]})
            yield _gauge("halo_outbox_due", {"": rows[4]})
        if redis_up:
            # Without Redis there is no telling; a zero would look like a reset.
            for name, family in metrics.FAMILIES.items():
                yield _histogram(name, family, sums) if family.buckets else _counter(name, family, sums)


def _gauge(name: str, values: Mapping[str, float], *, label: str = "") -> Metric:
    family = GaugeMetricFamily(name, GAUGES[name], labels=[label] if label else [])
    for value, number in values.items():
        family.add_metric([value] if label else [], number)
    return family


def _counter(name: str, family: metrics.Family, sums: Mapping[str, float]) -> Metric:
    made = CounterMetricFamily(name, family.help, labels=[family.label] if family.label else [])
    for value in family.values:
        made.add_metric([value] if family.label else [], sums.get(f"{name}|{value}", 0))
    return made


def _histogram(name: str, family: metrics.Family, sums: Mapping[str, float]) -> Metric:
    made = HistogramMetricFamily(name, family.help, labels=[family.label] if family.label else [])
    for value in family.values:
        counts = [sums.get(f"{name}|{value}|{at}", 0) for at in range(len(family.buckets) + 1)]
        bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
        made.add_metric(
            [value] if family.label else [],
            buckets=list(zip(bounds, itertools.accumulate(counts), strict=True)),
            sum_value=sums.get(f"{name}|{value}|sum", 0),
        )
    return made


def _gauges() -> tuple[float, ...]:
    """What the rows say now; empty where the database is away."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ROWS)
            found = tuple(map(float, cursor.fetchone()))
        return (*found, float(OutboxItem.objects.due(now=timezone.now()).count()))
    except DatabaseError:
        return ()
    finally:
        release_connection()
