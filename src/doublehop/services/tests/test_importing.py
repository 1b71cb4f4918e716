"""Moving in: what is certain is found, what is doubtful is said to be, nothing is attached twice, and no machine is touched."""

import time
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cast import a_cast
from tests.stage import a_product, a_service, a_stage, run_all_jobs, run_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet import door
from doublehop.fleet.models import Address, IdentifierRow, Server
from doublehop.journal.models import Entry
from doublehop.organisations import actions as organisations
from doublehop.organisations.models import Client
from doublehop.organisations.refusals import BadInput, NotAllowed, WrongState
from doublehop.services import actions, importing
from doublehop.services.actions.importing import bring_in
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Product, Service
from doublehop.services.queries.importing import ImportOptions, Verdict, preview_import

OPTIONS = ImportOptions("whmcs.alder.example")
HEADING = "ID,User ID,Client Name,Email,Product Name,Domain,Dedicated IP,Serial,MAC,Device ID,Status"


# ---------------------------------------------------------------- reading


def rows_of(text: str | bytes, **more: object) -> importing.Export:
    return importing.read(text if isinstance(text, bytes) else text.encode())


def test_a_report_with_a_title_and_links_is_read() -> None:
    text = (
        "Services\r\n\r\nID;User ID;Client Name;Domain;Dedicated IP;Assigned IPs;Status;Next Due Date\r\n"
        '12;7;"<a href=""c.php?id=7"">Quillfeather &amp; Sons</a>";Web1.Example.org.;192.0.2.11;'
        '"192.0.2.12\r\n2001:0DB8::1/64";Active;2026-12-01\r\n'
    )
    export = rows_of(text)
    (row,) = export.rows
    assert (row.reference, row.client_reference, row.client_name) == ("12", "7", "Quillfeather & Sons")
    assert row.hostname == "web1.example.org"
    assert row.addresses == ("192.0.2.11", "192.0.2.12", "2001:db8::1")
    assert row.line == 4
    assert export.ignored == ("Next Due Date",)


@pytest.mark.parametrize(
    ("encoded", "name", "told"),
    [
        ("Bücher & Töchter".encode("utf-8-sig"), "Bücher & Töchter", "UTF-8"),
        ("Bücher".encode(), "Bücher", "UTF-8"),
        ("Bücher".encode("latin-1"), "Bücher", "Latin-1"),
        ("Dvořák 東京".encode("utf-16"), "Dvořák 東京", "UTF-16"),
    ],
)
def test_encodings(encoded: bytes, name: str, told: str) -> None:
    codec = {"UTF-16": "utf-16-le"}.get(told, "latin-1")
    head, tail = "id,client,domain\n1,".encode(codec), ",a.example\n".encode(codec)
    bom = encoded[:3] if encoded.startswith(b"\xef\xbb\xbf") else encoded[:2] if told == "UTF-16" else b""
    export = importing.read(bom + head + encoded.removeprefix(bom) + tail)
    assert (export.rows[0].client_name, export.encoding) == (name, told)


@pytest.mark.parametrize(
    "text",
    [
        '[{"id": 12, "userid": "7", "domain": "web1.example.org", "dedicatedip": "192.0.2.11",'
        ' "customfields": {"customfield": [{"name": "Server ID", "value": "1234"}, {"name": "Note", "value": "x"}]}}]',
        '{"result": "success", "totalresults": 1, "products": {"product": [{"id": 12, "clientid": 7,'
        ' "serverid": 3, "domain": "web1.example.org", "dedicatedip": "192.0.2.11", "customfields": {"Server ID": 1234}}]}}',
        '{"services": [{"id": "12", "userid": 7, "hostname": "web1.example.org", "ips": ["192.0.2.11"],'
        ' "custom_fields": [{"fieldname": "server id", "value": "1234"}]}]}',
    ],
)
def test_json_as_whmcs_and_others_give_it(text: str) -> None:
    (row,) = rows_of(text).rows
    assert (row.reference, row.client_reference, row.hostname) == ("12", "7", "web1.example.org")
    assert (row.addresses, row.upstream_id) == (("192.0.2.11",), ("1234",))


