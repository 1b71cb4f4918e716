"""One-time links by which a billing system signs a person of a client in to the white-label panel."""

import re
import secrets
from datetime import timedelta

from django.db import transaction
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from doublehop.organisations import record
from doublehop.organisations.actions.sign_ins import make_user, require
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.hosts import BrandView
from doublehop.organisations.models import Brand, Client, ClientPerson, SignInLink, User
from doublehop.organisations.once import once
from doublehop.organisations.queries import actor_for_user, clients_visible_to, panel_address
from doublehop.organisations.queries import client as client_of
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere, WrongState

LASTS = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(days=1)
START = "/servers/"
_SIGNS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"
_TEXT = re.compile(r"([A-Za-z0-9]{24})\.([0-9a-f]{64})")
_PURPOSE = "doublehop.organisations.sign_in_link"
_PATH = re.compile(r"(/|(/[A-Za-z0-9_.-]+)+/?)(\?[A-Za-z0-9_.~%&=+-]*)?")


def _again(actor: Actor, link_id: int) -> SignInLink:
    rows = SignInLink.objects.filter(client__in=clients_visible_to(actor))
    row = rows.filter(pk=link_id).first()
    if row is None:
        raise NotHere
    return row


@once("sign_in_link.make", again=_again)
@transaction.atomic
def make_sign_in_link(actor: Actor, client_id: int, *, path: str = START, key: str = "") -> SignInLink:
    """For the client's first person; a client without one gets one, who signs in by links only until a password is set.

    ``path`` is a page of the client panel. For tokens of billing systems. The same key answers with the same link.
    """
    require(actor, Duty.SELL)
    if not actor.billing_system:
        raise NotAllowed("Only a token of a billing system makes sign-in links.")
    own = Client.objects.select_for_update().filter(pk=client_of(actor, client_id).pk)
    client = own.select_related("organisation").get()
    user = _person(actor, client)
    row = SignInLink.objects.create(
        handle="".join(secrets.choice(_SIGNS) for _ in range(24)),
        user=user,
        client=client,
        path=_within_the_panel(path),
        expires_at=timezone.now() + LASTS,
    )
    _write(actor, "sign_in_link.made", row, f"for {user.name}, to {row.path}")
    return row


def url_of(row: SignInLink) -> str:
    """Under the brand's own name. Whoever has it is signed in, once."""
    return f"{panel_address(row.client.organisation_id)}sign-in/link/{text_of(row)}/"


def text_of(row: SignInLink) -> str:
    return f"{row.handle}.{_seal_of(row.handle)}"


def find_link(text: str, brand: BrandView) -> SignInLink | None:
    """Also one that was used or is over; None for what was never made, or belongs under another host name."""
    match = _TEXT.fullmatch(text)
    if match is None or not constant_time_compare(match[2], _seal_of(match[1])):
        return None
    rows = SignInLink.objects.select_related("user", "client__organisation")
    row = rows.filter(handle=match[1]).first()
    return row if row is not None and _is_under(brand, row.client.organisation_id) else None


def is_open(row: SignInLink) -> bool:
    return row.used_at is None and row.expires_at > timezone.now()


@transaction.atomic
def use_link(row: SignInLink) -> bool:
    """True once, for one of however many come at the same moment, while the link lasts and its person is of that client."""
    actor = actor_for_user(row.user) if row.user.is_active else None
    if actor is None or not actor.is_client or actor.client_id != row.client_id:
        return False
    fresh = SignInLink.objects.filter(pk=row.pk, used_at=None, expires_at__gt=timezone.now())
    if not fresh.update(used_at=timezone.now()):
        return False
    _write(actor, "sign_in_link.used", row, f"to {row.path}")
    return True


def forget_old_links() -> int:
    """Answers with how many."""
    count, _ = SignInLink.objects.filter(created_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()
    return count


def _seal_of(handle: str) -> str:
    return salted_hmac(_PURPOSE, handle, algorithm="sha256").hexdigest()


def _is_under(brand: BrandView, organisation_id: int) -> bool:
    """The one host name that ``url_of`` writes: the brand's own, or a shared one where it has none."""
    if Brand.objects.filter(organisation_id=organisation_id).exclude(host="").exists():
        return not brand.is_shared and brand.organisation_id == organisation_id
    return brand.is_shared


def _within_the_panel(path: str) -> str:
    """Raises BadInput for what leads out of the client panel: another host, the staff's pages, the way out."""
    wrong = BadInput(f"Write the address of a page of the client panel, such as {START}.", field="path")
    if len(path) > 300 or not _PATH.fullmatch(path):
        raise wrong
    try:
        name = resolve(path.partition("?")[0]).url_name or ""
    except Resolver404 as error:
        raise wrong from error
    if name != "start" and not name.startswith("client-"):
        raise wrong
    return path


def _person(actor: Actor, client: Client) -> User:
    """Never somebody of the staff."""
    people = ClientPerson.objects.select_related("user").filter(client=client).order_by("pk")
    first = people.filter(user__is_active=True, user__staff=None).first()
    if first is not None:
        return first.user
    if people.exists():
        raise _nobody("Every sign-in of this client is closed. Open one, or add a person.")
    if not client.email:
        raise _nobody("This client has neither a person nor an e-mail address. Give it one of them.")
    try:
        user = make_user(client.organisation, client.name, client.email, None)
    except BadInput as error:
        sentence = (
            "Somebody else signs in with the e-mail address of this client. Add a person with another one."
        )
        raise _nobody(sentence) from error
    ClientPerson.objects.create(user=user, client=client)
    record.write(
        actor,
        "client.person_added",
        ("client", client.pk),
        target_label=client.name,
        sentence=user.name,
        client_id=client.pk,
    )
    return user


def _nobody(sentence: str) -> WrongState:
    return WrongState(sentence, code="no_person")


def _write(actor: Actor, verb: str, row: SignInLink, sentence: str) -> None:
    record.write(
        actor,
        verb,
        ("client", row.client_id),
        target_label=row.client.name,
        sentence=sentence,
        client_id=row.client_id,
    )
