"""An upstream that refused our login, or asked for patience, is left in peace; one account's trouble is nobody else's."""

from datetime import timedelta

import pytest
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import Stage, a_stage, run_jobs

from doublehop.driver_kit.conformance.world import PASSWORD, Fault, world
from doublehop.driver_kit.errors import Busy, CredentialsRejected
from doublehop.fleet import actions, door
from doublehop.fleet import work as fleet_work
from doublehop.fleet.door import Command, NotSent
from doublehop.fleet.models import Server, Upstream
from doublehop.fleet.rests import REFUSED_LOGIN_PAUSE, next_try_at
from doublehop.fleet.work import ask_states, ask_syncs, read_states, resting_upstreams
from doublehop.jobs.models import Job
from doublehop.notices.models import Mail


@pytest.fixture
def cast(db):
    return a_cast()


@pytest.fixture
def stage(cast):
    found = a_stage(cast.ines)
    found.machines("web", "data")
    run_jobs()
    return found


def all_calls(stage: Stage) -> int:
    return len(stage.place.arrivals())


def refuse(stage: Stage) -> int:
    """From now on our login is refused, and the next reading found out. Answers with the calls until then."""
    stage.place.password = "changed-at-the-provider"
    with pytest.raises(CredentialsRejected):
        door.read_power(stage.server("web").pk)
    return all_calls(stage)


def age(**more) -> None:
    Upstream.objects.update(failed_at=timezone.now() - REFUSED_LOGIN_PAUSE - timedelta(seconds=1), **more)


def pushed(server: Server) -> NotSent:
    with pytest.raises(NotSent) as caught:
        door.send(server.pk, Command.PORT_OFF, mark_sent=lambda: None)
    return caught.value


class TestRefusedLogin:
    def test_after_the_first_refusal_no_call_goes_out(self, stage):
        before = refuse(stage)
        web = stage.server("web")
        refusal = pushed(web)
        assert (refusal.code, refusal.retry) == ("credentials_rejected", False)
        assert "refuses our login" in refusal.text
        for question in (door.read_power, door.read_port, door.read_rdns):
            with pytest.raises(CredentialsRejected):
                question(web.pk)
        read_states({"upstream_id": stage.upstream.pk})
        ask_states({})
        ask_syncs({})
        actions.ask_refresh(stage.owner, web.pk)
        run_jobs()
        assert all_calls(stage) == before

    def test_a_person_who_asks_for_the_list_is_one_try(self, stage):
        before = refuse(stage)
        actions.ask_sync(stage.owner, stage.upstream.pk)
        run_jobs()
        fleet_work.sync({"upstream_id": stage.upstream.pk})
        assert all_calls(stage) == before + 1
        stage.place.password = PASSWORD
        actions.ask_sync(stage.owner, stage.upstream.pk)
        run_jobs()
        assert not resting_upstreams().exists()

    def test_a_login_typed_wrong_is_seen_on_the_page_and_told_to_nobody_else(self, stage):
        values = {"endpoint": stage.place.endpoint, "account": "new", "password": "wrong"}
        actions.create_upstream(stage.owner, driver="memory", name="New", values=values)
        run_jobs()
        assert resting_upstreams().get().name == "New"
        assert not Mail.objects.exists()

    def test_a_refusal_while_the_machine_proves_itself_counts_too(self, stage):
        stage.place.fault(Fault.CREDENTIALS, on="identify")
        assert pushed(stage.server("web")).code == "credentials_rejected"
        before = all_calls(stage)
        pushed(stage.server("data"))
        assert all_calls(stage) == before

    def test_after_the_pause_one_question_tries_it(self, stage):
        before = refuse(stage)
        ask_states({})
        run_jobs()
        assert all_calls(stage) == before
        age()
        assert pushed(stage.server("web")).code == "credentials_rejected", "others wait for what it finds"
        ask_states({})
        run_jobs()
        assert all_calls(stage) == before + 1
        upstream = Upstream.objects.get()
        assert next_try_at(upstream) > timezone.now() + REFUSED_LOGIN_PAUSE / 2
        ask_states({})
        run_jobs()
        assert all_calls(stage) == before + 1
        age()
        stage.place.password = PASSWORD
        ask_states({})
        run_jobs()
        assert not resting_upstreams().exists()
        assert door.read_port(stage.server("web").pk) is True

    def test_another_failure_of_that_question_says_nothing_about_the_login(self, stage):
        refuse(stage)
        age()
        stage.place.fault(Fault.UNREACHABLE, on="inventory.list")
        stage.place.password = PASSWORD
        ask_states({})
        run_jobs()
        assert resting_upstreams().exists()
        assert Mail.objects.filter(about="upstream_refused").count() == 1

    def test_a_list_that_came_back_empty_shows_that_the_login_works(self, stage, monkeypatch):
        refuse(stage)
        age()
        stage.place.password = PASSWORD
        monkeypatch.setattr("doublehop.drivers.memory.driver.MemoryInventory.list", lambda self: ())
        ask_states({})
        run_jobs()
        assert Upstream.objects.get().failure_code == "empty_list"

    def test_test_connection_tries_at_once_and_ends_it(self, stage):
        before = refuse(stage)
        actions.ask_test(stage.owner, stage.upstream.pk)
        run_jobs()
        assert all_calls(stage) == before + 1
        assert resting_upstreams().exists()
        stage.place.password = PASSWORD
        actions.ask_test(stage.owner, stage.upstream.pk)
        run_jobs()
        assert not resting_upstreams().exists()
        assert door.read_port(stage.server("web").pk) is True

    def test_mended_settings_end_it_at_once(self, stage):
        refuse(stage)
        values = {"endpoint": stage.place.endpoint, "account": "demo", "password": stage.place.password}
        actions.update_upstream(stage.owner, stage.upstream.pk, name="Rack A", values=values)
        run_jobs()
        assert not resting_upstreams().exists()
        assert door.read_port(stage.server("web").pk) is True

    def test_the_owners_staff_are_told_once_each_time(self, stage, cast):
        refuse(stage)
        for _ in range(3):
            age()
            ask_states({})
            run_jobs()
        mails = Mail.objects.filter(about="upstream_refused")
        assert {mail.to for mail in mails} == {"ines@northgate.example"}
        assert mails.count() == 1
        assert "Rack A" in mails[0].body
        assert "Test connection" in mails[0].body
        assert "UTC" in mails[0].body
        stage.place.password = PASSWORD
        actions.ask_test(stage.owner, stage.upstream.pk)
        run_jobs()
        refuse(stage)
        assert mails.all().count() == 2

    def test_one_tenants_wrong_password_stops_nobody_else(self, stage, cast):
        """The same place, another account."""
        values = {"endpoint": stage.place.endpoint, "account": "other", "password": "wrong"}
        actions.create_upstream(cast.rosa, driver="memory", name="Their login", values=values)
        run_jobs()
        assert Upstream.objects.get(name="Their login").failure_code == "credentials_rejected"
        assert door.read_port(stage.server("web").pk) is True
        door.send(stage.server("web").pk, Command.PORT_OFF, mark_sent=lambda: None)
        assert stage.place.effects("web") == ["port.set_enabled:off"]