def test_a_bad_row_stops_no_other_and_is_told_by_its_line() -> None:
    text = (
        "id,domain,serial\n"
        "1,a.example,CZ1\n"
        '2,b.example,=HYPERLINK("http://evil.example")\n'
        ",c.example,CZ3\n"
        '4,"d\nd.example",CZ4\n'
        "5,e.example,CZ5,too,many\n"
        '="006",f.example,="CZ6"\n'
        f"7,{'x' * 3000},CZ7\n"
        "8,@SUM(A1),CZ8\n"
        "9,h.example,C\x07Z\n"
    )
    export = rows_of(text)
    assert [(row.line, row.reference) for row in export.rows] == [(2, "1"), (8, "006")]
    # A domain on two lines may be a quote that is not closed, so its second line is looked at too.
    assert [bad.line for bad in export.bad] == [3, 4, 5, 6, 7, 9, 10, 11]
    assert export.rows[1].serial == ("cz6",)
    told = " ".join(bad.why for bad in export.bad)
    assert "formula" in told
    assert "no id" in told
    assert "5 cells" in told


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_commas_within_cells_do_not_hide_what_stands_between_them(mark: str) -> None:
    text = (
        "Services of Quillfeather, Sons, and others\n"
        f"ID{mark}Domain{mark}Assigned IPs\n"
        f"1{mark}a.example{mark}192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4\n"
    )
    (row,) = rows_of(text).rows
    assert (row.line, row.reference, row.hostname, len(row.addresses)) == (3, "1", "a.example", 4)


def test_a_title_with_two_words_that_could_be_headings_is_not_taken_for_the_heading() -> None:
    (row,) = rows_of("Client,Product\nid,client,product,domain\n1,Quillfeather,Dedicated M,a.example\n").rows
    assert (row.reference, row.client_name, row.hostname) == ("1", "Quillfeather", "a.example")


@pytest.mark.parametrize(
    ("broken", "swallows"),
    [
        ('3,"c.example,CZ3', "all that follows"),
        ('3,c.example,"CZ3', "all that follows"),
        ('3,c.example,CZ3,"a note', "in a column that nobody here understands"),
        ('3,"c.example"x,CZ3', "nothing, and is not closed at the end of the cell"),
    ],
)
@pytest.mark.parametrize("later", ["", '"', '""'], ids=["to the end", "to a quoted row", "to an empty cell"])
def test_a_quote_that_is_not_closed_costs_its_own_row_alone(broken: str, swallows: str, later: str) -> None:
    lines = ["id,domain,serial,note", "1,a.example,CZ1", broken, "4,d.example,CZ4", "5,e.example,CZ5"]
    lines += [
        f'6,"f.example",CZ6,{later}y{later}' if later == '"' else f"6,f.example,CZ6,{later}",
        "7,g.example,CZ7",
    ]
    export = rows_of("\n".join(lines))
    assert [row.reference for row in export.rows] == ["1", "4", "5", "6", "7"], swallows
    assert [bad.line for bad in export.bad] == [3]
    assert "quote" in export.bad[0].why


def test_two_quotes_that_close_each_other_are_seen_by_the_line_break_between_them() -> None:
    export = rows_of(
        'id,domain,serial\n1,"a.example,CZ1\n2,b.example,CZ2\n3,c.example",CZ3\n4,d.example,CZ4\n'
    )
    assert [(row.line, row.reference) for row in export.rows] == [(3, "2"), (4, "3"), (5, "4")]
    assert [(bad.line, "line break" in bad.why) for bad in export.bad] == [(2, True)]


def test_a_file_full_of_open_quotes_is_read_in_passable_time() -> None:
    began = time.monotonic()
    export = rows_of(
        "id,domain,serial\n" + "".join(f'{row},"a.example,{"x" * 300}\n' for row in range(19_000))
    )
    assert len(export.bad) == 19_000
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\x01",
        b"hello\n",
        b"a,b,c\n1,2,3\n",
        b"{",
        b'{"a": 1}',
        b"id,domain\n",
        b"[]",
        b"PK\x03\x04\x00",
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_export_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(BadInput) as refused:
        importing.read(content)
    assert refused.value.field == "file"


