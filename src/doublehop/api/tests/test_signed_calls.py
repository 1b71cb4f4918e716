"""A billing system signs its calls: nothing of them can be changed, said twice, or said by its copy."""

import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from tests.cast import a_cast
from tests.signing import COPY, HERE, headers, signed_get, signed_post
from tests.stage import a_product, a_service, a_stage, run_jobs

from doublehop.fleet.actions import reseal_secrets
from doublehop.journal.models import Entry
from doublehop.notices.models import Mail
from doublehop.organisations import actions
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.actions.installations import MOST_OTHERS, NONCES_KEPT_FOR, forget_old_nonces
from doublehop.organisations.models import ApiToken, OtherInstallation, UsedNonce
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState
from doublehop.organisations.throttle import MOST_BY_CREDENTIAL
from doublehop.services.models import Operation
from doublehop.services.queries import needs_a_person

pytestmark = pytest.mark.django_db
LIST = "/api/v1/services"
EVERYTHING = ("read", "operate", "billing")


@pytest.fixture
def cast():
    cache.clear()
    return a_cast()


def billing_token(staff, *, scopes=EVERYTHING, signed_only=True, **more):
    form = TokenForm("Shop", scopes, billing_system="WHMCS", signed_only=signed_only, **more)
    return actions.create_token(staff, form)


def text_of(row):
    return row.shown.reveal()


def told(answer):
    return answer.status_code, answer.json()["code"]


def lines(verb):
    return list(Entry.objects.filter(verb=verb))


# ---------------------------------------------------------------- the signature


def test_a_signed_call_is_the_billing_systems_own(cast):
    a_stage(cast.rosa).machines("web")
    row = billing_token(cast.rosa)
    answer = signed_get(text_of(row), "/api/v1/servers?limit=1&after=0")
    assert (answer.status_code, len(answer.json()["items"])) == (200, 1)
    row.refresh_from_db()
    assert (row.installation, row.last_used_from) == (HERE, "127.0.0.1")
    assert [line.actor_label for line in lines("api_token.bound")] == ["API token Shop"]


def test_a_write_is_signed_with_its_body(cast):
    (web,) = a_stage(cast.rosa).machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, ways=["port"]), web)
    text, path = text_of(billing_token(cast.rosa)), f"/api/v1/services/{service.pk}/operations"
    asked = {"kind": "suspend", "reason": "Invoice 7"}
    assert signed_post(text, path, asked, key="one").status_code == 202
    # The same key under a new signature is the same operation: that is how a lost answer is asked for again.
    assert signed_post(text, path, asked, key="one").status_code == 202
    assert Operation.objects.count() == 1
    body = b'{"kind": "terminate", "reason": "Invoice 7"}'
    changed = {**headers(text, "POST", path, b'{"kind": "suspend"}'), "Idempotency-Key": "two"}
    assert told(Client().post(path, body, content_type="application/json", headers=changed)) == (
        401,
        "not_signed_in",
    )
    assert Operation.objects.count() == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"sent_timestamp": "1"},
        {"sent_nonce": "x" * 20},
        {"sent_installation": COPY},
        {"sent_signature": "A" * 43 + "="},
        {"sent_signature": "=" * 44},
        {"sent_handle": "a" * 10},
        {"sent_nonce": "short"},
        {"sent_installation": "short"},
        {"sent_installation": ""},
        {"sent_timestamp": "-1"},
        {"sent_timestamp": "9" * 30},
        {"sent_handle": 'a", handle="b'},
    ],
)
def test_nothing_of_it_can_be_changed_or_left_out(cast, changed):
    text = text_of(billing_token(cast.rosa))
    answer = signed_get(text, LIST, **changed)
    assert answer.status_code == 401
    assert answer.json()["code"] in {"not_signed_in", "unreadable_signature"}
    assert "Doublehop-HMAC-SHA256" in answer["WWW-Authenticate"]
    assert ApiToken.objects.get().installation == ""
    assert not UsedNonce.objects.exists()


def test_another_address_or_method_is_another_call(cast):
    text = text_of(billing_token(cast.rosa))
    for path in (f"{LIST}?limit=1", "/api/v1/servers"):
        assert told(Client().get(path, headers=headers(text, "GET", LIST))) == (401, "not_signed_in")
    assert told(Client().get(LIST, headers=headers(text, "POST", LIST))) == (401, "not_signed_in")


@pytest.mark.parametrize(
    "authorization",
    [
        "Doublehop-HMAC-SHA256",
        "Doublehop-HMAC-SHA256 ",
        "Doublehop-HMAC-SHA256 handle",
        "Doublehop-HMAC-SHA256 handle=a, handle=b, timestamp=1, nonce=c, signature=d",
        "Doublehop-HMAC-SHA256 ,,,,",
        "doublehop-hmac-sha256 \u00e4=1",
    ],
)
def test_what_cannot_be_read_says_how_it_is_written(cast, authorization):
    answer = Client().get(LIST, headers={"Authorization": authorization, "Doublehop-Installation": HERE})
    assert told(answer) == (401, "unreadable_signature")


