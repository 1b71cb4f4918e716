"""What every test starts from."""

from collections.abc import Iterator
from importlib import import_module

import pytest
from django.core.cache import cache
from django.db import connection

from doublehop.driver_kit.budget import OwnKeeper, use_keeper
from doublehop.journal.models import Audience, Entry
from doublehop.organisations import hosts
from doublehop.services.models import Adjustment, ContractVersion, Statement

append_only = import_module("doublehop.journal.migrations.0002_append_only")
frozen = import_module("doublehop.services.migrations.0006_frozen")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Failed sign-ins, brands and turns are remembered by the process, and would outlive the test that made them."""
    cache.clear()
    use_keeper(OwnKeeper())
    hosts.forget_hosts()


@pytest.fixture(autouse=True)
def _frozen_emptied(request: pytest.FixtureRequest, _django_db_marker: None) -> Iterator[None]:
    """Tests that commit are followed by a flush, which SQLite's triggers would refuse: empty what is frozen before it."""
    yield
    if "transactional_db" in request.fixturenames or _commits(request):
        with connection.schema_editor() as editor:
            append_only.allow_changes(None, editor)
            Entry.objects.all().delete()
            Audience.objects.all().delete()
            append_only.refuse_changes(None, editor)
            frozen.allow_changes(None, editor)
            for model in (Adjustment, Statement, ContractVersion):
                model.objects.all().delete()
            frozen.refuse_changes(None, editor)


def _commits(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("django_db")
    return marker is not None and bool(marker.kwargs.get("transaction"))