def test_the_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MOST_ROWS", 3)
    with pytest.raises(BadInput):
        rows_of("id,domain\n" + "1,a.example\n" * 4)
    monkeypatch.setattr(importing, "LARGEST_FILE", 10)
    with pytest.raises(BadInput):
        rows_of("id,domain\n1,a.example\n")


@given(st.binary(max_size=300))
def test_whatever_is_uploaded_is_read_or_refused(content: bytes) -> None:
    with suppress(BadInput):
        importing.read(content)


@given(
    st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=5), min_size=1, max_size=4),
    st.sampled_from(",;\t|"),
)
def test_whatever_stands_in_rows_is_read_or_told(rows: list[list[str]], mark: str) -> None:
    text = mark.join(("id", "domain", "serial", "mac")) + "\n" + "\n".join(mark.join(row) for row in rows)
    with suppress(BadInput):
        export = importing.read(text.encode("utf-8", "surrogatepass"))
        assert all(row.line > 1 and row.reference for row in export.rows)


# ---------------------------------------------------------------- matching and bringing in


@pytest.fixture
def house(db):
    """Rosa has three free machines and one in a service; the product is called as in the export."""
    cast = a_cast()
    stage = a_stage(cast.rosa)
    web, db_, files, _spare = stage.machines("web", "db", "files", "spare")
    for row in (web, db_, files, _spare):
        fleet.ask_refresh(cast.rosa, row.pk)
    run_jobs()
    product = a_product(cast.rosa, "Dedicated M")
    return cast, stage, product


def serial(stage, name: str) -> str:
    return IdentifierRow.objects.get(server=stage.server(name), kind="serial").value


def address(stage, name: str) -> str:
    return stage.server(name).primary_address


def a_file(*lines: str) -> bytes:
    return "\n".join([HEADING, *lines]).encode()


def looked_at(cast, content: bytes, options: ImportOptions = OPTIONS):
    found = preview_import(cast.rosa, content, options)
    return found, {
        line.row.reference: (line.verdict, line.server.label if line.server else "") for line in found.lines
    }


def test_each_row_is_what_its_identifiers_say(house) -> None:
    cast, stage, product = house
    mac = IdentifierRow.objects.get(server=stage.server("db"), kind="mac").value
    a_service(cast.rosa, cast.quillfeather.pk, product, stage.server("spare"))
    content = a_file(
        f"1,7,Quillfeather Books,,Dedicated M,any.example,,{serial(stage, 'web').lower()},,,Active",
        f"2,7,Quillfeather Books,,Dedicated M,any.example,,,{mac.upper().replace(':', '-')},,Active",
        "3,8,Somebody,,Dedicated M,files.example.org,,,,,Active",
        "4,8,Somebody,,Dedicated M,nowhere.example.org,203.0.113.9,,,,Active",
        f"5,8,Quillfeather Books,,Dedicated M,,{address(stage, 'spare')},,,,Active",
        f"6,8,Somebody,,Dedicated XXL,,{address(stage, 'web')},,,,Active",
        "7,8,Somebody,,Dedicated M,,192.0.2.11,,,,Terminated",
    )
    found, verdicts = looked_at(cast, content)
    assert verdicts == {
        "1": (Verdict.CERTAIN, "WEB"),
        "2": (Verdict.CERTAIN, "DB"),
        "3": (Verdict.DOUBTFUL, "FILES"),
        "4": (Verdict.MISSING, ""),
        "5": (Verdict.ATTACHED, "SPARE"),
        "6": (Verdict.MISSING, "WEB"),
        "7": (Verdict.ENDED, ""),
    }
    assert found.unknown_products() == ["Dedicated XXL"]
    reasons = {line.row.reference: line.reason for line in found.lines}
    assert "hostname alone" in reasons["3"]
    assert "No product here is called Dedicated XXL" in reasons["6"]


def test_identifiers_that_speak_against_each_other_are_never_certain(house) -> None:
    cast, stage, _ = house
    content = a_file(
        f"1,7,Q,,Dedicated M,,{address(stage, 'web')},SOMETHING-ELSE,,,Active",
        f"2,7,Q,,Dedicated M,,{address(stage, 'db')},{serial(stage, 'files')},,,Active",
        "3,7,Q,,Dedicated M,spare.example.org,203.0.113.77,,,,Active",
    )
    _, verdicts = looked_at(cast, content)
    assert verdicts == {
        "1": (Verdict.DOUBTFUL, "WEB"),
        "2": (Verdict.CONFLICT, ""),
        "3": (Verdict.DOUBTFUL, "SPARE"),
    }


