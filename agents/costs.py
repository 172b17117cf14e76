"""What tokens cost: counts times prices. Touches nothing."""

from __future__ import annotations

from decimal import Decimal

MILLION = Decimal(1_000_000)
# As the column that it is kept in: a millionth of the currency's unit.
SMALLEST = Decimal("0.000001")


def cost(
    *, prompt_tokens: int, completion_tokens: int, input_price: float | None, output_price: float | None
) -> Decimal | None:
    """The price of these tokens, where prices are for a million of them.

    None where it is not known: nothing was counted, or tokens were used that have no price.
    """
    used = [
        (tokens, price) for tokens, price in ((prompt_tokens, input_price), (completion_tokens, output_price)) if tokens
    ]
    if not used:
        return None
    total = Decimal(0)
    for tokens, price in used:
        if price is None:
            return None
        # By way of text: 0.1 is meant, not the binary number next to it.
        total += tokens * Decimal(str(price)) / MILLION
    return total.quantize(SMALLEST)


def own_or(price: float | None, otherwise: float | None) -> float | None:
    """An agent's price, else its organisation's; 0 is a price."""
    return otherwise if price is None else price
