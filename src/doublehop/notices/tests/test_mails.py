"""A mail is stored before it is sent, goes out under one brand, is tried patiently, and keeps no secret."""

import smtplib
from datetime import timedelta

import pytest
from django.core import mail as outbox
from django.utils import timezone
from tests.cast import a_cast
from tests.stage import run_all_jobs, run_jobs

from doublehop.driver_kit.secret import Secret
from doublehop.jobs.models import Job
from doublehop.journal.models import Entry
from doublehop.notices import actions, queries, work
from doublehop.notices.models import Mail
from doublehop.organisations import vault
from doublehop.organisations.actor import SYSTEM, Duty
from doublehop.organisations.models import Brand, User
from doublehop.organisations.refusals import NotHere

pytestmark = pytest.mark.django_db
SECRET = "hunter2-of-the-machine"


@pytest.fixture
def cast():
    return a_cast()


@pytest.fixture
def server(settings):
    settings.DOUBLEHOP_SENDS_MAIL = True
    settings.DOUBLEHOP_MAIL_FROM = "no-reply@mail.example"


def write(cast, **more):
    values = {
        "organisation_id": cast.alder.pk,
        "to": "mara@quillfeather.example",
        "subject": "Your server is ready",
        "body": "Hello",
        "about": "welcome",
        "key": "welcome:1",
        **more,
    }
    return actions.write(**values)


def a_secret_mail(cast):
    return write(cast, body=f"Password: {actions.mark('password')}", secrets={"password": Secret(SECRET)})


