"""Logging in: who a failed attempt named, and the audit row that it leaves."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from orgs import audit


def login_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """The login that attempts are counted by; one spelling for all, as the login itself ignores case."""
    given = credentials.get("username") if credentials else request.POST.get("username")
    return str(given or "").strip().lower()[:254]


@receiver(user_login_failed, dispatch_uid="halo_audit_failed_login")
def audit_failed_login(
    sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: object
) -> None:
    """One row an attempt, but for those during a lock-out, which would only let an attacker fill the table."""
    if request is None:
        return
    locked, failures = getattr(request, "axes_locked_out", False), getattr(request, "axes_failures_since_start", None)
    if locked and failures != settings.AXES_FAILURE_LIMIT:
        return
    audit.record_failed_login(login=login_name(request, credentials), address=audit.address_of(request))
