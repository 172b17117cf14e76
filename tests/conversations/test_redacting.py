"""What looks like a secret is taken out of texts, whatever stands around it."""

from __future__ import annotations

import pytest

from conversations.redacting import Redactor

LONG = "aB3dE6gH9jK2" * 3
SECRETS = [
    f"ha_secret_{LONG}", f"ab_live_{LONG}", f"sess_{LONG}", f"eyJhbGciOiJIUzI1NiJ9.{LONG}.{LONG}",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----",
    *(f"{kind}k{mark}{LONG}" for kind in "spr" for mark in "-_"),
    *(f"gh{kind}_{LONG}" for kind in "pousr"),
    f"github_pat_{LONG}", f"glpat-{LONG}", f"xoxb-{LONG}", "AKIAABCDEFGH12345678", f"AIza{LONG}", f"hf_{LONG}",
    f"whsec_{LONG}", f"Bearer {LONG}", f"BASIC {LONG}=", f"bearer {LONG}",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_each_kind_is_taken_out_by_itself(secret: str) -> None:
    found = Redactor().text(f"Çelik said: {secret} and no more")
    assert secret not in found and LONG not in found
    assert found.startswith("Çelik said: [removed: ") and found.endswith("] and no more")


@pytest.mark.parametrize(
    "text", ["", "A basic plan for the desk.", "sk-8 and hf_1", "İstanbul'da bir görev", "task-list"]
)
def test_other_words_stay_as_they_are(text: str) -> None:
    assert Redactor(["a secret of ours"]).text(text) == text


def test_a_secret_that_is_known_is_taken_out_in_every_form() -> None:
    redactor = Redactor(['quoted"secret+é', "short"])
    assert "quoted" not in redactor.text('It was quoted"secret+é, or quoted\\"secret+\\u00e9.')
    assert redactor.text("a short one") == "a short one"
