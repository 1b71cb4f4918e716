"""Leap > Tandem > Tandem Users: who may use which servers, and nothing else."""

import re

import pytest
from tests.stage import a_stage

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Permission
from doublehop.fleet.permissions import TANDEM_RIGHTS
from doublehop.journal.models import Entry
from doublehop.organisations import actions as organisations
from doublehop.organisations.models import TandemUser, User
from doublehop.panels.admin.tests.conftest import browser

PASSWORD = "long-enough-4711"
USUAL = [right.value for right in TANDEM_RIGHTS]


@pytest.fixture
def night(house):
    return organisations.add_tandem_user(
        house.cast.rosa, name="Night shift", email="noc@alder.example", password=PASSWORD
    )


@pytest.fixture
def page(night):
    return f"/admin/leap/tandem/{night.pk}/"


def rights_of(night):
    rows = Permission.objects.filter(tandem_user=night, until__isnull=True).order_by("server_id")
    return {row.server_id: sorted(row.rights) for row in rows}


def ticks(text):
    return [int(pk) for pk in re.findall(r'name="server" value="(\d+)" data-tick', text)]


def test_the_menu_has_leap_only_below_a_provider(house, rosa):
    text = rosa.get("/admin/").content.decode()
    for entry in (
        "/admin/leap/servers/",
        "/admin/leap/order/",
        "/admin/leap/tandem/",
        "/admin/leap/accounts/",
    ):
        assert f'href="{entry}"' in text
    assert ">Tandem Users</a>" not in text
    inside = rosa.get("/admin/leap/tandem/").content.decode()
    assert 'class="dh-sub2" aria-current="page">Tandem Users</a>' in inside
    assert inside.count('aria-current="page"') == 1
    ines = browser(house.cast.ines)
    assert "/admin/leap/" not in ines.get("/admin/").content.decode()
    for path in ("servers/", "order/", "tandem/", "tandem/new/", "accounts/"):
        assert ines.get(f"/admin/leap/{path}").status_code == 404, path


def test_add_new_user_keeps_what_was_typed_but_the_password(house, rosa):
    path = "/admin/leap/tandem/new/"
    form = {"name": "Panel", "email": "not an address", "password": PASSWORD}
    refused = rosa.post(path, form)
    assert refused.status_code == 422
    text = refused.content.decode()
    assert 'value="Panel"' in text
    assert 'href="#f-email"' in text
    assert PASSWORD not in text
    answer = rosa.post(path, {**form, "email": "panel@alder.example"}, follow=True)
    row = TandemUser.objects.get(user__name="Panel")
    assert answer.redirect_chain == [(f"/admin/leap/tandem/{row.pk}/", 302)]
    assert "No server yet: Panel can sign in, and sees nothing." in answer.content.decode()
    assert User.objects.get(email="panel@alder.example").check_password(PASSWORD)
    assert "no servers yet" in rosa.get("/admin/leap/tandem/").content.decode()


def test_apply_permissions_gives_the_ticked_servers_and_no_other(house, rosa, night, page):
    text = rosa.get(page + "add/").content.decode()
    assert house.spare.pk in ticks(text)
    assert "Without this: view, power, reverse DNS and bandwidth." in text
    answer = rosa.post(page + "add/", {"server": [house.web.pk, house.spare.pk]}, follow=True)
    assert "May manage 2 servers." in answer.content.decode()
    assert "View, power, reverse DNS, bandwidth<" in answer.content.decode()
    assert rights_of(night) == {house.web.pk: sorted(USUAL), house.spare.pk: sorted(USUAL)}
    assert set(ticks(rosa.get(page + "add/").content.decode())).isdisjoint({house.web.pk, house.spare.pk})


def test_advanced_gives_each_server_its_own_rights(house, rosa, night, page):
    form = {
        "server": [house.web.pk, house.spare.pk],
        "asked": [house.web.pk, house.spare.pk],
        f"right-{house.web.pk}": ["power", "rescue"],
    }
    rosa.post(page + "add/", form)
    assert rights_of(night) == {house.web.pk: ["power", "rescue", "view"], house.spare.pk: ["view"]}
    # A right nobody may be given, asked for by a form of somebody's own making.
    rosa.post(
        page + "change/",
        {"do": "rights", "server": house.web.pk, "asked": house.web.pk, f"right-{house.web.pk}": "suspend"},
    )
    assert rights_of(night)[house.web.pk] == ["view"]
    refused = rosa.post(
        page + "change/",
        {"do": "rights", "server": house.web.pk, "asked": house.web.pk, f"right-{house.web.pk}": "fly"},
    )
    assert refused.status_code == 422
    assert rights_of(night)[house.web.pk] == ["view"]