class Broken:
    """A mail server that answers with what it is told to."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def send_messages(self, messages):
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return len(messages)


def answering(monkeypatch, *answers):
    broken = Broken(*answers)
    monkeypatch.setattr(work, "get_connection", lambda: broken)
    return broken


def test_it_goes_out_under_the_brand(cast, server):
    write(cast)
    run_jobs()
    (sent,) = outbox.outbox
    assert (sent.from_email, sent.to) == (
        "Alder Hosting <support@alder.example>",
        ["mara@quillfeather.example"],
    )
    assert sent.message()["Message-ID"].endswith("@alder.example>"), (
        "and names no machine of the installation"
    )
    mail = Mail.objects.get()
    assert (mail.state, mail.attempts, mail.sent_at is not None) == ("sent", 1, True)
    line = Entry.objects.get(verb="mail.sent")
    assert (line.target_label, line.sentence) == ("Your server is ready", "to mara@quillfeather.example")


def test_a_brand_without_an_address_writes_from_that_of_the_installation(cast, server):
    Brand.objects.filter(organisation=cast.alder).update(support_email="", name='Alder "Hosting", Ltd. Köln')
    write(cast)
    run_jobs()
    (sent,) = outbox.outbox
    assert "no-reply@mail.example" in sent.message()["From"]
    assert "support" not in sent.message()["From"]


def test_one_occasion_is_written_about_once(cast, server):
    first = write(cast)
    assert write(cast, body="Another") == first
    run_jobs()
    assert write(cast) == first
    run_jobs()
    assert len(outbox.outbox) == 1


def test_without_a_mail_server_it_is_kept_and_its_secret_is_gone(cast):
    mail = a_secret_mail(cast)
    assert mail.sealed_secrets
    run_jobs()
    mail.refresh_from_db()
    assert (mail.state, mail.sealed_secrets, outbox.outbox) == ("kept", "", [])
    assert queries.mail(cast.rosa, mail.pk).body == "Password: [password: only in the mail itself]"


def test_a_secret_is_in_what_is_sent_and_nowhere_else(cast, server, caplog):
    mail = a_secret_mail(cast)
    assert SECRET not in str(Mail.objects.values())
    assert SECRET not in str(list(Job.objects.values()))
    run_jobs()
    assert outbox.outbox[0].body == f"Password: {SECRET}"
    mail.refresh_from_db()
    assert mail.sealed_secrets == ""
    assert SECRET not in str(Mail.objects.values()) + str(list(Entry.objects.values())) + caplog.text


def test_a_secret_that_no_key_opens_fails_and_is_not_sent_half(cast, server):
    mail = a_secret_mail(cast)
    Mail.objects.update(sealed_secrets=vault.seal({"password": Secret(SECRET)}, row="upstream"))
    run_jobs()
    mail.refresh_from_db()
    assert (mail.state, outbox.outbox) == ("failed", [])


def test_new_keys_reseal_what_waits(cast):
    mail = a_secret_mail(cast)
    before = mail.sealed_secrets
    assert actions.reseal_mails() == 1
    mail.refresh_from_db()
    assert mail.sealed_secrets != before
    assert vault.unseal(mail.sealed_secrets, row="mail")["password"].reveal() == SECRET


@pytest.mark.parametrize(
    "subject",
    [
        "Ready\nBcc: everybody@example.org",
        "Ready\r\nBcc: x@example.org",
        "Ready\x00\x0bBcc: x@example.org",
        "Ready Bcc:",
    ],
)
def test_nothing_slips_into_the_headers(cast, server, subject):
    Brand.objects.filter(organisation=cast.alder).update(name="Alder\r\nBcc: everybody@example.org")
    write(cast, subject=subject)
    run_jobs()
    message = outbox.outbox[0].message()
    assert message["Bcc"] is None
    assert outbox.outbox[0].recipients() == ["mara@quillfeather.example"]
    assert "\n" not in message["Subject"]


@pytest.mark.parametrize(
    "to",
    [
        "",
        "   ",
        "mara",
        "mara@quillfeather.example\nBcc: x@example.org",
        "a@b.example, c@d.example",
        "x" * 250 + "@b.example",
    ],
)
def test_what_is_no_address_is_nobody(cast, to):
    assert write(cast, to=to) is None
    assert not Mail.objects.exists()


def test_it_is_tried_again_with_pauses_and_then_it_has_failed(cast, server, monkeypatch):
    mail = a_secret_mail(cast)
    answering(monkeypatch, *[ConnectionRefusedError()] * 99)
    run_jobs()
    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == ("waiting", 1)
    assert mail.failure_text == "The mail server cannot be reached: ConnectionRefusedError."
    pause = (Job.objects.get().run_at - timezone.now()).total_seconds()
    assert work.PAUSES_SECONDS[0] - 5 < pause <= work.PAUSES_SECONDS[0]
    run_all_jobs()
    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.sealed_secrets) == ("failed", len(work.PAUSES_SECONDS) + 1, "")
    assert Entry.objects.get(verb="mail.failed").result == "failed"


def test_a_mail_server_that_comes_back_gets_it(cast, server, monkeypatch):
    mail = write(cast)
    answering(
        monkeypatch, smtplib.SMTPServerDisconnected("gone"), smtplib.SMTPResponseException(451, b"later")
    )
    run_all_jobs()
    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.failure_text) == ("sent", 3, "")


@pytest.mark.parametrize(("code", "state", "attempts"), [(550, "failed", 1), (450, "sent", 2)])
def test_an_address_that_is_refused_for_good_is_not_asked_again(
    cast, server, monkeypatch, code, state, attempts
):
    mail = write(cast)
    answering(monkeypatch, smtplib.SMTPRecipientsRefused({mail.to: (code, b"no such\r\nperson")}))
    run_all_jobs()
    mail.refresh_from_db()
    assert (mail.state, mail.attempts) == (state, attempts)
    if state == "failed":
        assert mail.failure_text == f"{code} no such person"


def test_a_refused_login_does_not_tell_the_login(cast, server, monkeypatch):
    mail = write(cast)
    answering(monkeypatch, smtplib.SMTPAuthenticationError(535, b"wrong password hunter2"))
    run_jobs()
    mail.refresh_from_db()
    assert mail.failure_text == "The mail server refuses our login."


def test_what_nobody_rings_for_is_found_and_what_waits_is_let_wait(cast, server, monkeypatch):
    mail = write(cast)
    Job.objects.all().delete()
    work.sweep({})
    assert not Job.objects.exists(), "it was written a moment ago"
    Mail.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    answering(monkeypatch, ConnectionRefusedError())
    work.sweep({})
    run_jobs()
    next_try = Job.objects.get().run_at
    work.sweep({})
    assert Job.objects.get().run_at == next_try
    run_all_jobs()
    mail.refresh_from_db()
    assert mail.state == "sent"


def test_staff_who_may_act_are_told_once_each(cast):
    def tell(duty):
        return actions.tell_staff(
            organisation_id=cast.alder.pk,
            duty=duty,
            subject="S-1 waits",
            body="It waits.",
            about="x",
            key="k",
        )

    assert (tell(Duty.GOVERN), tell(Duty.OPERATE)) == (1, 2)
    assert tell(Duty.OPERATE) == 2
    assert sorted(Mail.objects.values_list("to", flat=True)) == ["ivo@alder.example", "rosa@alder.example"]
    User.objects.filter(pk=cast.ivo.user_id).update(is_active=False)
    assert tell(Duty.OPERATE) == 1


def test_only_the_staff_of_the_organisation_read_its_mails(cast):
    mail = write(cast)
    assert list(queries.mails_visible_to(cast.rosa)) == list(queries.mails_visible_to(SYSTEM)) == [mail]
    for stranger in (cast.mara, cast.tam, cast.ines):
        assert not queries.mails_visible_to(stranger).exists()
        with pytest.raises(NotHere):
            queries.mail(stranger, mail.pk)