def test_two_rows_for_one_machine_or_of_one_id_are_taken_by_neither(house) -> None:
    cast, stage, _ = house
    content = a_file(
        f"1,7,Q,,Dedicated M,,{address(stage, 'web')},,,,Active",
        f"2,7,Q,,Dedicated M,,,{serial(stage, 'web')},,,Active",
        f"3,7,Q,,Dedicated M,,{address(stage, 'db')},,,,Active",
        f"3,7,Q,,Dedicated M,,{address(stage, 'files')},,,,Active",
    )
    found, _ = looked_at(cast, content)
    assert [line.verdict for line in found.lines] == [Verdict.CONFLICT] * 4
    assert "2 rows name WEB" in found.lines[0].reason
    with pytest.raises(BadInput):
        bring_in(cast.rosa, content, OPTIONS, chosen={2}, mark=found.mark)


def test_the_id_of_an_upstream_counts_within_it_and_a_received_server_is_known_by_its_id_here(house) -> None:
    cast, _stage, _ = house
    theirs = a_stage(cast.ines)
    (given_server,) = theirs.machines("given")
    fleet.allocate(cast.ines, given_server.pk, cast.alder.pk)
    content = a_file(
        "1,7,Q,,Dedicated M,web.example.org,,,,web,Active",
        f"2,7,Q,,Dedicated M,given.example.org,,,,{given_server.pk},Active",
        "3,7,Q,,Dedicated M,,,,,given,Active",
    )
    _, verdicts = looked_at(cast, content)
    assert verdicts["1"] == (Verdict.CERTAIN, "WEB")
    assert verdicts["2"] == (Verdict.CERTAIN, "GIVEN")
    assert verdicts["3"][0] is Verdict.MISSING


def test_an_id_of_an_upstream_alone_is_never_certain(house) -> None:
    """Small numbers name something in every list."""
    cast, stage, _ = house
    theirs = a_stage(cast.ines)
    (given_server,) = theirs.machines("given")
    fleet.allocate(cast.ines, given_server.pk, cast.alder.pk)
    content = a_file(
        f"1,7,Q,,Dedicated M,shop.example.net,,,,{given_server.pk},Active",
        "2,7,Q,,Dedicated M,,,,,web,Active",
        f"3,7,Q,,Dedicated M,shop.example.net,{address(stage, 'db')},,,db,Active",
    )
    found, verdicts = looked_at(cast, content)
    assert verdicts == {
        "1": (Verdict.DOUBTFUL, "GIVEN"),
        "2": (Verdict.DOUBTFUL, "WEB"),
        "3": (Verdict.CERTAIN, "DB"),
    }
    told = f"By id {given_server.pk} alone, and its hostname is given.example.org and not shop.example.net."
    assert found.lines[0].reason == told


