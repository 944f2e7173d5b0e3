"""Prices: an amount of one of the hub's currencies, in the parts that the currency has (ISO 4217)."""

from collections.abc import Iterator, Sequence

from models.content import Price

#: decimals of the currencies that do not have two. Source: ISO 4217, list one.
_DECIMALS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
#: in front of the decimals: what costs more is a typing mistake
_MOST_DIGITS = 8


def problems_of(price: Price, currencies: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(field of the price, what is wrong with it). What costs nothing needs no currency."""
    amount = price.amount
    if not amount.is_finite() or amount < 0:
        yield "amount", f"{amount} is no price."
    elif amount and price.currency not in currencies:
        yield "currency", f"{price.currency[:80]!r}; choose one of: {', '.join(currencies)}."
    elif amount.adjusted() >= _MOST_DIGITS:
        yield "amount", f"It has more than {_MOST_DIGITS} digits before the decimal point."
    elif amount and -int(amount.normalize().as_tuple().exponent) > _decimals(price.currency):
        yield "amount", f"{price.currency} has {_decimals(price.currency) or 'no'} decimals, {amount} has more."


def _decimals(currency: str) -> int:
    return _DECIMALS.get(currency, 2)