def test_nothing_ticked_is_told_and_a_foreign_server_is_not_there(house, rosa, night, page):
    empty = rosa.post(page + "add/", {})
    assert empty.status_code == 422
    assert "Tick at least one server." in empty.content.decode()
    foreign = a_stage(house.cast.tam).machines("theirs")[0]
    assert rosa.post(page + "add/", {"server": [house.web.pk, foreign.pk]}).status_code == 404
    assert rosa.post(page + "add/", {"server": ["x", "-1", "9" * 30]}).status_code == 422
    assert rights_of(night) == {}


def test_what_is_ticked_stays_while_the_filter_is_typed(house, rosa, page):
    text = rosa.get(page + "add/", {"q": "spare", "server": house.web.pk}).content.decode()
    assert ticks(text) == [house.web.pk, house.spare.pk]
    assert re.findall(r'value="(\d+)" data-tick aria-label="\w+" checked', text) == [str(house.web.pk)]
    assert "1 server ticked." in text
    assert ticks(rosa.get(page + "add/", {"q": "192.0.2.13"}).content.decode()) == [house.spare.pk]
    assert "No server matches." in rosa.get(page + "add/", {"q": "nowhere"}).content.decode()


def test_taken_away_only_after_a_look_at_which(house, rosa, night, page):
    fleet.permit_tandem(house.cast.rosa, night.pk, [house.web.pk, house.spare.pk])
    shown = rosa.get(page + "change/", {"do": "take-away", "server": house.web.pk}).content.decode()
    assert "Take 1 server away from Night shift?" in shown
    assert f'hx-get="{page}"' in shown, (
        "the list beside a preview is searched on a page that needs nothing ticked"
    )
    assert len(rights_of(night)) == 2
    rosa.post(page + "change/", {"do": "take-away", "server": house.web.pk})
    assert list(rights_of(night)) == [house.spare.pk]
    again = rosa.post(page + "change/", {"do": "take-away", "server": house.web.pk})
    assert again.status_code == 422
    assert "None of these servers is permitted" in again.content.decode()


def test_edit_and_delete(house, rosa, night, page):
    fleet.permit_tandem(house.cast.rosa, night.pk, [house.web.pk])
    rosa.post(page + "edit/", {"name": "Late shift", "email": "late@alder.example", "password": ""})
    night.user.refresh_from_db()
    assert (night.user.name, night.user.email) == ("Late shift", "late@alder.example")
    assert night.user.check_password(PASSWORD)
    assert "Delete Late shift?" in rosa.get(page).content.decode()
    rosa.post(page + "delete/")
    assert rights_of(night) == {}
    assert rosa.get(page).status_code == 404
    assert "No Tandem user yet." in rosa.get("/admin/leap/tandem/").content.decode()
    assert Entry.objects.filter(verb="tandem_user.deleted").exists()


def test_find_a_user_and_html_in_a_name_stays_text(house, rosa, night):
    organisations.add_tandem_user(
        house.cast.rosa, name="<b>Trial</b>", email="trial@alder.example", password=PASSWORD
    )
    text = rosa.get("/admin/leap/tandem/", {"find": "trial@"}).content.decode()
    assert "&lt;b&gt;Trial&lt;/b&gt;" in text
    assert "<b>Trial</b>" not in text
    assert "Night shift" not in text
    assert "No user matches." in rosa.get("/admin/leap/tandem/", {"find": "nobody"}).content.decode()


def test_support_sees_who_may_what_and_why_it_changes_nothing(house, night, page):
    fleet.permit_tandem(house.cast.rosa, night.pk, [house.web.pk])
    ivo = browser(house.cast.ivo)
    text = ivo.get(page).content.decode()
    assert house.web.label in text
    assert "Changing a Tandem user needs the role admin or owner." in text
    assert 'data-dialog="d-delete"' not in text
    ivo.post(page + "add/", {"server": house.spare.pk})
    ivo.post(page + "change/", {"do": "take-away", "server": house.web.pk})
    ivo.post(page + "delete/")
    ivo.post("/admin/leap/tandem/new/", {"name": "X", "email": "x@alder.example", "password": PASSWORD})
    assert list(rights_of(night)) == [house.web.pk]
    assert TandemUser.objects.filter(ended_at__isnull=True).count() == 1


def test_the_pages_cost_no_query_for_each_server(house, rosa, night, page, django_assert_max_num_queries):
    names = [f"m{number:03}" for number in range(70)]
    servers = house.stage.machines(*names)
    text = rosa.get(page + "add/").content.decode()
    assert len(ticks(text)) == 50
    assert "The first 50 are shown." in text
    fleet.permit_tandem(house.cast.rosa, night.pk, [one.pk for one in servers])
    with django_assert_max_num_queries(32):
        shown = rosa.get(page).content.decode()
    assert len(ticks(shown)) == 25
    assert "More follow." in shown
