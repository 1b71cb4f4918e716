"""Webhooks: an event for each line of the journal that is one, delivered until it has arrived, only where it may go."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import run_all_jobs, run_jobs

from doublehop.driver_kit import wire
from doublehop.jobs.models import Job
from doublehop.journal.models import Entry
from doublehop.notices import deliveries, endpoints, queries, sending
from doublehop.notices.endpoints import EndpointChange, EndpointForm
from doublehop.notices.events import groups_for, kinds_for
from doublehop.notices.models import Mail, WebhookDelivery, WebhookEndpoint
from doublehop.notices.tests.receiver import OK, answer, is_signed, open_loopback, receiving
from doublehop.organisations import actions as organisations
from doublehop.organisations import record
from doublehop.organisations.actor import SYSTEM
from doublehop.organisations.models import Installation
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState

pytestmark = pytest.mark.django_db
LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def allowed(monkeypatch):
    open_loopback(monkeypatch)


def an_endpoint(actor, receiver, kinds=("client.created",), **more):
    url = f"http://127.0.0.1:{receiver.port}/hook?a=1"
    return endpoints.create_endpoint(actor, EndpointForm(url=url, kinds=kinds, **more))


def happen(cast, name="Larch Films", actor=None):
    organisations.create_client(actor or cast.rosa, name=name)
    deliveries.find_events({})


def again():
    Job.objects.update(run_at=timezone.now() - timedelta(seconds=1))
    WebhookEndpoint.objects.update(rests_until=None)
    run_jobs()


def nearly_given_up(delivery):
    """Its last attempt is the next one, and nothing has arrived for days."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(attempts=len(deliveries.PAUSES_SECONDS))
    WebhookEndpoint.objects.update(failing_since=timezone.now() - deliveries.FAILING_FOR)


def newest():
    return WebhookDelivery.objects.latest("pk")


def test_a_line_of_the_journal_arrives_signed(cast, allowed):
    with receiving(OK) as receiver:
        secret = an_endpoint(cast.rosa, receiver).new_secret.reveal()
        happen(cast)
        happen(cast, "Elder Press")
        run_jobs()
    assert [event["type"] for event in receiver.events] == ["client.created"] * 2
    assert [event["data"]["target"]["label"] for event in receiver.events] == ["Larch Films", "Elder Press"]
    assert receiver.events[0]["timestamp"] == Entry.objects.get(target_label="Larch Films").at.isoformat()
    for headers, body in receiver.got:
        assert is_signed(secret, headers, body)
        assert not is_signed(secret, headers, body + b" ")
        assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert len(set(receiver.ids)) == 2
    assert (newest().state, newest().status, newest().attempts) == ("delivered", 204, 1)


def test_only_chosen_kinds_and_only_from_then_on(cast, allowed):
    organisations.create_client(cast.rosa, name="Before")
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver, kinds=("client.changed",))
        happen(cast)
        run_jobs()
    assert receiver.got == []


