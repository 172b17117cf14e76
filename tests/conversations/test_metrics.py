"""What `/metrics` tells, to whom, and that the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from conversations import scraping, sweep
from halo import metrics, wire
from orgs.models import Organization
from tests.cast import Cast
from tests.conversations.conftest import Visitor
from tests.fake_model import FakeModel

TOKEN = "a token for the tests"
DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana" / "halo.json"


@pytest.fixture
def scraped(settings: Any) -> Any:
    settings.HALO_METRICS_TOKEN = TOKEN
    metrics.flush()
    with wire.calling() as client:
        client.delete(metrics.KEY)

    def read() -> dict[str, float]:
        response = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 200, response.content
        return {
            sample.name + "".join(f"[{value}]" for name, value in sample.labels.items() if name != "le"): sample.value
            for family in text_string_to_metric_families(response.content.decode())
            for sample in family.samples
            if sample.labels.get("le", "+Inf") == "+Inf"
        }

    return read


def test_an_answer_a_failure_and_a_refusal_are_counted(
    visitor: Visitor, acme: Organization, model: FakeModel, scraped: Any, settings: Any
) -> None:
    visitor.told()
    model.reply(status=500, times=3)
    assert visitor.say().status_code == 503
    settings.HALO_RATE_LIMITS = "visitor=1"
    visitor.told()
    assert visitor.say().status_code == 429
    sweep.run(may_free=False)

    found = scraped()
    assert found["halo_turns_total[answered]"] == 2
    assert found["halo_turns_total[unavailable]"] == 1
    assert found["halo_turn_seconds_count"] == 2
    assert found["halo_pickup_seconds_count"] == 3
    assert found["halo_model_seconds_count[ok]"] == 2
    assert found["halo_model_seconds_count[unavailable]"] == 1
    assert found["halo_model_retries_total"] == 2
    assert found["halo_tokens_total[prompt]"] > 0 and found["halo_tokens_total[completion]"] > 0
    assert found["halo_shed_total[visitor]"] == 1
    assert found["halo_requests_total[2xx]"] == 2
    assert found["halo_sweeps_total"] >= 1
    assert found["halo_turns_in_flight[queued]"] == found["halo_turns_in_flight[running]"] == 0
    assert found["halo_processes"] >= 1


def test_without_a_token_there_is_nothing_and_a_wrong_one_sees_nothing(cast: Cast, settings: Any) -> None:
    client = Client(raise_request_exception=False)
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404
    settings.HALO_METRICS_TOKEN = TOKEN
    for given in ("", "Bearer ", f"Basic {TOKEN}", "Bearer wrong", f"Bearer {TOKEN}x", "Bearer \u00e9"):
        response = client.get("/metrics", headers={"Authorization": given})
        assert (response.status_code, response.json()["code"]) == (401, "invalid_key"), given
    assert client.get("/metrics", headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


def test_nothing_of_an_organisation_is_told(visitor: Visitor, cast: Cast, scraped: Any) -> None:
    visitor.told()
    scraped()
    text = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).content.decode()
    for secret in (cast.acme.org.name, str(cast.acme.org.pk), cast.acme.org.slug, cast.acme.key.value):
        assert secret not in text


def test_while_redis_is_away_the_rows_are_told_and_counts_are_kept_for_later(cast: Cast, scraped: Any) -> None:
    wire.mark_away()
    metrics.count("halo_sweeps_total", by=5)
    away = scraped()
    assert away["halo_redis_up"] == 0 and away["halo_database_up"] == 1
    assert "halo_sweeps_total" not in away and "halo_turns_in_flight[queued]" in away

    wire.mark_back()
    assert scraped()["halo_sweeps_total"] >= 5


def test_what_processes_count_adds_up(scraped: Any) -> None:
    """A process is what flushes: two flushes of one are like one each of two."""
    for seconds in (0.2, 0.2, 40.0, 99.0):
        metrics.observe("halo_turn_seconds", seconds)
        metrics.flush()
    sums = metrics.sums()
    assert sums["halo_turn_seconds||sum"] == pytest.approx(139.4)
    assert [sums.get(f"halo_turn_seconds||{at}", 0) for at in (1, 11, 12)] == [2, 1, 1]


def test_every_panel_of_the_dashboard_asks_for_metrics_that_exist() -> None:
    known = set(scraping.GAUGES) | {name for name, family in metrics.FAMILIES.items() if not family.buckets}
    for name, family in metrics.FAMILIES.items():
        known |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if family.buckets else set()
    dashboard = json.loads(DASHBOARD.read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    asked: set[str] = set()
    for panel in panels:
        assert panel["title"] and panel["targets"], panel
        for target in panel["targets"]:
            names = set(re.findall(r"\bhalo_\w+", target["expr"]))
            assert names and names <= known, (panel["title"], names - known)
            asked |= names
    assert {"halo_turns_total", "halo_queue_age_seconds", "halo_model_seconds_bucket", "halo_tokens_total"} <= asked
    assert {"halo_shed_total", "halo_swept_total"} <= asked
