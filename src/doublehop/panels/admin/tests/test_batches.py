"""What a brake holds, as staff meet it: told everywhere, decided once, undone with one button."""

import pytest
from tests.stage import a_service, ask, run_all_jobs

from doublehop.panels.admin.tests.conftest import browser
from doublehop.services.actions.brakes import LEAST_FREE
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Batch, Operation, Service


@pytest.fixture
def held(house) -> Batch:
    """Six services, all of them to be suspended by Rosa: the last one is held."""
    servers = house.stage.machines(*[f"n{number}" for number in range(LEAST_FREE)])
    rows = [house.service]
    rows += [
        a_service(house.cast.rosa, house.cast.quillfeather.pk, house.product, server) for server in servers
    ]
    run_all_jobs()
    for row in rows:
        ask(house.cast.rosa, OperationKind.SUSPEND, row)
    run_all_jobs()
    return Batch.objects.get()


def text(client, path):
    return client.get(path, follow=True).content.decode()


def test_it_is_told_wherever_staff_look(held, house, rosa):
    address = f"/admin/operations/held/{held.pk}/"
    waiting = held.operations.get(state="held")
    for path in ("/admin/", "/admin/operations/", f"/admin/operations/{waiting.reference}/"):
        assert address in text(rosa, path), path
    assert "waits for approval" in text(rosa, f"/admin/services/{waiting.service_id}/")
    page = text(rosa, address)
    assert "1 wait, none is dropped" in page
    assert all(row.server.primary_address in page for row in held.operations.all())


def test_approved_with_the_number_that_was_seen(held, rosa):
    address = f"/admin/operations/held/{held.pk}/"
    answer = rosa.post(f"{address}decide/", {"do": "approve", "typed": "7"})
    assert answer.status_code == 422
    assert "1 wait now" in answer.content.decode()
    assert rosa.post(f"{address}decide/", {"do": "approve", "typed": "1"}).status_code == 302
    run_all_jobs()
    assert not Operation.objects.exclude(kind="refresh_addresses").exclude(state="done").exists()
    assert "Approved by Rosa Lind" in text(rosa, address)


def test_refused_with_a_reason_then_all_undone(held, rosa):
    address = f"/admin/operations/held/{held.pk}/"
    assert rosa.post(f"{address}decide/", {"do": "refuse", "why": ""}).status_code == 422
    assert rosa.post(f"{address}decide/", {"do": "undo", "undo_why": "x"}).status_code == 409
    rosa.post(f"{address}decide/", {"do": "refuse", "why": "A wrong date"})
    run_all_jobs()
    assert "A wrong date" in text(rosa, address)
    assert rosa.post(f"{address}decide/", {"do": "undo", "undo_why": ""}).status_code == 422
    rosa.post(f"{address}decide/", {"do": "undo", "undo_why": "A wrong date"})
    run_all_jobs()
    assert set(Service.objects.values_list("status", flat=True)) == {"active"}


def test_support_sees_it_and_cannot_decide(held, house):
    ivo = browser(house.cast.ivo)
    address = f"/admin/operations/held/{held.pk}/"
    assert "An owner or admin decides" in text(ivo, address)
    assert ivo.post(f"{address}decide/", {"do": "approve", "typed": "1"}).status_code == 403


def test_a_termination_is_taken_back_from_the_page_of_the_service(house, rosa):
    path = f"/admin/services/{house.service.pk}/"
    rosa.post(f"{path}terminate/", {"reason": "Left", "key": "k" * 32})
    page = text(rosa, path)
    assert "Take the termination back" in page
    rosa.post(f"{path}restore/")
    house.service.refresh_from_db()
    assert (house.service.status, house.service.server_id) == ("active", house.web.pk)
