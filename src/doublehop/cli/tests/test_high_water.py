"""An old copy that came back without `doublehop restore` is noticed by what the worker wrote down beside it."""

import json
import uuid

import pytest
from tests.cast import a_cast

from doublehop.cli.high_water import NAME, HighWater
from doublehop.journal.models import Entry
from doublehop.organisations import record
from doublehop.organisations.actions.installation import leave_quarantine, this_installation
from doublehop.organisations.actor import SYSTEM
from doublehop.organisations.installation import in_quarantine
from doublehop.organisations.models import Installation

pytestmark = pytest.mark.django_db


@pytest.fixture
def worked(tmp_path):
    """A data folder in which a worker has worked, with one line in the journal."""
    a_cast()
    record.write(SYSTEM, "probe", ("probe", 1), target_label="probe")
    HighWater(tmp_path).look()
    return tmp_path


def marked(folder, **changes):
    path = folder / NAME
    told = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(told))


def newest():
    return Entry.objects.order_by("-pk").values_list("pk", flat=True).first()


def why():
    return Installation.objects.get().why


def test_a_new_machine_and_a_restart_mean_nothing(worked):
    assert json.loads((worked / NAME).read_text()) == {
        "installation": this_installation().uuid.hex,
        "restores": 0,
        "journal": newest(),
    }
    record.write(SYSTEM, "probe", ("probe", 1), target_label="probe")
    HighWater(worked).look()
    assert not in_quarantine()
    assert json.loads((worked / NAME).read_text())["journal"] == newest()


def test_it_is_not_written_when_nothing_happened(worked):
    before = (worked / NAME).stat().st_ino
    HighWater(worked).look()
    assert (worked / NAME).stat().st_ino == before


def test_a_database_behind_the_mark_is_a_copy(worked):
    marked(worked, journal=newest() + 5)
    HighWater(worked).look()
    assert in_quarantine()
    assert why() == "behind"
    assert Installation.objects.get().copy_taken_at is not None


def test_a_worker_that_runs_notices_it_too(worked):
    high_water = HighWater(worked)
    high_water.look()
    marked(worked, journal=newest() + 5)
    high_water.look_now_and_then()
    assert not in_quarantine(), "only every ten seconds"
    high_water._next = 0
    high_water.look_now_and_then()
    assert in_quarantine()


def test_another_installation_has_its_own_sentence(worked):
    marked(worked, installation=uuid.uuid4().hex)
    HighWater(worked).look()
    assert why() == "other"
    assert "another installation" in Entry.objects.get(verb="installation.quarantined").sentence


def test_a_mark_that_cannot_be_read_is_no_permission(worked):
    (worked / NAME).write_text("{")
    HighWater(worked).look()
    assert why() == "unreadable"


def test_confirmed_once_is_confirmed_at_the_next_start_too(worked):
    marked(worked, journal=newest() + 5)
    HighWater(worked).look()
    leave_quarantine(SYSTEM, sentence="")
    HighWater(worked).look()
    assert not in_quarantine()


def test_a_second_worker_with_an_older_mark_knows_of_the_restore(worked, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / NAME).write_text((worked / NAME).read_text())
    marked(elsewhere, journal=newest() + 5)
    marked(worked, journal=newest() + 5)
    HighWater(worked).look()
    leave_quarantine(SYSTEM, sentence="")
    HighWater(elsewhere).look()
    assert not in_quarantine()
