"""Upstreams: settings, arming, and the questions that the worker answers."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from doublehop.driver_kit import forms, registry
from doublehop.driver_kit.contract import Driver, FieldKind, SettingField, Values
from doublehop.driver_kit.secret import Secret
from doublehop.fleet.models import Server, Upstream
from doublehop.fleet.queries import upstream
from doublehop.jobs.actions import ring
from doublehop.notices import actions as notices
from doublehop.notices import deliveries
from doublehop.organisations import actions as organisations
from doublehop.organisations import record, texts, vault
from doublehop.organisations.actor import SYSTEM, Actor, Duty
from doublehop.organisations.models import Organisation
from doublehop.organisations.once import once
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, NotOffered, WrongState

LONGEST_ENDPOINT = 200


class BadSettings(BadInput):
    """Several fields at once: ``errors`` holds one sentence per field name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("Some settings need another look.", field=next(iter(errors)))
        self.errors = dict(errors)


def lane_of(upstream_id: int) -> str:
    return f"upstream:{upstream_id}"


def lane_of_lists(upstream_id: int) -> str:
    """For what a list of servers sets off: a thousand looks must not hold up the one that somebody waits for."""
    return f"{lane_of(upstream_id)}:lists"


def require_set_up(actor: Actor) -> int:
    """The organisation whose upstreams and products the actor may change."""
    if not actor.is_staff:
        raise NotHere
    if not actor.has(Duty.SET_UP):
        raise NotAllowed("Needs the role admin or owner.")
    return actor.organisation_id


def locked_upstream(actor: Actor, upstream_id: int) -> Upstream:
    organisation_id = require_set_up(actor)
    row = Upstream.objects.select_for_update().filter(pk=upstream_id, organisation_id=organisation_id).first()
    if row is None:
        raise NotHere
    return row


def driver_named(name: str) -> Driver:
    if name not in registry.names():
        raise BadInput("Choose one of the kinds offered.", field="driver")
    return registry.load(name)


def split_secrets(values: Values) -> tuple[dict[str, object], dict[str, Secret]]:
    """Plain values for the JSON column, secrets for the vault."""
    plain = {name: value for name, value in values.items() if not isinstance(value, Secret)}
    secrets = {name: value for name, value in values.items() if isinstance(value, Secret)}
    return {n: list(v) if isinstance(v, tuple) else v for n, v in plain.items()}, secrets


def parse_or_refuse(
    fields: tuple[SettingField, ...], raw: Mapping[str, str], kept: Mapping[str, Secret]
) -> Values:
    values, errors = forms.parse(fields, raw, kept=kept)
    if errors:
        raise BadSettings(errors)
    return values


@once("upstream.create", again=upstream)
@transaction.atomic
def create_upstream(
    actor: Actor, *, driver: str, name: str, values: Mapping[str, str], key: str = ""
) -> Upstream:
    """``values`` are raw form texts by field name. The new upstream observes only until staff arm it."""
    organisation_id = require_set_up(actor)
    declared = driver_named(driver)
    parsed = parse_or_refuse(declared.settings, values, {})
    row = Upstream(organisation_id=organisation_id, driver=driver, name=texts.name_of(name, 80))
    _apply(row, declared, parsed)
    _save(row)
    record.write(actor, "upstream.created", ("upstream", row.pk), target_label=row.name)
    ask_test(actor, row.pk)
    ask_sync(actor, row.pk)
    return row


@transaction.atomic
def update_upstream(actor: Actor, upstream_id: int, *, name: str, values: Mapping[str, str]) -> Upstream:
    """An empty secret keeps the old one, unless the endpoint changed: secrets belong to the host they were given for."""
    row = locked_upstream(actor, upstream_id)
    declared = registry.load(row.driver)
    kept = vault.unseal(row.sealed_secrets, row="upstream")
    if declared.endpoint_field and values.get(declared.endpoint_field, "") != row.endpoint:
        kept = {}
    parsed = parse_or_refuse(declared.settings, values, kept)
    row.name = texts.name_of(name, 80)
    _apply(row, declared, parsed)
    row.failing_since, row.failed_at, row.failure_code, row.failure_text = None, None, "", ""
    _forget_test(row)
    _save(row)
    record.write(actor, "upstream.changed", ("upstream", row.pk), target_label=row.name)
    ask_test(actor, row.pk)
    ask_sync(actor, row.pk)
    return row