def test_a_clock_that_is_wrong_is_told_ours(cast):
    text = text_of(billing_token(cast.rosa))
    for away in (-301, 302):
        answer = signed_get(text, LIST, timestamp=str(int(time.time()) + away))
        assert told(answer) == (401, "clock_skew")
        assert abs((timezone.now() - timezone.datetime.fromisoformat(answer.json()["now"])).seconds) < 10
    for away in (-295, 295):
        assert signed_get(text, LIST, timestamp=str(int(time.time()) + away)).status_code == 200


def test_what_was_overheard_is_not_taken_again(cast):
    text, other = text_of(billing_token(cast.rosa)), text_of(billing_token(cast.rosa))
    overheard = headers(text, "GET", LIST)
    assert Client().get(LIST, headers=overheard).status_code == 200
    assert told(Client().get(LIST, headers=overheard)) == (401, "replayed")
    # A nonce is the token's own.
    nonce = overheard["Authorization"].partition("nonce=")[2].partition(",")[0]
    assert signed_get(other, LIST, nonce=nonce).status_code == 200


def test_nonces_are_forgotten_when_no_time_stamp_fits_any_more(cast):
    row = billing_token(cast.rosa)
    signed_get(text_of(row), LIST)
    assert forget_old_nonces() == 0
    UsedNonce.objects.update(at=timezone.now() - NONCES_KEPT_FOR - timedelta(seconds=1))
    assert (forget_old_nonces(), UsedNonce.objects.count()) == (1, 0)


def test_guessing_waits_and_a_wrong_clock_does_not(cast):
    text = text_of(billing_token(cast.rosa))
    for _ in range(MOST_BY_CREDENTIAL + 1):
        assert told(signed_get(text, LIST, timestamp="1000000000"))[1] == "clock_skew"
    for _ in range(MOST_BY_CREDENTIAL):
        assert told(signed_get(text, LIST, sent_nonce="y" * 20)) == (401, "not_signed_in")
    answer = signed_get(text, LIST)
    assert told(answer) == (429, "too_many_attempts")
    assert "Retry-After" in answer


def test_a_body_that_is_too_large_is_refused_before_it_is_hashed(cast):
    text = text_of(billing_token(cast.rosa))
    answer = signed_post(text, f"{LIST}/1/operations", {"kind": "x" * 1_100_000}, key="one")
    assert told(answer) == (413, "unreadable")


# ---------------------------------------------------------------- the token


def test_a_token_for_signed_calls_is_refused_as_it_is_until_staff_say_otherwise(cast):
    row = billing_token(cast.rosa)
    bearer = Client(headers={"Authorization": f"Bearer {text_of(row)}"})
    assert told(bearer.get(LIST)) == (401, "signature_needed")
    wrong = text_of(row)[:-1] + ("a" if text_of(row)[-1] != "a" else "b")
    assert told(Client(headers={"Authorization": f"Bearer {wrong}"}).get(LIST)) == (401, "not_signed_in")
    actions.choose_signed_only(cast.rosa, row.pk, signed_only=False)
    assert bearer.get(LIST).status_code == 200
    assert signed_get(text_of(row), LIST).status_code == 200
    with pytest.raises(NotAllowed):
        actions.choose_signed_only(cast.ivo, row.pk, signed_only=True)


def test_only_a_billing_system_signs(cast):
    row = actions.create_token(cast.rosa, TokenForm("Shop", EVERYTHING))
    assert told(signed_get(text_of(row), LIST)) == (401, "not_signed_in")
    with pytest.raises(WrongState):
        actions.choose_signed_only(cast.rosa, row.pk, signed_only=True)
    with pytest.raises(BadInput):
        actions.create_token(cast.rosa, TokenForm("Shop", EVERYTHING, signed_only=True))


def test_the_secret_is_sealed_and_revoking_erases_it(cast):
    row = billing_token(cast.rosa)
    secret = text_of(row).rpartition("_")[2]
    assert secret not in str(ApiToken.objects.values().get())
    actions.revoke_token(cast.rosa, row.pk)
    assert told(signed_get(text_of(row), LIST)) == (401, "not_signed_in")
    assert ApiToken.objects.get().sealed_secrets == ""


def test_expired_from_elsewhere_and_under_a_strange_name_it_is_refused(cast):
    row = billing_token(cast.rosa, networks=["192.0.2.0/24"])
    assert told(signed_get(text_of(row), LIST)) == (401, "not_signed_in")
    ApiToken.objects.update(networks=[], expires_at=timezone.now() - timedelta(seconds=1))
    assert told(signed_get(text_of(row), LIST)) == (401, "not_signed_in")


