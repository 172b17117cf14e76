"""Amounts of money, as pages write them."""

from __future__ import annotations

from decimal import Decimal


def money(cost: Decimal | None, currency: str) -> str:
    """An amount with as many places as it needs, two at least; empty where none is known."""
    if cost is None:
        return ""
    whole, _, places = f"{cost:,.6f}".partition(".")
    return f"{currency} {whole}.{places.rstrip('0').ljust(2, '0')}"