@transaction.atomic
def find_or_make_upstream(
    actor: Actor, driver: str, values: Mapping[str, str], name: str, arm: bool
) -> tuple[Upstream, bool]:
    """The one upstream that these settings belong to, with them in it, and whether it is new. Tests it and reads its list.

    The kind, the endpoint and the account tell upstreams apart. ``values`` are raw form texts; an empty secret keeps the
    stored one. ``name`` is for a new one; empty, it is named after host and account. ``arm``: to be armed by the first test in which everything is fine.
    """
    organisation_id = require_set_up(actor)
    declared = driver_named(driver)
    # Two that save at the same moment would make it twice.
    Organisation.objects.select_for_update(of=("self",)).get(pk=organisation_id)
    row = _belonging(organisation_id, declared, values)
    parsed = parse_or_refuse(declared.settings, values, _kept(row) if row is not None else {})
    made = row is None
    row = row or Upstream(organisation_id=organisation_id, driver=driver)
    _apply(row, declared, parsed)
    if made:
        row.name = texts.name_of(name or _name_of(row, declared), 80)
    _forget_test(row)
    _save(row)
    record.write(
        actor,
        "upstream.created" if made else "upstream.changed",
        ("upstream", row.pk),
        target_label=row.name,
        sentence="with the settings of a product",
    )
    return ask_anew(actor, row.pk, arm=arm), made


def _kept(row: Upstream) -> dict[str, Secret]:
    """Secrets that no key opens any more are typed anew, and nobody has to delete the row for it."""
    try:
        return vault.unseal(row.sealed_secrets, row="upstream")
    except vault.VaultClosed:
        return {}


def _name_of(row: Upstream, driver: Driver) -> str:
    host = urlsplit(row.endpoint).hostname or row.endpoint
    accounts = [part for part in row.account.split("/") if part]
    return ", ".join(filter(None, (host, *accounts)))[:80] or driver.label[:80]


def _belonging(organisation_id: int, driver: Driver, values: Mapping[str, str]) -> Upstream | None:
    """By what tells upstreams apart. What cannot be read is left to the whole form, which names every wrong field."""
    names = {driver.endpoint_field, *driver.account_fields}
    found, errors = forms.parse([field for field in driver.settings if field.name in names], values)
    if errors:
        return None
    return (
        Upstream.objects.select_for_update()
        .filter(
            organisation_id=organisation_id,
            driver=driver.name,
            endpoint=str(found.get(driver.endpoint_field, "")),
            account=_account_of(driver, found),
        )
        .first()
    )


@transaction.atomic
def ask_anew(actor: Actor, upstream_id: int, *, arm: bool) -> Upstream:
    """As if it were new: what went wrong before is forgotten, the connection tested, and the list read again."""
    row = locked_upstream(actor, upstream_id)
    row.failing_since, row.failed_at, row.failure_code, row.failure_text = None, None, "", ""
    row.synced_at, row.arm_when_fine = None, arm
    row.save()
    ask_test(actor, row.pk)
    ask_sync(actor, row.pk)
    row.refresh_from_db()
    return row


@transaction.atomic
def delete_upstream(actor: Actor, upstream_id: int) -> None:
    row = locked_upstream(actor, upstream_id)
    if Server.objects.filter(upstream=row).exists():
        raise WrongState(
            "Servers are known through it. An upstream can be deleted only before its first server."
        )
    if row.orders.exists():
        raise WrongState("Servers were ordered through it. What was bought stays on record.")
    label = row.name
    try:
        row.delete()
    except ProtectedError as error:
        raise WrongState("A product uses it. Choose another one in its Module Settings first.") from error
    record.write(actor, "upstream.deleted", ("upstream", upstream_id), target_label=label)


@transaction.atomic
def arm(actor: Actor, upstream_id: int) -> None:
    """From now on operations are sent. Needs a connection that was tested and found fine."""
    row = locked_upstream(actor, upstream_id)
    if row.tested_at is None or not all(fine for _, fine, _ in row.test_report):
        raise WrongState(
            "Test the connection first; it is armed only after a test in which everything was fine."
        )
    row.armed = True
    row.save(update_fields=["armed"])
    record.write(actor, "upstream.armed", ("upstream", row.pk), target_label=row.name)


@transaction.atomic
def disarm(actor: Actor, upstream_id: int) -> None:
    row = locked_upstream(actor, upstream_id)
    row.armed = False
    row.save(update_fields=["armed"])
    record.write(actor, "upstream.disarmed", ("upstream", row.pk), target_label=row.name)


