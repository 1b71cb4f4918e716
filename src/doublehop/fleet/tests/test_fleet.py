"""Upstreams, the vault, readings, and what a sudden silence does not mean."""

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import a_stage, run_jobs

from doublehop.driver_kit.conformance.world import PASSWORD, Fault
from doublehop.driver_kit.contract import Identifier, ListedServer, PowerState, Proof
from doublehop.driver_kit.secret import Secret
from doublehop.fleet import actions, identity
from doublehop.fleet.actions.readings import InventoryLine
from doublehop.fleet.actions.upstreams import BadSettings
from doublehop.fleet.models import Server, Upstream
from doublehop.fleet.queries import drivers_offered, free_servers, servers_visible_to, upstreams_visible_to
from doublehop.fleet.work import refresh_watched
from doublehop.organisations import vault
from doublehop.organisations.refusals import NotAllowed, NotHere, WrongState


@pytest.fixture
def cast(db):
    return a_cast()


@pytest.fixture
def stage(cast):
    return a_stage(cast.ines)


class TestVault:
    def test_secrets_are_sealed_and_stay_readable_through_a_rotation(self, stage, settings):
        row = Upstream.objects.get()
        assert PASSWORD not in row.sealed_secrets
        assert PASSWORD not in str(row.settings)
        old = settings.DOUBLEHOP_VAULT_KEYS
        settings.DOUBLEHOP_VAULT_KEYS = (Fernet.generate_key().decode(), *old)
        assert actions.reseal_secrets() >= 1
        settings.DOUBLEHOP_VAULT_KEYS = settings.DOUBLEHOP_VAULT_KEYS[:1]
        row.refresh_from_db()
        assert vault.unseal(row.sealed_secrets, row="upstream")["password"] == Secret(PASSWORD)
        settings.DOUBLEHOP_VAULT_KEYS = old
        with pytest.raises(vault.VaultClosed):
            vault.unseal(row.sealed_secrets, row="upstream")

    def test_a_sealed_text_does_not_open_in_another_table(self, stage):
        with pytest.raises(vault.VaultClosed):
            vault.unseal(Upstream.objects.get().sealed_secrets, row="server")


class TestUpstreams:
    def test_it_observes_only_until_a_test_was_fine(self, cast):
        values = {"endpoint": "wrong-password", "account": "demo", "password": "nope"}
        row = actions.create_upstream(cast.ines, driver="memory", name="Rack", values=values)
        run_jobs()
        with pytest.raises(WrongState, match="Test the connection"):
            actions.arm(cast.ines, row.pk)
        row.refresh_from_db()
        assert row.failure_code == "credentials_rejected"
        actions.update_upstream(cast.ines, row.pk, name="Rack", values={**values, "password": PASSWORD})
        run_jobs()
        actions.arm(cast.ines, row.pk)
        row.refresh_from_db()
        assert (row.armed, row.failing_since) == (True, None)

    def test_a_changed_endpoint_wants_its_own_secret(self, stage, cast):
        with pytest.raises(BadSettings) as refused:
            actions.update_upstream(
                cast.ines,
                stage.upstream.pk,
                name="Rack A",
                values={"endpoint": "elsewhere", "account": "demo", "password": ""},
            )
        assert set(refused.value.errors) == {"password"}

    def test_the_same_account_is_not_entered_twice(self, stage, cast):
        values = {"endpoint": stage.place.endpoint, "account": "demo", "password": PASSWORD}
        with pytest.raises(WrongState) as refused:
            actions.create_upstream(cast.ines, driver="memory", name="Again", values=values)
        assert refused.value.code == "duplicate"

    def test_only_its_own_staff_know_of_it(self, stage, cast):
        assert list(upstreams_visible_to(cast.rosa)) == []
        assert list(upstreams_visible_to(cast.mara)) == []
        with pytest.raises(NotHere):
            actions.ask_test(cast.rosa, stage.upstream.pk)
        with pytest.raises(NotAllowed):
            actions.create_upstream(cast.ivo, driver="memory", name="x", values={})

    def test_every_kind_has_a_form(self):
        cards = {card.name: card for card in drivers_offered()}
        assert "rack" in cards
        assert "memory" not in cards, "its machines exist in one process only"
        assert all(field.label for card in cards.values() for field in card.settings)