def test_a_line_that_is_committed_late_is_found_and_none_is_told_twice(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        late = Entry.objects.get(target_label="Larch Films")
        # As if this line had not been there yet when a later one was read.
        WebhookDelivery.objects.all().delete()
        happen(cast, "Elder Press")
        deliveries.find_events({})
        assert WebhookDelivery.objects.filter(entry_id=late.pk).count() == 1
        assert WebhookDelivery.objects.count() == 2


def test_an_organisation_hears_nothing_of_another(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast, "Birch only", actor=cast.tam)
        run_jobs()
    assert receiver.got == []


def operation_line(cast, client):
    record.write(
        SYSTEM,
        "operation.reboot.done",
        ("server", 7),
        target_label="northgate-rack-17",
        sentence="Northgate said so",
        details={"reference": "7Q5-M3D", "ticket": "LEAP-9"},
        server_id=7,
        service_id=41,
        client_id=client.pk,
        also=[cast.alder.pk, cast.provider.pk],
    )
    deliveries.find_events({})
    run_jobs()


def test_a_client_is_told_in_our_words_and_of_its_own_only(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver, kinds=("operation.done",), client_id=cast.quillfeather.pk)
        operation_line(cast, cast.quillfeather)
        operation_line(cast, cast.juniper)
    (event,) = receiver.events
    assert event["data"] == {
        "result": "done",
        "service_id": 41,
        "operation": {"kind": "reboot", "reference": "7Q5-M3D"},
    }


def test_the_level_above_learns_no_client_and_no_service(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.ines, receiver, kinds=("operation.done",))
        operation_line(cast, cast.quillfeather)
    (event,) = receiver.events
    assert (event["data"]["client_id"], event["data"]["service_id"]) == (None, None)
    assert event["data"]["server_id"] == 7
    assert "Northgate said so" not in str(event)


def test_a_client_endpoint_takes_only_what_clients_may_hear(cast, allowed):
    with pytest.raises(BadInput) as refused:
        endpoints.create_endpoint(
            cast.rosa,
            EndpointForm("https://a.example/", kinds=("mail.failed",), client_id=cast.quillfeather.pk),
        )
    assert refused.value.field == "kinds"
    with pytest.raises(BadInput) as refused:
        endpoints.create_endpoint(
            cast.rosa,
            EndpointForm("https://a.example/", kinds=("service.saved",), client_id=cast.juniper.pk),
        )
    assert refused.value.field == "client_id"


def test_one_that_fails_half_the_time_gets_everything(cast, allowed):
    with receiving(*[answer(500, b"oops"), OK] * 3) as receiver:
        an_endpoint(cast.rosa, receiver)
        for name in ("A", "B", "C"):
            happen(cast, name)
        run_all_jobs()
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}
    assert len(set(receiver.ids)) == 3
    assert len(receiver.ids) == 6


def test_it_is_tried_for_three_days_and_then_said_to_have_failed(cast, allowed):
    assert 2.9 < sum(deliveries.PAUSES_SECONDS) / 86_400 < 3.1
    with receiving(answer(503, b"busy")) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        run_jobs()
        for pause in deliveries.PAUSES_SECONDS:
            left = (newest().next_try_at - newest().tried_at).total_seconds()
            assert 0.8 * pause <= left <= 1.2 * pause
            again()
    assert (newest().state, newest().answer) == ("failed", "busy")
    assert len(receiver.got) == len(deliveries.PAUSES_SECONDS) + 1
    assert len(set(receiver.ids)) == 1
    assert not Job.objects.exists()


def test_a_redirect_is_not_followed(cast, allowed):
    with receiving(OK) as secret_place:
        there = b"Location: http://127.0.0.1:%d/" % secret_place.port
        with receiving(answer(302, b"", there)) as receiver:
            an_endpoint(cast.rosa, receiver)
            happen(cast)
            run_jobs()
    assert secret_place.got == []
    assert (newest().state, newest().status) == ("waiting", 302)
    assert "not followed" in newest().failure_text


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (None, "No whole answer within"),
        (b"", "broke off"),
        (b"HTTP/1.1 2", "broke off"),
        (b"nonsense\r\n\r\n", "broke off"),
    ],
    ids=["hangs", "closes", "closes midway", "speaks no HTTP"],
)
def test_one_that_does_not_answer_rests_and_is_tried_again(cast, allowed, monkeypatch, said, text):
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.4)
    with receiving(said, OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        happen(cast, "Second")
        run_jobs()
        assert len(receiver.got) == 1, "the second waits until the rest is over"
        first = WebhookDelivery.objects.earliest("pk")
        assert (first.state, first.status) == ("waiting", None)
        assert text in first.failure_text
        if said is not None:
            again()
            assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}