@transaction.atomic
def pin_certificate(actor: Actor, upstream_id: int, fingerprint: str) -> None:
    """Staff confirm the certificate that the last test saw; only that very certificate is accepted from now on."""
    row = locked_upstream(actor, upstream_id)
    fields = [
        field.name for field in registry.load(row.driver).settings if field.kind is FieldKind.FINGERPRINT
    ]
    if not fields:
        raise NotOffered(
            "Each machine shows a certificate of its own: copy its fingerprint into that machine's settings."
        )
    if not fingerprint or fingerprint != row.test_fingerprint:
        raise WrongState(
            "The certificate has changed since it was shown. Test the connection again and compare."
        )
    row.settings = {**row.settings, fields[0]: fingerprint}
    _forget_test(row)
    row.save()
    record.write(actor, "upstream.pinned", ("upstream", row.pk), target_label=row.name)
    ask_test(actor, row.pk)


@transaction.atomic
def ask_test(actor: Actor, upstream_id: int) -> None:
    """*Test connection*: the worker tries it, the result appears on the page."""
    row = locked_upstream(actor, upstream_id)
    row.test_asked_at = timezone.now()
    row.save(update_fields=["test_asked_at"])
    ring("fleet.test", key=f"test:{row.pk}", payload={"upstream_id": row.pk}, lane=lane_of(row.pk))


@transaction.atomic
def ask_sync(actor: Actor, upstream_id: int) -> None:
    """*Refresh*: the worker reads the list of servers and then each of them. Any of the owner's staff may ask."""
    if not actor.is_staff:
        raise NotHere
    own = {"pk": upstream_id, "organisation_id": actor.organisation_id}
    row = Upstream.objects.select_for_update().filter(**own).first()
    if row is None:
        raise NotHere
    row.sync_asked_at = timezone.now()
    row.save(update_fields=["sync_asked_at"])
    ring(
        "fleet.sync",
        key=f"sync:{row.pk}",
        payload={"upstream_id": row.pk},
        lane=lane_of(row.pk),
    )


@transaction.atomic
def reseal_secrets() -> int:
    """Key rotation: every sealed text under the first key. Answers with how many were rewritten."""
    count = organisations.refresh_digests() + organisations.refresh_tokens()
    count += notices.reseal_mails() + deliveries.reseal_webhooks()
    for pk, sealed in Server.objects.exclude(sealed_login="").values_list("pk", "sealed_login"):
        Server.objects.filter(pk=pk).update(sealed_login=vault.reseal(sealed))
        count += 1
    owners = set(Upstream.objects.values_list("organisation_id", flat=True))
    for model in (Upstream, Server):
        for pk, sealed in model._default_manager.exclude(sealed_secrets="").values_list(
            "pk", "sealed_secrets"
        ):
            model._default_manager.filter(pk=pk).update(sealed_secrets=vault.reseal(sealed))
            count += 1
    sentence = f"{count} secrets under the newest key"
    record.write(
        SYSTEM,
        "secrets.resealed",
        ("installation", 0),
        target_label="Stored secrets",
        sentence=sentence,
        also=owners,
    )
    return count


def _forget_test(row: Upstream) -> None:
    """What was found with other settings says nothing about these."""
    row.tested_at, row.test_report, row.test_fingerprint, row.learned = None, [], "", {}


def _apply(row: Upstream, driver: Driver, values: Values) -> None:
    plain, secrets = split_secrets(values)
    row.settings = plain
    row.sealed_secrets = vault.seal(secrets, row="upstream")
    before = (row.endpoint, row.account)
    row.endpoint = str(plain.get(driver.endpoint_field, "")) if driver.endpoint_field else ""
    row.account = _account_of(driver, plain)
    if (row.endpoint, row.account) != before:
        row.rests_until = None  # it was another account that asked for patience
    if len(row.endpoint) > LONGEST_ENDPOINT or len(row.account) > LONGEST_ENDPOINT:
        names = [driver.endpoint_field] if len(row.endpoint) > LONGEST_ENDPOINT else driver.account_fields
        raise BadSettings(dict.fromkeys(names, f"At most {LONGEST_ENDPOINT} signs."))


def _account_of(driver: Driver, values: Mapping[str, object]) -> str:
    return "/".join(str(values.get(name, "")) for name in driver.account_fields)


def _save(row: Upstream) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise WrongState(
            "An upstream with this address and account is there already.", code="duplicate"
        ) from error
