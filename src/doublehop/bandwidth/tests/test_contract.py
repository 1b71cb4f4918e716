from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doublehop.bandwidth.contract import (
    Contract,
    Method,
    PeriodKind,
    contract_of,
    period_after,
    period_before,
    period_of,
    values_of,
)
from doublehop.bandwidth.slots import slot_of, start_of

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
)


@pytest.mark.parametrize(
    ("zone", "month", "slots"),
    [
        ("UTC", (2026, 2), 8064),
        ("UTC", (2028, 2), 8352),
        ("UTC", (2026, 11), 8640),
        ("UTC", (2026, 12), 8928),
        ("Europe/Berlin", (2026, 3), 8928 - 12),
        ("Europe/Berlin", (2026, 10), 8928 + 12),
        ("America/New_York", (2026, 3), 8928 - 12),
        ("America/New_York", (2026, 11), 8640 + 12),
        ("Australia/Lord_Howe", (2026, 4), 8640 + 6),
    ],
)
def test_a_month_has_the_slots_of_its_calendar(zone, month, slots):
    period = period_of(Contract(zone=zone), datetime(*month, 15, tzinfo=UTC))

    assert period.slots == slots
    assert period.label == f"{date(*month, 1):%B %Y}"
    assert (start_of(period.first), start_of(period.end_slot)) == (period.start, period.end)


@pytest.mark.parametrize("day", [28, 29, 30, 31])
def test_an_anniversary_that_a_month_does_not_have_is_its_last_day_and_only_there(day):
    contract = Contract(period=PeriodKind.ANNIVERSARY, anchor=date(2024, 1, day))
    period = period_of(contract, datetime(2027, 1, 31, 12, tzinfo=UTC))
    begins = []
    for _ in range(4):
        begins.append(period.start.date())
        period = period_after(contract, period)

    assert begins == [date(2027, 1, day), date(2027, 2, 28), date(2027, 3, day), date(2027, 4, min(day, 30))]


def test_rolling_periods_follow_each_other_from_the_anchor():
    contract = Contract(period=PeriodKind.ROLLING, anchor=date(2026, 1, 10), rolling_days=30)
    first = period_of(contract, datetime(2026, 1, 10, tzinfo=UTC))

    assert (first.start.date(), first.end.date(), first.slots) == (date(2026, 1, 10), date(2026, 2, 9), 8640)
    assert first.label == "10 Jan 2026 to 8 Feb 2026"
    assert period_of(contract, first.end).start == first.end
    assert period_of(contract, datetime(2026, 1, 9, 23, tzinfo=UTC)).end == first.start


contracts = st.builds(
    Contract,
    period=st.sampled_from(PeriodKind),
    zone=st.sampled_from(ZONES),
    anchor=st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    rolling_days=st.integers(1, 366),
)


@given(contracts, st.datetimes(datetime(2020, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_periods_hold_their_moments_and_leave_no_room_between_them(contract, moment):
    period = period_of(contract, moment)

    assert period.start <= moment < period.end
    assert period.first <= slot_of(moment) < period.end_slot
    assert (
        period_of(contract, period.start) == period_of(contract, period.end - timedelta(seconds=1)) == period
    )
    assert period_after(contract, period).first == period.end_slot
    assert period_before(contract, period).end_slot == period.first


@given(contracts, st.sampled_from(Method), st.none() | st.decimals(0, 10**6, places=3), st.booleans())
def test_a_contract_survives_being_written_down(contract, method, commit, pooled):
    one = Contract(method, contract.unit, contract.period, contract.zone, contract.anchor, commit=commit,
                   price=Decimal("0.10"), currency="EUR", pooled=pooled)  # fmt: skip
    assert contract_of(values_of(one)) == one