@pytest.mark.parametrize("said", [answer(500), OK], ids=["fails", "takes it"])
def test_a_slow_one_rests_whatever_it_answers(cast, allowed, monkeypatch, said):
    """Others wait for the same thread meanwhile."""
    monkeypatch.setattr(deliveries, "SLOW_SECONDS", 0.2)
    with receiving(said, OK) as receiver:
        receiver.on_arrival = lambda: time.sleep(0.3)
        row = an_endpoint(cast.rosa, receiver)
        happen(cast)
        happen(cast, "Second")
        run_jobs()
        assert len(receiver.got) == 1, "the second waits until the rest is over"
        row.refresh_from_db()
        assert row.rests_until > timezone.now() + timedelta(seconds=20)
        receiver.on_arrival = lambda: None
        again()
        assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"delivered"}
        row.refresh_from_db()
        assert row.rests_until is None


def test_of_a_huge_answer_only_the_beginning_is_read(cast, allowed):
    with receiving(answer(200, b"<b>x" * 200_000)) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        run_jobs()
    assert newest().state == "delivered"
    assert newest().answer == "<b>x" * 75


def test_an_answer_that_drips_ends_in_time_and_its_status_counts(cast, allowed, monkeypatch):
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.4)
    with receiving(b"HTTP/1.1 200 X\r\nContent-Length: 50\r\n\r\nslow") as receiver:
        receiver._answer = lambda connection, real=receiver._answer: (
            real(connection),
            receiver._over.wait(2),
        )
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        run_jobs()
        assert (newest().state, newest().answer) == ("delivered", "slow")


def test_who_says_gone_is_paused_and_staff_are_told(cast, allowed):
    with receiving(answer(410)) as receiver:
        row = an_endpoint(cast.rosa, receiver)
        happen(cast)
        happen(cast, "Second")
        run_all_jobs()
    row.refresh_from_db()
    assert (row.state, len(receiver.got)) == ("paused", 1)
    assert Mail.objects.filter(about="webhook_paused", to="rosa@alder.example").count() == 1
    with pytest.raises(WrongState) as refused:
        endpoints.send_test(cast.rosa, row.pk)
    assert refused.value.code == "webhook_paused"


def test_days_without_one_delivery_pause_it_and_what_waits_goes_on_when_it_is_resumed(cast, allowed):
    with receiving(answer(500), answer(500), answer(500), OK) as receiver:
        row = an_endpoint(cast.rosa, receiver)
        happen(cast)
        happen(cast, "Second")
        run_jobs()
        nearly_given_up(WebhookDelivery.objects.earliest("pk"))
        again()
        row.refresh_from_db()
        assert row.state == "paused"
        happen(cast, "While it was paused")
        endpoints.resume_endpoint(cast.rosa, row.pk)
        deliveries.find_events({})
        run_all_jobs()
    told = [event["data"]["target"]["label"] for event in receiver.events]
    assert told == ["Larch Films", "Second", "Larch Films", "Second"]
    assert list(WebhookDelivery.objects.order_by("pk").values_list("state", flat=True)) == [
        "failed",
        "delivered",
    ]


def test_after_quiet_weeks_a_new_event_is_tried_for_its_three_days_before_anything_is_paused(cast, allowed):
    with receiving(answer(503)) as receiver:
        row = an_endpoint(cast.rosa, receiver)
        happen(cast)
        run_jobs()
        nearly_given_up(newest())
        WebhookEndpoint.objects.update(failing_since=timezone.now())
        again()
        assert newest().state == "failed"
        WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=30))
        happen(cast, "A month later")
        run_jobs()
        endpoints.send_test(cast.rosa, row.pk)
        run_jobs()
        assert newest().state == "failed"
        event = WebhookDelivery.objects.get(state="waiting")
        for _ in deliveries.PAUSES_SECONDS:
            row.refresh_from_db()
            assert row.state == "active"
            again()
        event.refresh_from_db()
        row.refresh_from_db()
        assert (event.state, row.state) == ("failed", "paused")
        assert event.attempts == len(deliveries.PAUSES_SECONDS) + 1


