"""Who asks. One value travels everywhere, instead of five optional arguments."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    SUPPORT = "support"
    BILLING = "billing"
    READ_ONLY = "read_only"


class ActorKind(StrEnum):
    STAFF = "staff"
    CLIENT = "client"
    TANDEM = "tandem"
    """A Tandem user: permission on named servers of one organisation, and nothing else."""
    LEAP = "leap"
    """The machine identity of an organisation: its own programs, through the LEAP and Dropzone APIs."""
    HOUSE = "house"
    """An organisation acting by itself: a rule that its staff set up, such as filling an order from a pool."""
    SYSTEM = "system"


FOR_THE_ORGANISATION = frozenset({ActorKind.STAFF, ActorKind.LEAP, ActorKind.HOUSE})


class Duty(StrEnum):
    """What a role allows staff to do; rights on a single server are another matter (fleet.permissions)."""

    OPERATE = "operate"
    """Press buttons on machines: power, suspend, attach, refresh."""
    SELL = "sell"
    """Clients, services, suspensions for unpaid bills."""
    SET_UP = "set_up"
    """Products, upstreams, server groups, policies."""
    GOVERN = "govern"
    """Staff, brand, allocations to other organisations."""


ROLE_DUTIES: dict[Role, frozenset[Duty]] = {
    Role.OWNER: frozenset(Duty),
    Role.ADMIN: frozenset(Duty),
    Role.SUPPORT: frozenset({Duty.OPERATE}),
    Role.BILLING: frozenset({Duty.SELL}),
    Role.READ_ONLY: frozenset(),
}


@dataclass(frozen=True)
class Actor:
    """A person or the system itself, acting for one organisation, or for one client of it."""

    kind: ActorKind
    label: str
    organisation_id: int
    """0 stands for none (the system): no row ever matches it."""
    organisation_label: str = ""
    user_id: int | None = None
    role: Role | None = None
    client_id: int | None = None
    tandem_user_id: int | None = None

    @property
    def is_staff(self) -> bool:
        """Acts for the whole organisation, within the duties of ``role``: a person, or what the organisation set up."""
        return self.kind in FOR_THE_ORGANISATION

    @property
    def is_tandem(self) -> bool:
        return self.kind is ActorKind.TANDEM

    @property
    def is_white_label(self) -> bool:
        """Reads neutral sentences only: a client, or a Tandem user."""
        return self.kind in (ActorKind.CLIENT, ActorKind.TANDEM)

    @property
    def is_client(self) -> bool:
        return self.kind is ActorKind.CLIENT

    @property
    def is_system(self) -> bool:
        return self.kind is ActorKind.SYSTEM

    def has(self, duty: Duty) -> bool:
        if self.is_system:
            return True
        return self.role is not None and duty in ROLE_DUTIES[self.role]


def house_of(organisation_id: int, name: str) -> Actor:
    """An organisation acting by itself, with everything that its admins could do."""
    return Actor(
        kind=ActorKind.HOUSE,
        label="automatic",
        organisation_id=organisation_id,
        organisation_label=name,
        role=Role.ADMIN,
    )


SYSTEM = Actor(kind=ActorKind.SYSTEM, label="automatic", organisation_id=0)
"""The installation itself: timers and the worker. Sees everything, holds every duty."""