class TestPatience:
    def test_the_whole_account_rests_and_nothing_goes_out(self, stage):
        web = stage.server("web")
        stage.place.fault(Fault.BUSY, on="port.set_enabled", seconds=30)
        asked = pushed(web)
        before = all_calls(stage)
        for server in (web, stage.server("data")):
            again = pushed(server)
            assert (again.code, again.retry, again.retry_at) == ("busy", True, asked.retry_at)
            with pytest.raises(Busy) as caught:
                door.read_power(server.pk)
            assert caught.value.retry_at == asked.retry_at
        ask_states({})
        ask_syncs({})
        read_states({"upstream_id": stage.upstream.pk})
        run_jobs()
        assert all_calls(stage) == before
        Upstream.objects.update(rests_until=timezone.now())
        assert door.read_power(web.pk)

    def test_a_round_of_readings_ends_where_patience_is_asked_for(self, stage):
        before = all_calls(stage)
        stage.place.fault(Fault.BUSY, on="power.state", seconds=30, times=None)
        read_states({"upstream_id": stage.upstream.pk})
        assert all_calls(stage) == before + 1
        assert Upstream.objects.get().failing_since is None, "patience is no failure"

    def test_a_list_that_somebody_asked_for_comes_when_it_may(self, stage):
        stage.place.fault(Fault.BUSY, on="inventory.list", seconds=30)
        actions.ask_sync(stage.owner, stage.upstream.pk)
        run_jobs()
        until = Upstream.objects.get().rests_until
        assert abs(Job.objects.get(key=f"sync:{stage.upstream.pk}").run_at - until) < timedelta(seconds=2)

    def test_a_call_that_is_busy_by_itself_stops_no_other(self, stage):
        stage.place.fault(Fault.BUSY, on="port.set_enabled")
        pushed(stage.server("web"))
        assert door.read_power(stage.server("data").pk)

    def test_one_machine_with_a_login_of_its_own_stops_no_other(self, stage, monkeypatch):
        monkeypatch.setattr("doublehop.fleet.door.has_machine_logins", lambda row: True)
        for fault in (Fault.BUSY, Fault.CREDENTIALS):
            stage.place.fault(fault, on="port.set_enabled", machine="web", seconds=30)
            pushed(stage.server("web"))
        assert door.read_power(stage.server("data").pk)
        assert not resting_upstreams().exists()

    def test_another_account_does_not_inherit_the_rest(self, stage):
        actions.note_rest(stage.upstream.pk, timezone.now() + timedelta(minutes=5))
        values = {"endpoint": stage.place.endpoint, "account": "demo", "password": PASSWORD}
        actions.update_upstream(stage.owner, stage.upstream.pk, name="Rack A", values=values)
        assert resting_upstreams().exists()
        values["endpoint"] = world("elsewhere").endpoint
        actions.update_upstream(stage.owner, stage.upstream.pk, name="Rack A", values=values)
        assert not resting_upstreams().exists()
