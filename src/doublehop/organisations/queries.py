"""Who exists, as far as the actor may know."""

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from doublehop.organisations.actor import ROLE_DUTIES, Actor, ActorKind, Duty, Role, Scope
from doublehop.organisations.hosts import NOBODY, BrandView, brand_for_host, view_of
from doublehop.organisations.models import (
    AnsweredKey,
    ApiToken,
    Brand,
    Client,
    ClientPerson,
    LeapAccount,
    Organisation,
    OtherInstallation,
    Staff,
    TandemUser,
    User,
)
from doublehop.organisations.once import caller_of
from doublehop.organisations.refusals import NotHere

__all__ = ["brand_for_host"]


PLACES = ("staff__organisation", "client_person__client__organisation", "tandem_user__organisation")
"""What actor_for_user looks at, for select_related."""


def actor_for_user(user: User) -> Actor | None:
    """As whom a signed-in person acts; None for somebody without a place."""
    staff: Staff | None = getattr(user, "staff", None)
    if staff is not None:
        return Actor(
            kind=ActorKind.STAFF,
            label=user.name,
            organisation_id=staff.organisation_id,
            organisation_label=staff.organisation.name,
            user_id=user.pk,
            role=Role(staff.role),
        )
    person: ClientPerson | None = getattr(user, "client_person", None)
    if person is not None:
        return Actor(
            kind=ActorKind.CLIENT,
            label=user.name,
            organisation_id=person.client.organisation_id,
            organisation_label=person.client.organisation.name,
            user_id=user.pk,
            client_id=person.client_id,
        )
    tandem: TandemUser | None = getattr(user, "tandem_user", None)
    return tandem_actor(tandem, user) if tandem is not None and tandem.ended_at is None else None


def tandem_actor(row: TandemUser, user: User) -> Actor:
    return Actor(
        kind=ActorKind.TANDEM,
        label=user.name,
        organisation_id=row.organisation_id,
        organisation_label=row.organisation.name,
        user_id=user.pk,
        tandem_user_id=row.pk,
    )


def actor_of_user_id(user_id: int) -> Actor | None:
    """As whom a person would act now; None for nobody, or when the sign-in was closed."""
    user = User.objects.select_related(*PLACES).filter(pk=user_id, is_active=True).first()
    return actor_for_user(user) if user is not None else None


def token_actor(row: ApiToken) -> Actor | None:
    """As whom a program acts with this token now; None when it was revoked or has expired."""
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= timezone.now()):
        return None
    return Actor(
        kind=ActorKind.CLIENT if row.client_id is not None else ActorKind.PROGRAM,
        label=f"API token {row.name}",
        organisation_id=row.organisation_id,
        organisation_label=row.organisation.name,
        client_id=row.client_id,
        token_id=row.pk,
        scopes=frozenset(Scope(one) for one in row.scopes),
        billing_system=row.billing_system,
    )


def actor_of_token_id(token_id: int) -> Actor | None:
    row = ApiToken.objects.select_related("organisation").filter(pk=token_id).first()
    return token_actor(row) if row is not None else None


def token_of(actor: Actor) -> ApiToken | None:
    """The token that the actor came with."""
    return ApiToken.objects.filter(pk=actor.token_id).first() if actor.token_id is not None else None


def tokens_visible_to(actor: Actor) -> QuerySet[ApiToken]:
    """Those of the staff's own organisation, its clients' among them. A client's person: those of this client. Newest first."""
    rows = ApiToken.objects.select_related("client", "organisation").order_by("-pk")
    if actor.is_client:
        return rows.filter(client_id=actor.client_id or 0) if actor.user_id is not None else rows.none()
    return rows.filter(organisation_id=actor.organisation_id) if actor.is_staff else rows.none()


def token(actor: Actor, token_id: int) -> ApiToken:
    row = tokens_visible_to(actor).filter(pk=token_id).first()
    if row is None:
        raise NotHere
    return row


def other_installations(actor: Actor, *, token_id: int | None = None) -> QuerySet[OtherInstallation]:
    """Copies of billing systems that called with a token of the staff's organisation that is in use. Oldest first."""
    rows = OtherInstallation.objects.select_related("token").order_by("pk")
    if not actor.is_staff:
        return rows.none()
    rows = rows.filter(token__organisation_id=actor.organisation_id, token__revoked_at=None)
    return rows if token_id is None else rows.filter(token_id=token_id)


def organisation_of(actor: Actor) -> Organisation:
    row = Organisation.objects.filter(pk=actor.organisation_id).first()
    if row is None:
        raise NotHere
    return row


def organisations_visible_to(actor: Actor) -> QuerySet[Organisation]:
    """Staff: their own organisation and those below it."""
    if actor.is_system:
        return Organisation.objects.all()
    if not actor.is_staff:
        return Organisation.objects.none()
    return Organisation.objects.filter(path__startswith=organisation_of(actor).path).order_by("path")


def ancestor_ids(organisation_id: int) -> list[int]:
    """From the root down to the organisation itself."""
    return Organisation.objects.get(pk=organisation_id).ancestor_ids


def serves_resellers(organisation_id: int) -> bool:
    """Whether anybody stands directly below an organisation, and so may call its APIs."""
    return Organisation.objects.filter(parent_id=organisation_id).exists()


