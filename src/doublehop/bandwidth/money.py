"""How many digits a currency has behind the point, and amounts cut to them. Pure."""

from decimal import Decimal
from fractions import Fraction

_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
"""ISO 4217, list one: the currencies that do not have two digits."""

_MINOR_UNITS = {code: digits for digits, codes in _BY_DIGITS.items() for code in codes.split()}
_USUAL = 2


def digits_of(currency: str) -> int:
    return _MINOR_UNITS.get(currency.upper(), _USUAL)


def cut_to_minor_units(amount: Fraction, currency: str) -> Decimal:
    """Once, at the end, and never up: the fraction of a cent is the client's, so that no bill is above what is owed."""
    digits = digits_of(currency)
    return Decimal(amount * 10**digits // 1).scaleb(-digits)
