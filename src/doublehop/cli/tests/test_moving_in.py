"""``doublehop import``, on the database of the tests."""

import json

import pytest
from tests.cast import a_cast
from tests.stage import a_product, a_stage, run_jobs

from doublehop.cli import moving_in
from doublehop.cli.arguments import parser
from doublehop.cli.stopping import CannotGoOn
from doublehop.fleet import actions as fleet
from doublehop.journal.models import Entry
from doublehop.organisations import actions as organisations
from doublehop.organisations.actions import TokenForm
from doublehop.services.models import Service

pytestmark = pytest.mark.django_db


@pytest.fixture
def house(tmp_path):
    """Two machines of Alder; one row is certain, one doubtful, one bad."""
    cast = a_cast()
    stage = a_stage(cast.rosa)
    for row in stage.machines("web", "db"):
        fleet.ask_refresh(cast.rosa, row.pk)
    run_jobs()
    a_product(cast.rosa, "Dedicated M")
    file = tmp_path / "services.csv"
    file.write_text(
        "ID,User ID,Client Name,Product Name,Domain,Dedicated IP,Amount\n"
        f"11,7,Quillfeather Books,Dedicated M,web1.example,{stage.server('web').primary_address},9.00\n"
        "12,7,Quillfeather Books,Dedicated M,db.example.org,,9.00\n"
        ",7,Quillfeather Books,Dedicated M,x.example.org,,9.00\n"
    )
    return cast, file


def run(*arguments):
    return moving_in.run(parser().parse_args(["import", *map(str, arguments)]), None)


def test_it_is_shown_first_and_attached_by_its_mark(house, capsys):
    _cast, file = house
    given = ("whmcs", file, "--organisation", "Alder Hosting", "--billing-system", "whmcs.alder.example")
    assert run(*given) == 0
    told = capsys.readouterr().out
    assert (
        "Certain: attached by --apply (1)\n  line 2: 11, Quillfeather Books, web1.example -> WEB. By address"
        in told
    )
    assert "Doubtful" in told
    assert "line 4: It has no id" in told
    assert "Columns that are not used: Amount." in told
    assert Service.objects.count() == 0
    mark = told.split()[-1]
    assert run(*given, "--apply", mark, "--also", "3") == 0
    told = capsys.readouterr().out
    assert "line 2: 11 is S-3001, with WEB." in told
    assert "2 of 2 are here now" in told
    assert "operator" in Entry.objects.get(verb="services.imported").actor_label
    with pytest.raises(CannotGoOn) as again:
        run(*given, "--apply", mark)
    assert "Look at it again" in str(again.value)
    assert run(*given, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [line["verdict"] for line in found["lines"]] == ["present", "present"]
    assert (found["counts"]["present"], found["counts"]["bad"]) == (2, 1)


def test_the_billing_system_is_the_one_that_has_a_token(house, capsys):
    cast, file = house
    given = ("csv", file, "--organisation", str(cast.alder.pk))
    with pytest.raises(CannotGoOn):
        run(*given)
    organisations.create_token(cast.rosa, TokenForm("W", ["read"], billing_system="whmcs.alder.example"))
    assert run(*given) == 0
    assert "as whmcs.alder.example." in capsys.readouterr().out


@pytest.mark.parametrize(
    "more",
    [
        ("--organisation", "Nobody"),
        ("--product", "Dedicated M"),
        ("--product", "x=Nothing"),
        ("--apply", "0123", "--also", "x"),
        ("--apply", "0123"),
    ],
)
def test_what_cannot_be_is_a_sentence(house, more):
    _, file = house
    with pytest.raises(CannotGoOn):
        run("whmcs", file, "--organisation", "Alder Hosting", "--billing-system", "w", *more)
    with pytest.raises(CannotGoOn):
        run("whmcs", file.parent / "nothing.csv", "--billing-system", "w")
    assert Service.objects.count() == 0
