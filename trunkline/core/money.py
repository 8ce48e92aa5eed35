"""Money as integers: nano-USD (10⁻⁹ USD). No float ever holds an amount.

Prices are nano-USD per million units, so that list prices such as $0.0375 per million tokens, which is 37.5
nano-USD a token, are whole numbers. An amount is rounded once, when all units of one job have been added up.
"""

from decimal import Decimal, InvalidOperation
from typing import NewType

NanoUSD = NewType("NanoUSD", int)
"""An amount of money in 10⁻⁹ USD."""

NANO_PER_USD = 1_000_000_000
UNITS_PER_PRICE = 1_000_000
"""Prices are quoted for this many units."""
PARTS_PER_MILLION = 1_000_000
"""A multiplier of one."""


def nano_from_usd(usd: Decimal | str | float) -> NanoUSD:
    """Return an amount given in USD, as a person or a configuration file writes it.

    A float goes through its shortest decimal form, so that ``0.1`` means ten cents.

    Raises:
        ValueError: not a finite number, or finer than a nano-USD.
    """
    try:
        amount = Decimal(str(usd)) * NANO_PER_USD
    except InvalidOperation as error:
        raise ValueError(f"not an amount of money: {usd!r}") from error
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError(f"not a whole number of nano-USD: {usd!r}")
    return NanoUSD(int(amount))


def usd_text(nano: int) -> str:
    """Return an amount in USD without losing a digit: ``12.345`` or ``-0.000000150``; at least two decimals."""
    sign = "-" if nano < 0 else ""
    whole, fraction = divmod(abs(nano), NANO_PER_USD)
    digits = f"{fraction:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def scaled_amount(scaled: int, multiplier_ppm: int = PARTS_PER_MILLION, discount_ppm: int = 0) -> NanoUSD:
    """Return the amount of a sum of ``units * price`` products, rounded once, half to even.

    Args:
        scaled: in nano-USD per `UNITS_PER_PRICE`.
        multiplier_ppm: price multiplier in parts per million.
        discount_ppm: what is taken off after that, in parts per million.
    """
    divisor = UNITS_PER_PRICE
    if multiplier_ppm != PARTS_PER_MILLION:
        scaled *= multiplier_ppm
        divisor *= PARTS_PER_MILLION
    if discount_ppm:
        scaled *= PARTS_PER_MILLION - discount_ppm
        divisor *= PARTS_PER_MILLION
    amount, rest = divmod(scaled, divisor)
    rest *= 2
    if rest > divisor or (rest == divisor and amount % 2 == 1):
        amount += 1
    return NanoUSD(amount)