def test_a_worker_that_dies_after_sending_sends_again_under_the_same_id(cast, allowed, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        with monkeypatch.context() as dying:
            dying.setattr(deliveries, "_note", die)
            with pytest.raises(Killed):
                deliveries.deliver({"delivery_id": newest().pk})
        assert newest().state == "waiting"
        run_jobs()
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert newest().state == "delivered"


def test_a_forgotten_delivery_is_found_and_an_old_one_is_forgotten(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        Job.objects.all().delete()
        WebhookDelivery.objects.update(next_try_at=timezone.now() - timedelta(minutes=2))
        deliveries.sweep_deliveries({})
        run_jobs()
        assert newest().state == "delivered"
    WebhookDelivery.objects.update(created_at=timezone.now() - deliveries.KEPT_FOR - timedelta(hours=1))
    deliveries.sweep_deliveries({})
    assert not WebhookDelivery.objects.exists()


def test_a_restored_copy_sends_nothing_until_a_person_has_confirmed(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        Installation.objects.update_or_create(defaults={"restored_at": timezone.now(), "confirmed_at": None})
        run_jobs()
        assert receiver.got == []
        Installation.objects.update(confirmed_at=timezone.now())
        WebhookDelivery.objects.update(next_try_at=timezone.now() - timedelta(minutes=2))
        deliveries.sweep_deliveries({})
        run_jobs()
    assert len(receiver.got) == 1


def test_an_event_found_again_has_the_same_id(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        first = newest().webhook_id
        WebhookDelivery.objects.all().delete()
        deliveries.find_events({})
        assert newest().webhook_id == first


def test_both_secrets_are_valid_for_a_while_and_neither_is_kept_open(cast, allowed):
    with receiving(OK) as receiver:
        row = an_endpoint(cast.rosa, receiver)
        old = row.new_secret.reveal()
        new = endpoints.rotate_secret(cast.rosa, row.pk).new_secret.reveal()
        happen(cast)
        run_jobs()
        WebhookEndpoint.objects.update(previous_until=timezone.now())
        happen(cast, "Later")
        run_jobs()
    both, later = receiver.got
    assert is_signed(old, *both)
    assert is_signed(new, *both)
    assert not is_signed(old, *later)
    assert is_signed(new, *later)
    with connection.cursor() as cursor:
        for table in ("notices_webhookendpoint", "notices_webhookdelivery", "journal_entry", "jobs_job"):
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608
            assert old not in str(cursor.fetchall())


def test_a_secret_that_comes_back_is_not_shown(cast, allowed, caplog):
    with receiving(OK) as receiver:
        row = an_endpoint(cast.rosa, receiver)
        secret = row.new_secret.reveal()
        receiver._answers = iter([answer(500, f"{secret} and {secret[6:]}".encode())])
        happen(cast)
        run_jobs()
    assert newest().answer == "… and …"
    assert secret[6:] not in caplog.text


def test_redelivery_sends_the_same_again(cast, allowed):
    with receiving(OK) as receiver:
        an_endpoint(cast.rosa, receiver)
        happen(cast)
        run_jobs()
        with pytest.raises(NotHere):
            endpoints.redeliver(cast.tam, newest().pk)
        endpoints.redeliver(cast.rosa, newest().pk)
        run_jobs()
    assert receiver.got[0][1] == receiver.got[1][1]
    assert len(set(receiver.ids)) == 1


def test_others_neither_see_nor_touch_it(cast, allowed):
    with receiving(OK) as receiver:
        row = an_endpoint(cast.rosa, receiver)
    for stranger in (cast.tam, cast.ines, cast.mara):
        assert not queries.endpoints_visible_to(stranger).exists()
        for deed in (endpoints.pause_endpoint, endpoints.rotate_secret, endpoints.send_test):
            with pytest.raises(NotHere):
                deed(stranger, row.pk)
    with pytest.raises(NotAllowed):
        endpoints.pause_endpoint(cast.ivo, row.pk)


def test_webhooks_of_clients_wait_in_lanes_of_their_own(cast, allowed):
    """So silent ones of clients hold up no delivery of the house."""
    with receiving(OK) as receiver:
        for who in (cast.rosa, cast.mara):
            endpoints.send_test(who, an_endpoint(who, receiver, kinds=("service.saved",)).pk)
    lanes = [lane.partition(":")[0] for lane in Job.objects.order_by("pk").values_list("lane", flat=True)]
    assert lanes == ["webhooks", "webhooks-of-clients"]


def test_a_client_without_news_is_not_looked_at_and_does_not_fall_behind(cast, allowed, monkeypatch):
    monkeypatch.setattr(deliveries, "BITE", 3)
    with receiving(OK) as receiver:
        for _ in range(4):
            an_endpoint(cast.mara, receiver, kinds=("service.saved",))
        WebhookEndpoint.objects.update(read_to=Entry.objects.latest("pk").pk)
        for number in range(5):
            organisations.create_client(cast.tam, name=f"Birch {number}")
        looked_at = []
        monkeypatch.setattr(deliveries, "_find_for", lambda pk, settled: looked_at.append(pk) or 0)
        deliveries.find_events({})
        assert looked_at == []
        monkeypatch.setattr(deliveries, "newest_id_before", lambda moment: Entry.objects.latest("pk").pk)
        deliveries.find_events({})
        assert set(WebhookEndpoint.objects.values_list("read_to", flat=True)) == {
            Entry.objects.latest("pk").pk
        }


def test_a_clients_people_manage_its_own_and_read_of_its_pause(cast, allowed):
    with receiving(answer(410)) as receiver:
        row = an_endpoint(cast.mara, receiver, kinds=("service.saved",))
        assert row.client_id == cast.quillfeather.pk
        record.write(
            cast.rosa,
            "service.saved",
            ("service", 41),
            target_label="S",
            service_id=41,
            client_id=row.client_id,
        )
        deliveries.find_events({})
        run_all_jobs()
    (mail,) = Mail.objects.filter(about="webhook_paused")
    assert mail.to in ("mara@quillfeather.example", cast.quillfeather.email)
    for word in ("Setup", "DOUBLEHOP", "upstream"):
        assert word not in mail.body
    endpoints.resume_endpoint(cast.mara, row.pk)
    for stranger in (cast.lena, cast.tam):
        with pytest.raises(NotHere):
            endpoints.rotate_secret(stranger, row.pk)
    with pytest.raises(BadInput):
        endpoints.change_endpoint(cast.mara, row.pk, EndpointChange(kinds=["mail.failed"]))


def test_a_name_that_leads_inside_says_to_the_operator_how_it_is_opened_and_to_nobody_else(cast, monkeypatch):
    monkeypatch.setattr(wire, "resolve", lambda *_: ["10.0.0.1"])
    for who, word in ((cast.ines, True), (cast.rosa, False), (cast.mara, False)):
        row = endpoints.create_endpoint(
            who, EndpointForm("https://hooks.example.org/", kinds=["service.saved"])
        )
        endpoints.send_test(who, row.pk)
        run_jobs()
        assert ("DOUBLEHOP_WEBHOOK_NETWORKS" in newest().failure_text) is word
        assert "private" in newest().failure_text


def test_a_test_is_sent_at_once_and_only_once(cast, allowed):
    with receiving(b"", OK) as receiver:
        row = an_endpoint(cast.rosa, receiver)
        endpoints.send_test(cast.rosa, row.pk)
        run_all_jobs()
        assert (newest().state, newest().attempts) == ("failed", 1)
        row.refresh_from_db()
        assert row.rests_until > timezone.now()
        endpoints.send_test(cast.rosa, row.pk)
        run_jobs()
        assert newest().state == "delivered", "it does not wait until the rest is over"


def test_every_event_stands_in_one_group(cast):
    for of_client in (True, False):
        listed = [kind for _, events in groups_for(of_client=of_client) for kind in events]
        assert sorted(listed) == sorted(kinds_for(of_client=of_client))


# ---------------------------------------------------------------- where it may go

FORBIDDEN = (
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fec0::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2001:db8::1",
)  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_name_that_leads_inside_is_not_asked(address, monkeypatch):
    for found in ([address], ["93.184.216.34", address]):
        monkeypatch.setattr(wire, "resolve", lambda *_, found=found: found)
        with pytest.raises(sending.NotAllowedThere):
            sending.post("https://hooks.example.org/", {}, b"{}", is_operators=True)


@pytest.mark.parametrize("url", ["http://hooks.example.org/", "https://hooks.example.org:8443/"])
def test_elsewhere_only_https_on_443(url, monkeypatch, settings):
    settings.DOUBLEHOP_WEBHOOK_NETWORKS = LOOPBACK
    monkeypatch.setattr(wire, "resolve", lambda *_: ["93.184.216.34"])
    with pytest.raises(sending.NotAllowedThere):
        sending.post(url, {}, b"{}", is_operators=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/", "https://hooks.example.org:22/", "https://user:pw@hooks.example.org/", "ftp://a.example/",
        "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https:///x", "https://a.example:99999/", "x",
        "https://a.example/\r\nX: y", "https://a\\b.example/", "https://a.example/#x", "https://[::1", "https://a.example/" + "x" * 500,
    ],
)  # fmt: skip
def test_an_address_that_can_never_be_asked_is_refused_at_once(cast, url):
    with pytest.raises(BadInput) as refused:
        endpoints.create_endpoint(cast.rosa, EndpointForm(url, kinds=("client.created",)))
    assert refused.value.field == "url"


def test_networks_of_the_operator_are_open_to_its_own_webhooks_alone(cast, settings, monkeypatch):
    settings.DOUBLEHOP_WEBHOOK_NETWORKS = LOOPBACK
    of_its_client = organisations.create_client(cast.ines, name="Tern Mills")
    with receiving(OK) as receiver:
        inside = f"http://127.0.0.1:{receiver.port}/"
        hook = EndpointForm(inside, kinds=["service.saved"])
        for who, form in (
            (cast.rosa, hook),
            (cast.mara, hook),
            (cast.ines, replace(hook, client_id=of_its_client.pk)),
        ):
            with pytest.raises(BadInput) as refused:
                endpoints.create_endpoint(who, form)
            assert refused.value.code == "address_not_allowed"
            # Nor under a name, nor where it was set before.
            row = endpoints.create_endpoint(who, replace(form, url="https://hooks.example.org/"))
            WebhookEndpoint.objects.filter(pk=row.pk).update(url=inside)
            endpoints.send_test(who, row.pk)
            run_jobs()
            assert "private" in newest().failure_text
        assert receiver.got == []
        endpoints.send_test(cast.ines, endpoints.create_endpoint(cast.ines, hook).pk)
        run_jobs()
    assert (len(receiver.got), newest().state) == (1, "delivered")


def test_the_address_that_was_checked_is_the_one_that_is_asked(cast, allowed, monkeypatch):
    """The name is looked up once at each delivery; a second look could be answered otherwise."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    monkeypatch.setattr(wire, "resolve", lambda *_: answers.pop(0))
    with receiving(OK) as receiver:
        url = f"http://hooks.example.org:{receiver.port}/"
        endpoints.create_endpoint(cast.rosa, EndpointForm(url, kinds=("client.created",)))
        happen(cast)
        run_jobs()
        assert receiver.got[0][0]["host"] == f"hooks.example.org:{receiver.port}"
        assert answers == [["10.0.0.1"]]
        happen(cast, "Now it leads inside")
        run_jobs()
    assert len(receiver.got) == 1
    assert "private" in newest().failure_text
