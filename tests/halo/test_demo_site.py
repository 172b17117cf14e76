"""The demo's shop: there where the demo is, and for its one made-up visitor only."""

from __future__ import annotations

import json
import re

import jwt
import pytest
from django.test import Client

from agents.services import create_ready_org
from tests.cast import Cast


def test_the_shop_has_the_snippet_with_the_demos_key_and_proves_who_is_signed_in(db: None, client: Client) -> None:
    demo = create_ready_org(name="Demo", slug="demo")

    page = client.get("/demo/").content.decode()
    signed = client.get("/demo/token")

    (config,) = re.findall(r'id="halo-config" type="application/json">(.*?)</script>', page)
    assert json.loads(config) == {"orgId": str(demo.org.pk), "apiKey": demo.widget_key, "userId": "demo-robin"}
    assert '<script src="/widget.js">' in page and not re.search(r"<script>|<style|\son\w+=", page)
    claims = jwt.decode(signed.json()["token"], demo.identity_secret, algorithms=["HS256"])
    assert (claims["user_id"], claims["exp"] - claims["iat"]) == ("demo-robin", 600)
    assert signed["Cache-Control"] == "no-store" and "Access-Control-Allow-Origin" not in signed


@pytest.mark.parametrize("path", ["/demo/", "/demo/token"])
def test_without_a_demo_there_is_no_shop(cast: Cast, client: Client, path: str) -> None:
    assert client.get(path).status_code == 404
