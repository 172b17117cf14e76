"""Secrets at rest: one encrypted field type over a ring of keys, and the canary that detects a wrong ring."""

from __future__ import annotations

import functools
import secrets as random
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

# Says which scheme a stored value was written with, so that another can stand beside it one day.
PREFIX = "f1:"


class WrongKey(ImproperlyConfigured):
    """The encryption keys of the environment do not open what is stored."""


@functools.cache
def _ring(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(plain: str) -> str:
    """`plain` under the newest key, as text with a scheme prefix; empty stays empty."""
    if not plain:
        return ""
    return PREFIX + _ring(tuple(settings.HALO_ENCRYPTION_KEYS)).encrypt(plain.encode()).decode()


def decrypt(stored: str) -> str:
    """What `encrypt` was given; raises WrongKey where no key of the ring opens it."""
    if not stored:
        return ""
    try:
        return _ring(tuple(settings.HALO_ENCRYPTION_KEYS)).decrypt(stored.removeprefix(PREFIX).encode()).decode()
    except InvalidToken:
        raise WrongKey(
            "HALO_ENCRYPTION_KEYS does not open the secrets in this database: use the keys it was made with."
        ) from None


def reencrypted(stored: str) -> str:
    """The same secret under the newest key."""
    return encrypt(decrypt(stored))


class EncryptedTextField(models.TextField):
    """Text that is encrypted on its way into the database and opened on its way out."""

    def get_prep_value(self, value: Any) -> Any:
        return encrypt(super().get_prep_value(value) or "")

    def from_db_value(self, value: str | None, expression: object, connection: object) -> str:
        return decrypt(value or "")


def new_widget_key() -> str:
    """A publishable key: `ab_live_` and 192 random bits."""
    return "ab_live_" + random.token_urlsafe(24)


def new_api_key() -> str:
    """A key that reads an organisation's records: `halo_read_` and 256 random bits."""
    return "halo_read_" + random.token_urlsafe(32)


def new_identity_secret() -> str:
    """A signing secret: `ha_secret_` and 256 random bits."""
    return "ha_secret_" + random.token_urlsafe(32)