def test_what_is_chosen_is_attached_and_no_machine_is_touched(house, monkeypatch) -> None:
    cast, stage, _product = house
    content = a_file(
        f"1,7,Quillfeather Books,mara@quillfeather.example,Dedicated M,w1.example,,{serial(stage, 'web')},,,Active",
        f"2,9,Thistle Farm,farm@thistle.example,Dedicated M,not a name,{address(stage, 'db')},,,,Active",
        "3,9,Thistle Farm,farm@thistle.example,Dedicated M,files.example.org,,,,,Active",
    )
    found, _ = looked_at(cast, content)
    before = stage.place.ledger()

    opened = []

    def never(row: object, *_: object) -> None:
        opened.append(row)
        raise door.NotSent("closed", "nobody opens the door here")

    monkeypatch.setattr(door, "_open", never)
    told = bring_in(cast.rosa, content, OPTIONS, chosen={2, 3}, mark=found.mark)
    assert [one.why_not for one in told] == ["", ""]
    # Not even by the jobs that follow from it.
    run_all_jobs()
    assert opened == []
    assert stage.place.ledger() == before
    first, second = (Service.objects.get(billing_reference=reference) for reference in ("1", "2"))
    assert (first.client_id, first.server.label, first.status) == (cast.quillfeather.pk, "WEB", "active")
    assert (first.billed_by, first.next_due_on) == ("whmcs.alder.example", None)
    assert (first.shown_hostname, second.ordered_hostname) == ("web.example.org", "")
    cast.quillfeather.refresh_from_db()
    assert (cast.quillfeather.billing_reference, cast.quillfeather.billed_by) == ("7", "whmcs.alder.example")
    assert Client.objects.get(name="Thistle Farm").billing_reference == "9"
    assert not Service.objects.filter(billing_reference="3").exists()
    assert Service.objects.filter(welcomed_at__isnull=True, server__isnull=False).count() == 0
    assert Entry.objects.get(verb="services.imported").sentence.startswith("2 of 2 chosen, of 3")
    # A second time it is all there.
    _, verdicts = looked_at(cast, content)
    assert (verdicts["1"][0], verdicts["2"][0], verdicts["3"][0]) == (
        Verdict.PRESENT, Verdict.PRESENT, Verdict.DOUBTFUL,
    )  # fmt: skip


def test_a_doubtful_one_is_attached_when_a_person_says_so(house) -> None:
    cast, _, _ = house
    content = a_file("3,9,Thistle Farm,,Dedicated M,files.example.org,,,,,Suspended")
    found, _ = looked_at(cast, content)
    assert "suspended there" in found.lines[0].reason
    (told,) = bring_in(cast.rosa, content, OPTIONS, chosen={2}, mark=found.mark)
    assert told.service is not None
    assert told.service.server.label == "FILES"


def test_a_service_that_is_here_already_becomes_the_billing_systems(house) -> None:
    cast, stage, product = house
    service = a_service(cast.rosa, cast.quillfeather.pk, product, stage.server("web"))
    assert service.next_due_on is not None
    content = a_file(f"41,7,Quillfeather Books,,Dedicated M,,{address(stage, 'web')},,,,Active")
    found, _ = looked_at(cast, content)
    assert found.lines[0].verdict is Verdict.ATTACHED
    bring_in(cast.rosa, content, OPTIONS, chosen={2}, mark=found.mark)
    service.refresh_from_db()
    assert (service.billing_reference, service.billed_by, service.next_due_on) == (
        "41",
        "whmcs.alder.example",
        None,
    )
    assert Service.objects.count() == 1
    assert looked_at(cast, content)[1]["41"][0] is Verdict.PRESENT
    # Another billing system finds it taken.
    other, _ = looked_at(cast, content, replace(OPTIONS, billing_system="other"))
    assert other.lines[0].verdict is Verdict.CONFLICT


def test_a_binding_id_names_the_service_itself_as_the_api_does(house) -> None:
    cast, stage, product = house
    waiting = a_service(cast.rosa, cast.quillfeather.pk, product)
    attached = a_service(cast.rosa, cast.quillfeather.pk, product, stage.server("db"))
    text = (
        "id,client,product,binding_id,ip\n"
        f"1,Quillfeather Books,Dedicated M,S-{waiting.number},{address(stage, 'web')}\n"
        f"2,Quillfeather Books,Dedicated M,{attached.pk},\n"
        f"3,Quillfeather Books,Dedicated M,{attached.pk},{address(stage, 'files')}\n"
    )
    found, verdicts = looked_at(cast, text.encode())
    assert verdicts == {
        "1": (Verdict.CERTAIN, "WEB"),
        "2": (Verdict.ATTACHED, "DB"),
        "3": (Verdict.CONFLICT, "FILES"),
    }
    bring_in(cast.rosa, text.encode(), OPTIONS, chosen={2, 3}, mark=found.mark)
    waiting.refresh_from_db()
    attached.refresh_from_db()
    assert (waiting.server.label, waiting.billing_reference, attached.billing_reference) == ("WEB", "1", "2")


