"""Who exists, as far as the actor may know."""

from django.db.models import QuerySet

from doublehop.organisations.actor import ROLE_DUTIES, Actor, ActorKind, Duty, Role
from doublehop.organisations.hosts import NOBODY, BrandView, brand_for_host, view_of
from doublehop.organisations.models import (
    Brand,
    Client,
    ClientPerson,
    LeapAccount,
    Organisation,
    Staff,
    TandemUser,
    User,
)
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
