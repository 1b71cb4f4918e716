"""The journal only grows, and only its audience reads it. Knows nobody: the ids here are anybody's."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from doublehop.journal.actions import record
from doublehop.journal.models import Audience, Entry
from doublehop.journal.queries import entries_for_client, entries_for_organisation, first_unsettled_id

pytestmark = pytest.mark.django_db
ALDER, BIRCH, NORTHGATE = 2, 3, 1


def line(label="web1", **more):
    values = {
        "actor_kind": "staff",
        "actor_id": 7,
        "actor_label": "Rosa Lind",
        "organisation_id": ALDER,
        "organisation_label": "Alder Hosting",
        "verb": "server.rebooted",
        "target_kind": "server",
        "target_id": 12,
        "target_label": label,
        "audience": [ALDER],
    }
    return record(**{**values, **more})


def labels(entries):
    return [entry.target_label for entry in entries]


@pytest.mark.parametrize("table", ["journal_entry", "journal_audience"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET organisation_id = 3", "DELETE FROM {}"])
def test_the_database_itself_refuses_changes(table, statement):
    line()
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format(table))
    assert labels(entries_for_organisation(ALDER)) == ["web1"]


def test_a_line_object_is_neither_saved_again_nor_deleted():
    entry = line()
    for change in (entry.save, entry.delete):
        with pytest.raises(TypeError, match="append-only"):
            change()
    for change in (lambda: Entry.objects.update(verb="x"), lambda: Entry.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


@pytest.mark.django_db(transaction=True)
def test_a_test_that_commits_leaves_an_empty_journal_behind():
    assert not Entry.objects.exists()
    line()


def test_only_the_audience_reads_a_line():
    line("web1", audience=[ALDER, NORTHGATE, ALDER])
    line("db1", organisation_id=BIRCH, audience=[BIRCH])
    line("timer", organisation_id=None, audience=[])
    assert labels(entries_for_organisation(ALDER)) == ["web1"]
    assert labels(entries_for_organisation(NORTHGATE)) == ["web1"]
    assert labels(entries_for_organisation(BIRCH)) == ["db1"]
    assert labels(entries_for_organisation(BIRCH, target_kind="server")) == ["db1"]
    assert entries_for_organisation(BIRCH, text="web") == []
    assert Audience.objects.count() == 3, "twice named is once"


def test_a_line_goes_when_its_deed_is_rolled_back():
    with transaction.atomic():
        line()
        transaction.set_rollback(True)
    assert not Entry.objects.exists()
    assert not Audience.objects.exists()


@pytest.mark.parametrize(
    "wanted",
    [
        {"target_kind": "server", "target_id": 13},
        {"server_id": 13},
        {"service_id": 30},
        {"client_id": 5},
        {"text": "DB"},
        {"text": "mara"},
    ],
)
def test_it_is_asked_for_one_thing(wanted):
    line("web1")
    line("db1", target_id=13, server_id=13, service_id=30, client_id=5, actor_label="Mara Quill")
    assert labels(entries_for_organisation(ALDER, **wanted)) == ["db1"]


@pytest.mark.parametrize("wanted", [{}, {"target_kind": "server"}], ids=["all", "filtered"])
def test_it_pages_by_key_while_lines_come_in(wanted):
    for number in range(7):
        line(f"m{number}")
        line("other", audience=[BIRCH])
    first = entries_for_organisation(ALDER, limit=3, **wanted)
    line("m7")
    second = entries_for_organisation(ALDER, limit=3, before_id=first[-1].pk, **wanted)
    third = entries_for_organisation(ALDER, limit=3, before_id=second[-1].pk, **wanted)
    assert labels([*first, *second, *third]) == ["m6", "m5", "m4", "m3", "m2", "m1", "m0"]
    assert entries_for_organisation(ALDER, limit=3, after_id=second[0].pk, **wanted) == first
    assert labels(entries_for_organisation(ALDER, after_id=first[0].pk, **wanted)) == ["m7"]
    assert entries_for_organisation(ALDER, before_id=third[-1].pk, **wanted) == []


def test_a_page_has_an_end():
    Entry.objects.bulk_create(Entry(actor_label="x", client_id=5) for _ in range(250))
    assert len(entries_for_client(5, limit=10_000)) == 200
    assert len(entries_for_client(5)) == 50


def test_a_client_reads_lines_about_itself():
    line("web1", client_id=5)
    line("db1", client_id=6)
    assert labels(entries_for_client(5)) == ["web1"]
    assert entries_for_client(5, before_id=entries_for_client(5)[0].pk) == []


def test_long_texts_are_cut_to_what_is_kept():
    entry = line("w" * 5000, actor_label="a" * 5000, organisation_label="o" * 5000, sentence="s" * 5000)
    entry.refresh_from_db()
    assert (len(entry.target_label), len(entry.sentence)) == (300, 600)
    assert (len(entry.actor_label), len(entry.organisation_label)) == (200, 200)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="one writer at a time")
def test_who_follows_by_id_misses_no_line_that_is_seen_late():
    old = Entry.objects.create(at=timezone.now() - timedelta(hours=1))
    Audience.objects.create(entry_id=old.pk, organisation_id=ALDER)
    written, may_end = threading.Event(), threading.Event()

    def write_slowly():
        try:
            with transaction.atomic():
                line("late")
                written.set()
                may_end.wait(30)
        finally:
            connection.close()

    def followed():
        return labels(entries_for_organisation(ALDER, before_id=first_unsettled_id(), after_id=0))

    writer = threading.Thread(target=write_slowly)
    writer.start()
    written.wait(30)
    line("soon")
    assert labels(entries_for_organisation(ALDER, after_id=0)) == ["soon", ""]
    assert followed() == [""]
    may_end.set()
    writer.join(30)
    assert followed() == ["soon", "late", ""]


def test_the_newest_lines_of_a_quiet_organisation_are_found_by_key():
    """In a journal of others' lines: no reading of all of them, no sorting."""
    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            pytest.skip("the plan is read in SQLite's words")
        query = Audience.objects.filter(organisation_id=ALDER).order_by("-entry_id")[:50].query
        sql, values = query.sql_with_params()
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        plan = " ".join(str(row[-1]) for row in cursor.fetchall())
    assert "COVERING INDEX" in plan
    assert "TEMP B-TREE" not in plan