def clients_visible_to(actor: Actor) -> QuerySet[Client]:
    """Staff: the clients of their own organisation, never those of one below. A client: itself."""
    if actor.is_system:
        return Client.objects.all()
    if actor.client_id is not None:
        return Client.objects.filter(pk=actor.client_id)
    return (
        Client.objects.filter(organisation_id=actor.organisation_id)
        if actor.is_staff
        else Client.objects.none()
    )


def client(actor: Actor, client_id: int) -> Client:
    row = clients_visible_to(actor).filter(pk=client_id).first()
    if row is None:
        raise NotHere
    return row


def client_of_reference(actor: Actor, reference: str) -> Client | None:
    """The client that the actor's billing system knows by its own id; without a billing system, that nobody's knows by it."""
    known = {"billing_reference": reference, "billed_by": actor.billing_system}
    return clients_visible_to(actor).filter(**known).first() if reference else None


def clients_like(actor: Actor, words: str) -> Q:
    """By number, name or e-mail address; for staff by what a billing system calls them, too."""
    matches = Q(name__istartswith=words) | Q(email__istartswith=words)
    number = words.upper().removeprefix("C-")
    if number.isascii() and number.isdigit():
        matches |= Q(number=int(number[:9]))
    return matches | Q(billing_reference=words) if actor.is_staff else matches


def answered_key(actor: Actor, key: str) -> AnsweredKey | None:
    """What the actor itself did under a key, other than what keeps it in a row of its own."""
    rows = AnsweredKey.objects.filter(caller=caller_of(actor), key=key)
    return rows.exclude(body_digest="").first()


def people_of(actor: Actor, client_id: int) -> QuerySet[ClientPerson]:
    return (
        ClientPerson.objects.filter(client=client(actor, client_id))
        .select_related("user")
        .order_by("user__name")
    )


def staff_visible_to(actor: Actor) -> QuerySet[Staff]:
    if not actor.is_staff:
        return Staff.objects.none()
    return (
        Staff.objects.filter(organisation_id=actor.organisation_id)
        .select_related("user")
        .order_by("user__name")
    )


def leap_account_of(actor: Actor) -> LeapAccount | None:
    """The machine identity of the actor's own organisation, without its secrets. For staff."""
    if not actor.is_staff:
        return None
    return LeapAccount.objects.filter(organisation_id=actor.organisation_id).first()


def tandem_users_visible_to(actor: Actor) -> QuerySet[TandemUser]:
    """Those of the actor's own organisation that have not ended; a Tandem user sees itself."""
    rows = (
        TandemUser.objects.filter(ended_at__isnull=True).select_related("user").order_by("user__name", "pk")
    )
    if actor.is_system:
        return rows
    rows = rows.filter(organisation_id=actor.organisation_id)
    if actor.is_tandem:
        return rows.filter(pk=actor.tandem_user_id or 0)
    return rows if actor.is_staff else rows.none()


def tandem_user(actor: Actor, tandem_user_id: int) -> TandemUser:
    row = tandem_users_visible_to(actor).filter(pk=tandem_user_id).first()
    if row is None:
        raise NotHere
    return row


def provider_of(actor: Actor) -> Organisation | None:
    """The organisation directly above the actor's own; None for the root. For staff."""
    return organisation_of(actor).parent if actor.is_staff else None


def staff_with(organisation_id: int, duty: Duty) -> list[tuple[int, str]]:
    """(user id, e-mail address) of those who may do something about it. For mails that the rooms above write."""
    roles = [role.value for role, duties in ROLE_DUTIES.items() if duty in duties]
    rows = Staff.objects.filter(organisation_id=organisation_id, role__in=roles, user__is_active=True)
    return list(rows.order_by("pk").values_list("user_id", "user__email"))


def address_of_client(client_id: int) -> str:
    """Where mails to a client go: its own e-mail address, else that of its first person. Empty: nowhere."""
    row = Client.objects.get(pk=client_id)
    people = ClientPerson.objects.filter(client=row, user__is_active=True).order_by("pk")
    return row.email or people.values_list("user__email", flat=True).first() or ""


def panel_address(organisation_id: int) -> str:
    """Where an organisation's clients go, under its brand's own name where it has one: they do not learn of the installation's."""
    scheme, _, rest = settings.DOUBLEHOP_BASE_URL.partition("://")
    host = Brand.objects.filter(organisation_id=organisation_id).values_list("host", flat=True).first()
    if not host:
        return f"{settings.DOUBLEHOP_BASE_URL}/"
    port = rest.rpartition(":")[2] if ":" in rest.rpartition("]")[2] else ""
    return f"{scheme}://{host}{':' + port if port else ''}/"


def brand_of(actor: Actor) -> Brand:
    """The brand row of the actor's own organisation, for its form."""
    row = Brand.objects.defer("logo").filter(organisation_id=actor.organisation_id).first()
    if row is None:
        raise NotHere
    return row


def brand_of_organisation(organisation_id: int, *, is_shared: bool = False) -> BrandView:
    brand = Brand.objects.defer("logo").filter(organisation_id=organisation_id).first()
    return view_of(brand, is_shared=is_shared) if brand else NOBODY


def logo_of(organisation_id: int) -> tuple[bytes, str] | None:
    """(image, content type) of a brand. Public: it stands on the sign-in page."""
    brand = Brand.objects.filter(organisation_id=organisation_id).exclude(logo_type="").first()
    return (bytes(brand.logo), brand.logo_type) if brand and brand.logo else None
