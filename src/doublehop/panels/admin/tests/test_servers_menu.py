"""The menu in which staff choose a server, in each of its states, told apart by what a person must do next."""

from django.utils import timezone
from tests.stage import a_stage, run_jobs

from doublehop.fleet import actions as fleet
from doublehop.fleet.models import Server, Upstream
from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.models import Service
from doublehop.services.queries import modules


def menu_of(text):
    return text.partition('id="m-menu"')[2].partition('id="m-hostname"')[0]


def failing(code):
    now = timezone.now()
    Upstream.objects.update(
        failing_since=now, failed_at=now, failure_code=code, failure_text="what they said"
    )


def test_list_with_its_age_and_refresh(sold, waiting, rosa):
    menu = menu_of(rosa.get(waiting).content.decode())
    assert "SPARE, spare.example.org" in menu
    assert '<option value="" selected>None</option>' in menu
    assert "servers that the Tandem user may manage" in menu
    assert "data-age" in menu
    assert ">Refresh</button>" in menu


def test_the_present_choice_always_stands_in_the_menu(sold, rosa):
    Server.objects.update(missing_since=timezone.now())
    menu = menu_of(rosa.get(sold.page).content.decode())
    assert f'<option value="{sold.web.pk}" selected>' in menu


def test_a_refused_login_outranks_the_list_and_leads_to_its_settings(sold, waiting, rosa):
    failing("credentials_rejected")
    text = rosa.get(waiting).content.decode()
    menu = menu_of(text)
    assert "<h2>API Error: Authentication Error</h2>" in menu
    assert "Rack A refused the login that stands in" in menu
    assert f"{sold.product.name} &gt; Module Settings" in menu
    assert f'href="/admin/setup/products/{sold.product.pk}/module/">Open Module Settings' in menu
    assert "Test again" in menu
    assert "<select" not in menu
    assert "SPARE" not in menu
    assert "Save Changes attaches nothing while the list is hidden." in text


def test_nothing_is_attached_from_a_hidden_list(sold, waiting, rosa):
    failing("credentials_rejected")
    service = Service.objects.get(server=None)
    answer = rosa.post(
        f"/admin/services/{service.pk}/save/", {"server_id": sold.spare.pk, "hostname": "", "username": ""}
    )
    assert answer.status_code == 409
    assert "Choosing waits for a login that works" in answer.content.decode()
    service.refresh_from_db()
    assert service.server_id is None
    # What is attached stays attached, and the rest of the form is saved.
    form = {"server_id": sold.web.pk, "hostname": "kept.example.org", "username": ""}
    assert rosa.post(f"/admin/services/{sold.service.pk}/save/", form).status_code == 302
    sold.service.refresh_from_db()
    assert (sold.service.server_id, sold.service.hostname) == (sold.web.pk, "kept.example.org")


def test_test_again_reads_the_list_and_support_may_press_it(sold, waiting, rosa):
    failing("credentials_rejected")
    service = Service.objects.get(server=None)
    browser(sold.cast.ivo).post(f"/admin/services/{service.pk}/refresh/")
    run_jobs()
    assert "API Error" not in rosa.get(waiting).content.decode()


def test_not_reachable_shows_the_old_list_greyed(sold, waiting, rosa):
    failing("unreachable")
    menu = menu_of(rosa.get(waiting).content.decode())
    assert "<h2>Not reachable since" in menu
    assert f'<option value="{sold.spare.pk}" disabled>' in menu
    service = Service.objects.get(server=None)
    answer = rosa.post(
        f"/admin/services/{service.pk}/save/", {"server_id": sold.spare.pk, "hostname": "", "username": ""}
    )
    assert answer.status_code == 409
    assert "Choosing waits for a fresh list" in answer.content.decode()


def test_no_permission_on_any_server_says_how_to_mend_it(sold, waiting, rosa):
    Server.objects.update(withheld_since=timezone.now())
    menu = menu_of(rosa.get(waiting).content.decode())
    assert "<h2>No Servers Listed</h2>" in menu
    assert "Leap &gt; Tandem &gt; Tandem Users &gt; Add Server Permissions" in menu
    assert "Refresh" in menu


def test_all_attached_is_told_apart(sold, waiting, rosa):
    Server.objects.exclude(pk=sold.web.pk).update(recorded_identity={})
    menu = menu_of(rosa.get(waiting).content.decode())
    assert "All servers are attached." in menu
    assert "in use" in menu


def test_a_list_that_is_being_read_is_watched(sold, waiting, rosa):
    Upstream.objects.update(synced_at=None)
    fleet.ask_sync(sold.cast.rosa, sold.stage.upstream.pk)
    text = rosa.get(waiting).content.decode()
    assert "Reading the list…" in menu_of(text)
    assert 'data-poll="2"' in text
    live = text.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    tag = rosa.get(live)["ETag"]
    run_jobs()
    fresh = rosa.get(live, headers={"If-None-Match": tag}).content.decode()
    assert 'id="m-menu"' in fresh
    assert 'data-poll="10"' in fresh


def test_a_long_list_is_searched_and_what_was_chosen_stays_chosen(sold, waiting, rosa, monkeypatch):
    assert 'name="find"' not in menu_of(rosa.get(waiting).content.decode())
    monkeypatch.setattr(modules, "MOST_LISTED", 1)
    menu = menu_of(rosa.get(waiting).content.decode())
    assert 'name="find"' in menu
    assert "Only the first are listed" in menu
    found = menu_of(rosa.get(waiting, {"find": "spa", "server_id": sold.spare.pk}).content.decode())
    assert f'<option value="{sold.spare.pk}" selected>' in found
    assert "LAB" not in found
    nothing = menu_of(rosa.get(waiting, {"find": "<b>"}).content.decode())
    assert "No free server begins with &lt;b&gt;." in nothing


def test_without_a_module_one_refused_login_takes_only_its_own_servers_away(house, rosa):
    """The present choice stays, and so does everything that comes from elsewhere."""
    (metal,) = a_stage(house.cast.ines).machines("metal")
    fleet.allocate(house.cast.ines, metal.pk, house.cast.alder.pk)
    now = timezone.now()
    Upstream.objects.filter(pk=house.stage.upstream.pk).update(
        failing_since=now, failed_at=now, failure_code="credentials_rejected"
    )
    menu = menu_of(rosa.get(house.page).content.decode())
    assert "Rack A refused our login" in menu
    assert f'<option value="{house.web.pk}" selected>' in menu
    assert "METAL" in menu
    assert "SPARE" not in menu
