"""Paging by key: each row once, in order, forwards and backwards, whatever the marks in the address."""

from itertools import chain

import pytest
from django.http import QueryDict
from tests.cast import a_cast

from doublehop.organisations.models import Client
from doublehop.panels.keyset import page_of, sort_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    cast = a_cast()
    names = ["Ash", "Birch", "Birch", "Birch", "Cedar", "Ä~1 & more", "Elm"]
    Client.objects.bulk_create(
        Client(organisation=cast.alder, number=2000 + index, name=name) for index, name in enumerate(names)
    )
    return Client.objects.filter(organisation=cast.alder)


def walk(rows, by, step):
    """All pages from the first one on, then back again: (forwards, backwards)."""
    query = QueryDict(f"state=on&{step}")
    there, back = [], []
    for _ in range(20):
        page = page_of(rows, query, by=by, size=2)
        there.append([row.pk for row in page.rows])
        if not page.next:
            break
        query = QueryDict(page.next[1:])
        assert query["state"] == "on"
    while page.previous:
        page = page_of(rows, QueryDict(page.previous[1:]), by=by, size=2)
        back.insert(0, [row.pk for row in page.rows])
    return there, back


@pytest.mark.parametrize(
    ("by", "order"),
    [("name", ("name", "pk")), ("-name", ("-name", "-pk")), ("number", ("number",)), ("-pk", ("-pk",))],
)
def test_there_and_back(rows, by, order):
    there, back = walk(rows, by, "")
    assert list(chain(*there)) == list(rows.order_by(*order).values_list("pk", flat=True))
    assert back == there[:-1]


@pytest.mark.parametrize(
    "mark", ["after=", "after=x", "after=~", "after=Birch~x", "before=~99999999999999999999"]
)
def test_marks_that_nobody_gave_are_ignored(rows, mark):
    page = page_of(rows, QueryDict(mark), by="name", size=2)
    assert len(page.rows) == 2
    assert not page.previous


def test_mark_of_another_kind_is_ignored(rows):
    assert len(page_of(rows, QueryDict("after=Birch~3"), by="number", size=3).rows) == 3


def test_never_counts_nor_skips(rows, django_assert_num_queries):
    with django_assert_num_queries(1) as seen:
        page_of(rows, QueryDict("after=Birch~1"), by="name", size=2)
    assert not any(" OFFSET " in one["sql"] or "COUNT(" in one["sql"] for one in seen.captured_queries)


def test_sort_is_one_of_the_offered():
    assert sort_of({"sort": "-name"}, ("name", "number")) == "-name"
    assert sort_of({"sort": "password"}, ("name", "number")) == "name"
    assert sort_of({}, ("name",)) == "name"