class TestReadings:
    def test_a_list_that_is_suddenly_empty_removes_nothing(self, stage, cast):
        stage.machines("web")
        actions.store_inventory(stage.upstream.pk, [])
        assert Server.objects.filter(missing_since__isnull=True).count() == 2
        stage.upstream.refresh_from_db()
        assert stage.upstream.failure_code == "empty_list"

    def test_a_list_that_knows_less_takes_nothing_away(self, stage, cast):
        (web,) = stage.machines("web")
        strong = web.identifiers
        line = InventoryLine(
            ListedServer("web", "WEB", identifiers=(Identifier("label", "x", Proof.WEAK),)), ("power",), None
        )
        actions.store_inventory(stage.upstream.pk, [line])
        assert stage.server("web").identifiers == strong

    def test_a_server_that_is_not_listed_any_more_is_marked_and_not_free(self, stage, cast):
        stage.machines("web")
        del stage.place.machines["web"]
        actions.ask_sync(cast.ines, stage.upstream.pk)
        run_jobs()
        assert stage.server("web").missing_since is not None
        assert "web" not in free_servers(cast.ines).values_list("external_id", flat=True)

    def test_the_last_good_value_stays_when_a_machine_is_silent(self, stage, cast):
        (web,) = stage.machines("web")
        assert web.power_state == "on"
        stage.place.fault(Fault.UNREACHABLE, machine="web", times=None, text="no route to the BMC")
        actions.ask_refresh(cast.ines, web.pk)
        run_jobs()
        again = stage.server("web")
        assert (again.power_state, again.power_read_at) == ("on", web.power_read_at)
        assert again.refresh_failure == "no route to the BMC"

    def test_a_look_that_was_overtaken_by_an_operation_does_not_show_the_past(self, stage, cast, monkeypatch):
        (web,) = stage.machines("web")
        call = stage.place.call

        def slow(name, *given):
            if name == "identify":
                # The look has read everything else; meanwhile an operation switches the machine off and reads that back.
                actions.store_power(web.pk, PowerState.OFF, timezone.now())
                actions.store_port(web.pk, False, timezone.now())
            return call(name, *given)

        monkeypatch.setattr(stage.place, "call", slow)
        actions.ask_refresh(cast.ines, web.pk)
        run_jobs()
        again = stage.server("web")
        assert (again.power_state, again.port_enabled) == ("off", False)
        assert again.refresh_failure == ""
        monkeypatch.undo()
        actions.ask_refresh(cast.ines, web.pk)
        run_jobs()
        assert (stage.server("web").power_state, stage.server("web").port_enabled) == ("on", True)

    def test_a_watched_server_is_read_again(self, stage, cast):
        (web,) = stage.machines("web")
        Server.objects.update(power_read_at=None)
        before = len(stage.place.calls("web"))
        actions.watch(cast.ines, web.pk)
        refresh_watched({})
        run_jobs()
        assert stage.place.calls("web")[before:] == ["power.state"]

    def test_a_reseller_sees_a_machine_only_once_it_is_allocated(self, stage, cast):
        (web,) = stage.machines("web")
        assert not servers_visible_to(cast.rosa).exists()
        actions.allocate(cast.ines, web.pk, cast.alder.pk)
        assert list(servers_visible_to(cast.rosa)) == [web]
        assert web not in free_servers(cast.ines)
        assert not servers_visible_to(cast.tam).exists()


class TestIdentity:
    RECORDED = identity.record(
        "7", "192.0.2.7", [Identifier("serial", "A1"), Identifier("mac", "02:00:00:00:00:01")]
    )

    def test_every_strong_identifier_must_be_seen_again(self):
        seen = [Identifier("serial", "A1"), Identifier("mac", "02:00:00:00:00:01")]
        assert identity.compare(self.RECORDED, "7", "192.0.2.99", seen).same
        assert not identity.compare(self.RECORDED, "7", "192.0.2.7", seen[:1]).same
        assert not identity.compare(self.RECORDED, "8", "192.0.2.7", seen).same

    def test_without_strong_ones_the_main_address_decides_and_is_called_weak(self):
        recorded = identity.record("7", "192.0.2.7", [Identifier("host", "x", Proof.WEAK)])
        assert identity.compare(recorded, "7", "192.0.2.7", []).weak
        assert identity.compare(recorded, "7", "192.0.2.7", []).same
        assert not identity.compare(recorded, "7", "192.0.2.8", []).same

    def test_who_was_attached_without_anything_strong_and_shows_it_now_is_another(self):
        recorded = identity.record("7", "192.0.2.7", [Identifier("host", "x", Proof.WEAK)])
        verdict = identity.compare(recorded, "7", "192.0.2.7", [Identifier("serial", "A1")])
        assert not verdict.same
        assert "serial A1" in verdict.sentence

    def test_a_serial_that_others_show_too_records_nobody(self, stage, cast):
        """Some makers give all their machines one serial: an exchange of ids would go unnoticed."""
        stage.place.add("bare", serial="Default string", mac="", address="192.0.2.61")
        stage.place.add("own", serial="Default string", address="192.0.2.62")
        stage.machines("web")
        bare, own = stage.server("bare"), stage.server("own")
        with pytest.raises(WrongState, match="tell them apart") as refused:
            actions.record_identity(cast.ines, bare.pk)
        assert refused.value.code == "not_unique"
        assert "own" in refused.value.sentence
        actions.record_identity(cast.ines, own.pk)

    def test_a_machine_under_a_new_id_is_not_confused_with_its_old_row(self, stage, cast):
        stage.place.add("before", serial="SN-1", mac="", address="192.0.2.61")
        stage.machines("web")
        stage.place.add("after", serial="SN-1", mac="", address="192.0.2.61")
        del stage.place.machines["before"]
        actions.ask_sync(cast.ines, stage.upstream.pk)
        run_jobs()
        actions.record_identity(cast.ines, stage.server("after").pk)

    def test_whose_machine_shows_the_same_is_not_told_to_strangers(self, stage, cast):
        stage.place.add("bare", serial="Default string", mac="", address="192.0.2.61")
        stage.place.add("own", serial="Default string", address="192.0.2.62", label="BIRCH-7")
        stage.machines("web")
        actions.allocate(cast.ines, stage.server("bare").pk, cast.alder.pk)
        with pytest.raises(WrongState) as refused:
            actions.record_identity(cast.rosa, stage.server("bare").pk)
        assert "BIRCH-7" not in refused.value.sentence