def test_a_number_and_an_id_are_two_counts(house) -> None:
    """Small numbers: the id of one service is the number of another."""
    cast, stage, product = house
    one = a_service(cast.rosa, cast.quillfeather.pk, product, stage.server("web"))
    two = a_service(cast.rosa, cast.quillfeather.pk, product, stage.server("db"))
    Service.objects.filter(pk=one.pk).update(number=two.pk)
    by_id, by_number = (
        preview_import(
            cast.rosa, f"id,product,client,{heading}\n1,Dedicated M,Q,{two.pk}\n".encode(), OPTIONS
        ).lines[0]
        for heading in ("doublehop service id", "Doublehop Service")
    )
    assert (by_id.service, by_number.service) == (two, one)


def test_of_two_products_of_one_name_none_is_taken(house) -> None:
    cast, stage, product = house
    Product.objects.create(
        organisation=product.organisation, group=product.group, name="dedicated m", price=1
    )
    content = a_file(
        f"1,7,Q,,Dedicated M,,{address(stage, 'web')},,,,Active",
        f"2,7,Q,,Other,,{address(stage, 'db')},,,,Active",
    )
    found, verdicts = looked_at(cast, content)
    assert verdicts["1"] == (Verdict.MISSING, "WEB")
    assert found.lines[0].reason == "2 products here are called Dedicated M. Rename all but one."
    assert "called Other" in found.lines[1].reason
    with pytest.raises(BadInput) as refused:
        looked_at(cast, content, replace(OPTIONS, products={"Other": "Dedicated M"}))
    assert (refused.value.field, refused.value.sentence[:10]) == ("products", "2 products")


def test_what_changed_since_the_preview_is_looked_at_again(house) -> None:
    cast, stage, product = house
    content = a_file(f"1,7,Q,,Dedicated M,,{address(stage, 'web')},,,,Active")
    found, _ = looked_at(cast, content)
    a_service(cast.rosa, cast.quillfeather.pk, product, stage.server("web"))
    with pytest.raises(WrongState) as refused:
        bring_in(cast.rosa, content, OPTIONS, chosen={2}, mark=found.mark)
    assert refused.value.code == "preview_changed"
    assert Service.objects.count() == 1


def test_one_that_is_refused_stops_no_other(house) -> None:
    cast, stage, _ = house
    content = a_file(
        f"1,7,Q,,Dedicated M,,{address(stage, 'web')},,,,Active",
        f"2,7,Q,,Dedicated M,,{address(stage, 'db')},,,,Active",
    )
    # Never read since it was listed: attach cannot know who it is.
    Server.objects.filter(pk=stage.server("web").pk).update(identifiers=[])
    found, _ = looked_at(cast, content)
    told = bring_in(cast.rosa, content, OPTIONS, chosen={2, 3}, mark=found.mark)
    assert "has not been read yet" in told[0].why_not
    assert told[1].service is not None
    assert list(Service.objects.values_list("billing_reference", flat=True)) == ["2"]


def test_products_may_be_called_otherwise_here(house) -> None:
    cast, stage, _ = house
    content = a_file(f"1,7,Q,,Server Large (2019),,{address(stage, 'web')},,,,Active")
    named = replace(OPTIONS, products={"server large (2019)": "Dedicated M"})
    all_others = replace(OPTIONS, products={"": "dedicated m"})
    assert looked_at(cast, content, named)[1]["1"][0] is Verdict.CERTAIN
    assert looked_at(cast, content, all_others)[1]["1"][0] is Verdict.CERTAIN
    with pytest.raises(BadInput) as refused:
        looked_at(cast, content, replace(OPTIONS, products={"": "Nothing"}))
    assert refused.value.field == "products"


def test_what_is_not_free_is_a_conflict_with_its_reason(house) -> None:
    cast, stage, product = house
    service = a_service(cast.rosa, cast.quillfeather.pk, product, stage.server("web"))
    actions.request(
        cast.rosa,
        OperationKind.SUSPEND,
        service.pk,
        idempotency_key="s",
        reason="Overdue",
        client_text="Pay.",
    )
    run_all_jobs()
    actions.terminate(cast.rosa, service.pk, reason="Gone")
    Server.objects.filter(pk=stage.server("db").pk).update(missing_since="2026-01-01T00:00:00Z")
    content = a_file(
        f"1,7,Q,,Dedicated M,,{address(stage, 'web')},,,,Active",
        f"2,7,Q,,Dedicated M,,{address(stage, 'db')},,,,Active",
    )
    found, _ = looked_at(cast, content)
    assert [line.verdict for line in found.lines] == [Verdict.CONFLICT] * 2
    assert "suspended here" in found.lines[0].reason
    assert "not listed any more" in found.lines[1].reason


