"""The one small cast of every test: a provider, two resellers, a client of each."""

from dataclasses import dataclass

from doublehop.organisations.actor import Actor, ActorKind, Role
from doublehop.organisations.models import Brand, Client, ClientPerson, Organisation, Staff, User

PASSWORD = "correct-horse-battery"


@dataclass(frozen=True)
class Cast:
    provider: Organisation
    alder: Organisation
    birch: Organisation
    quillfeather: Client
    juniper: Client
    ines: Actor
    rosa: Actor
    ivo: Actor
    tam: Actor
    mara: Actor
    lena: Actor


def _organisation(name: str, parent: Organisation | None, domain: str) -> Organisation:
    row = Organisation.objects.create(name=name, parent=parent, path="")
    row.path = f"{parent.path if parent else '/'}{row.pk}/"
    row.save()
    Brand.objects.create(organisation=row, name=name, support_email=f"support@{domain}")
    return row


def _user(organisation: Organisation, name: str, email: str) -> User:
    user = User(brand_organisation=organisation, name=name, email=email, sign_in=f"{organisation.pk}:{email}")
    user.set_password(PASSWORD)
    user.save()
    return user


def _staff(organisation: Organisation, name: str, email: str, role: Role) -> Actor:
    user = _user(organisation, name, email)
    Staff.objects.create(user=user, organisation=organisation, role=role)
    return Actor(
        kind=ActorKind.STAFF,
        label=name,
        organisation_id=organisation.pk,
        organisation_label=organisation.name,
        user_id=user.pk,
        role=role,
    )


def _client(organisation: Organisation, name: str, person: str, email: str) -> tuple[Client, Actor]:
    client = Client.objects.create(organisation=organisation, number=1001, name=name, email=email)
    user = _user(organisation, person, email)
    ClientPerson.objects.create(user=user, client=client)
    actor = Actor(
        kind=ActorKind.CLIENT,
        label=person,
        organisation_id=organisation.pk,
        organisation_label=organisation.name,
        user_id=user.pk,
        client_id=client.pk,
    )
    return client, actor


def a_cast() -> Cast:
    provider = _organisation("Northgate Metal", None, "northgate.example")
    alder = _organisation("Alder Hosting", provider, "alder.example")
    birch = _organisation("Birch Cloud", provider, "birch.example")
    quillfeather, mara = _client(alder, "Quillfeather Books", "Mara Quill", "mara@quillfeather.example")
    juniper, lena = _client(birch, "Juniper Analytics", "Lena Brook", "lena@juniper.example")
    return Cast(
        provider=provider,
        alder=alder,
        birch=birch,
        quillfeather=quillfeather,
        juniper=juniper,
        ines=_staff(provider, "Ines Holt", "ines@northgate.example", Role.OWNER),
        rosa=_staff(alder, "Rosa Lind", "rosa@alder.example", Role.OWNER),
        ivo=_staff(alder, "Ivo Park", "ivo@alder.example", Role.SUPPORT),
        tam=_staff(birch, "Tam Okoye", "tam@birch.example", Role.OWNER),
        mara=mara,
        lena=lena,
    )