@pytest.mark.parametrize("hours", [0, 1])
def test_the_old_secret_ends_at_once_or_after_the_chosen_time(cast, hours):
    row = billing_token(cast.rosa, signed_only=False)
    new = actions.rotate_token(cast.rosa, row.pk, old_for_hours=hours)
    bearer = Client(headers={"Authorization": f"Bearer {text_of(row)}"})
    assert signed_get(text_of(new), LIST).status_code == 200
    assert (
        signed_get(text_of(row), LIST).status_code == bearer.get(LIST).status_code == (200 if hours else 401)
    )
    ApiToken.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    assert signed_get(text_of(row), LIST).status_code == bearer.get(LIST).status_code == 401
    with pytest.raises(BadInput):
        actions.rotate_token(cast.rosa, row.pk, old_for_hours=7)


def test_a_new_secret_key_ends_the_text_and_not_the_signature(cast, settings):
    row = billing_token(cast.rosa, signed_only=False)
    bearer = Client(headers={"Authorization": f"Bearer {text_of(row)}"})
    settings.SECRET_KEY = "another-" + "x" * 40
    assert (bearer.get(LIST).status_code, signed_get(text_of(row), LIST).status_code) == (401, 200)
    reseal_secrets()
    cache.clear()
    assert (bearer.get(LIST).status_code, signed_get(text_of(row), LIST).status_code) == (200, 200)


# ---------------------------------------------------------------- its copy


def test_a_copied_billing_system_is_noticed_at_its_first_call_and_the_original_goes_on(cast):
    (web,) = a_stage(cast.rosa).machines("web")
    service = a_service(cast.rosa, cast.quillfeather.pk, a_product(cast.rosa, ways=["port"]), web)
    text, path = text_of(billing_token(cast.rosa)), f"/api/v1/services/{service.pk}/operations"
    assert signed_get(text, LIST).status_code == 200
    stopped = signed_post(text, path, {"kind": "suspend", "reason": "Old"}, key="one", installation=COPY)
    assert told(stopped) == (409, "other_installation")
    service.refresh_from_db()
    assert (service.status, Operation.objects.count()) == ("active", 0)
    assert signed_post(text, path, {"kind": "suspend", "reason": "New"}, key="one").status_code == 202
    assert ApiToken.objects.get().installation == HERE

    for _ in range(3):
        assert told(signed_get(text, LIST, installation=COPY)) == (409, "other_installation")
    (line,) = lines("api_token.other_installation")
    assert (line.result, line.organisation_id) == ("refused", cast.alder.pk)
    run_jobs()
    mails = Mail.objects.filter(about="other_installation")
    assert [(mail.to, "WHMCS" in mail.subject) for mail in mails] == [("rosa@alder.example", True)]
    (need,) = [need for need in needs_a_person(cast.rosa) if need.kind == "token"]
    assert "A copy of WHMCS called" in need.heading
    assert [need for need in needs_a_person(cast.tam) if need.kind == "token"] == []


def test_staff_accept_the_new_installation_and_the_old_one_is_the_copy_then(cast):
    row = billing_token(cast.rosa)
    signed_get(text_of(row), LIST)
    signed_get(text_of(row), LIST, installation=COPY)
    other = OtherInstallation.objects.get()
    with pytest.raises(NotAllowed):
        actions.accept_installation(cast.ivo, row.pk, other.pk)
    with pytest.raises(NotHere):
        actions.accept_installation(cast.tam, row.pk, other.pk)
    with pytest.raises(NotHere):
        actions.accept_installation(cast.rosa, billing_token(cast.rosa).pk, other.pk)
    actions.accept_installation(cast.rosa, row.pk, other.pk)
    assert signed_get(text_of(row), LIST, installation=COPY).status_code == 200
    assert told(signed_get(text_of(row), LIST)) == (409, "other_installation")
    assert [one.fingerprint for one in OtherInstallation.objects.all()] == [HERE]
    with pytest.raises(NotHere):
        actions.accept_installation(cast.rosa, row.pk, other.pk)


def test_a_copy_that_staff_know_of_waits_for_nobody_and_stays_refused(cast):
    row = billing_token(cast.rosa)
    signed_get(text_of(row), LIST)
    signed_get(text_of(row), LIST, installation=COPY)
    for _ in range(2):
        actions.keep_refusing(cast.rosa, row.pk, OtherInstallation.objects.get().pk)
    assert len(lines("api_token.copy_dismissed")) == 1
    assert [need for need in needs_a_person(cast.rosa) if need.kind == "token"] == []
    assert told(signed_get(text_of(row), LIST, installation=COPY)) == (409, "other_installation")
    assert len(lines("api_token.other_installation")) == 1


def test_a_caller_that_changes_its_fingerprint_fills_no_table(cast):
    text = text_of(billing_token(cast.rosa))
    signed_get(text, LIST)
    for number in range(MOST_OTHERS + 2):
        assert told(signed_get(text, LIST, installation=f"made-up-{number}"))[0] == 409
    assert OtherInstallation.objects.count() == len(lines("api_token.other_installation")) == MOST_OTHERS