def test_nobody_finds_or_takes_the_machines_of_others(house) -> None:
    cast, stage, _ = house
    actions.create_product_group(cast.tam, "G")
    a_product(cast.tam, "Dedicated M")
    content = a_file(
        f"1,7,Q,,Dedicated M,web.example.org,{address(stage, 'web')},{serial(stage, 'web')},,,Active"
    )
    assert preview_import(cast.tam, content, OPTIONS).lines[0].verdict is Verdict.MISSING
    for stranger in (cast.ivo, cast.mara):
        with pytest.raises(NotAllowed):
            preview_import(stranger, content, OPTIONS)
        with pytest.raises(NotAllowed):
            bring_in(stranger, content, OPTIONS, chosen={2}, mark="x")


def test_clients_of_one_name_are_not_taken_for_each_other(house) -> None:
    cast, stage, _ = house
    organisations.create_client(cast.rosa, name="Twin", email="a@twin.example")
    organisations.create_client(cast.rosa, name="Twin", email="b@twin.example")
    content = a_file(
        f"1,7,Twin,,Dedicated M,,{address(stage, 'web')},,,,Active",
        f"2,8,Twin,b@twin.example,Dedicated M,,{address(stage, 'db')},,,,Active",
    )
    found, _ = looked_at(cast, content)
    assert [line.client.email if line.client else None for line in found.lines] == [None, "b@twin.example"]
    bring_in(cast.rosa, content, OPTIONS, chosen={2, 3}, mark=found.mark)
    assert Client.objects.filter(name="Twin").count() == 3


@pytest.mark.parametrize("first", [0, 1], ids=["the id first", "the id later"])
def test_a_new_client_is_made_once_though_not_every_row_has_its_id(house, first) -> None:
    cast, stage, _ = house
    farm = ("9,Thistle Farm,farm@thistle.example", ",Thistle Farm,Farm@thistle.example")
    mill = (",Tern Mill,", "10,Tern Mill,")
    content = a_file(
        f"1,{farm[first]},Dedicated M,,{address(stage, 'web')},,,,Active",
        f"2,{farm[1 - first]},Dedicated M,,{address(stage, 'db')},,,,Active",
        f"3,{mill[first]},Dedicated M,,{address(stage, 'files')},,,,Active",
        f"4,{mill[1 - first]},Dedicated M,,{address(stage, 'spare')},,,,Active",
    )
    found, _ = looked_at(cast, content)
    told = bring_in(cast.rosa, content, OPTIONS, chosen={2, 3, 4, 5}, mark=found.mark)
    assert [one.why_not for one in told] == [""] * 4
    for name, reference in (("Thistle Farm", "9"), ("Tern Mill", "10")):
        client = Client.objects.get(name=name)
        assert (client.billing_reference, client.services.count()) == (reference, 2)


def test_a_client_here_is_claimed_by_one_of_two_who_are_called_alike_there(house) -> None:
    cast, stage, _ = house
    content = a_file(
        f"1,7,Quillfeather Books,,Dedicated M,,{address(stage, 'web')},,,,Active",
        f"2,8,Quillfeather Books,,Dedicated M,,{address(stage, 'db')},,,,Active",
    )
    found, _ = looked_at(cast, content)
    told = bring_in(cast.rosa, content, OPTIONS, chosen={2, 3}, mark=found.mark)
    assert [one.why_not for one in told] == ["", "Quillfeather Books stands for 7 by now."]
    cast.quillfeather.refresh_from_db()
    assert cast.quillfeather.billing_reference == "7"


def test_an_address_beside_the_main_one_names_a_machine_too(house) -> None:
    cast, stage, _ = house
    Address.objects.create(server=stage.server("web"), address="2001:db8::5")
    content = a_file("1,7,Q,,Dedicated M,,2001:0DB8:0::5,,,,Active")
    assert looked_at(cast, content)[1]["1"] == (Verdict.CERTAIN, "WEB")
