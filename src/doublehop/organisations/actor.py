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
    PROGRAM = "program"
    """A program of an organisation or its billing system, through the REST API, within the scopes of its token."""
    HOUSE = "house"
    """An organisation acting by itself: a rule that its staff set up, such as filling an order from a pool."""
    SYSTEM = "system"


FOR_THE_ORGANISATION = frozenset({ActorKind.STAFF, ActorKind.LEAP, ActorKind.PROGRAM, ActorKind.HOUSE})


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


class Scope(StrEnum):
    """What an API token may be used for. What no scope names is refused."""

    READ = "read"
    """Everything that its holder may see."""
    OPERATE = "operate"
    """Power, reverse DNS, null routes, attach and detach."""
    BILLING = "billing"
    """Suspend, unsuspend, terminate."""
    WEBHOOKS = "webhooks"
    """Webhooks of its holder: their addresses, events, secrets and deliveries."""


SCOPE_DUTIES: dict[Scope, frozenset[Duty]] = {
    Scope.READ: frozenset(),
    Scope.OPERATE: frozenset({Duty.OPERATE}),
    Scope.BILLING: frozenset({Duty.SELL}),
    Scope.WEBHOOKS: frozenset(),
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
    token_id: int | None = None
    """Of the API token that it came with, for an organisation (PROGRAM) or for a client (CLIENT)."""
    scopes: frozenset[Scope] = frozenset()
    """Of that token."""
    billing_system: str = ""
    """The billing system that the token is of; empty: none."""

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
        if self.token_id is not None:
            return self.kind is ActorKind.PROGRAM and any(duty in SCOPE_DUTIES[one] for one in self.scopes)
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
