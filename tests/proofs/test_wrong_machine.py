"""No destructive call reaches a machine that was not attached, whatever is exchanged between attach and send.

Behind the real memory driver stands a room full of machines that somebody keeps rewiring: ids at the provider, addresses,
serials and MACs are exchanged, lost and copied at random. Some machines share a serial from the factory, some show only
one identifier, some none that is strong. The door and its comparison are the real ones; only the rows come from memory.
Which metal was truly hit is known to the room alone: every machine is an object, and an object has no number to confuse.

Two things are beyond any client and therefore not done here. A machine that shows everything by which another was
attached *is* that machine to all who ask it (both were given one main board's identity, or share an address and show
nothing else). And a machine exchanged after it has said who it is and before the call arrives cannot be noticed; the door
asks in the same breath, so that this breath is as short as it can be.
"""

import random
from types import SimpleNamespace

import pytest

from doublehop.driver_kit.conformance.world import Machine, World
from doublehop.driver_kit.contract import SERVER_PARTS, Identifier, Proof
from doublehop.drivers.memory import driver as memory
from doublehop.drivers.memory.server import identifiers_of
from doublehop.fleet import door, identity
from doublehop.fleet.door import Command, NotSent
from doublehop.fleet.models import Server, Upstream
from doublehop.organisations.models import Organisation

CALLS = 100_000
MACHINES = 24
CALLS_BETWEEN_MOVES = 12
MOVES_BETWEEN_ATTACHMENTS = 40
DESTRUCTIVE = (
    Command.RESET_HARD,
    Command.RESET_GRACEFUL,
    Command.POWER_OFF_HARD,
    Command.PORT_OFF,
    Command.SUSPEND,
    Command.PERMISSION_OFF,
    Command.RESCUE_START,
)


class Room(World):
    """Remembers which metal was hit, under whatever id."""

    hit: Machine | None = None

    def act(self, external_id, what, change):
        super().act(external_id, what, change)
        self.hit = self.machines[external_id]
        self._ledger.clear()
        self._calls.clear()


class Rewiring:
    """The room, our rows, and somebody who exchanges things in it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 (a game of chance, repeated by its seed)
        self.room = Room("rewired", password="")
        owner = Organisation(pk=1, name="Northgate Metal")
        settings = {"endpoint": "rewired"}
        self.upstream = Upstream(pk=1, organisation=owner, driver="memory", armed=True, settings=settings)
        self.rows: dict[int, Server] = {}
        self.attached: dict[int, Machine] = {}
        self.recorded: dict[int, frozenset[Identifier]] = {}
        self.first: list[tuple[Machine, frozenset[Identifier]]] = []

    def fill(self) -> None:
        """New machines: one third with serial and MAC, the others with less, some of one serial."""
        self.room.machines.clear()
        for number in range(1, MACHINES + 1):
            serial, mac = f"SN{number}", f"02:00:00:00:00:{number:02x}"
            match number % 6:
                case 2:
                    mac = ""
                case 3:
                    serial = ""
                case 4:
                    serial, mac = "", ""
                case 5:
                    serial = "To be filled by O.E.M."
                case 0:
                    serial, mac = "To be filled by O.E.M.", mac if number % 12 else ""
            self.room.add(f"m{number}", address=f"192.0.2.{number}", serial=serial, mac=mac)

    def attach_all(self) -> None:
        self.rows, self.attached, self.recorded = {}, {}, {}
        machines = dict(self.room.machines)
        self.first = [(one, frozenset(identifiers_of(one))) for one in machines.values()]
        seen = {external_id: identifiers_of(machine) for external_id, machine in machines.items()}
        for number, (external_id, machine) in enumerate(machines.items(), 1):
            row = Server(
                pk=number,
                upstream=self.upstream,
                external_id=external_id,
                label=external_id,
                primary_address=machine.address,
                capabilities=list(SERVER_PARTS),
            )
            row.recorded_identity = identity.record(external_id, machine.address, seen[external_id])
            if not all(
                identity.tells_apart(seen[external_id], shown)
                for other, shown in seen.items()
                if other != external_id
            ):
                continue  # attach refuses it (fleet.actions.record_identity)
            self.rows[number], self.attached[number] = row, machine
            strong = frozenset(i for i in seen[external_id] if i.proof is Proof.STRONG)
            self.recorded[number] = strong or frozenset(seen[external_id])

    # ------------------------------------------------------------ exchanging

    def move(self) -> None:
        before = (dict(self.room.machines), [(m, dict(vars(m))) for m in self.room.machines.values()])
        ids = {number: row.external_id for number, row in self.rows.items()}
        self.chance.choice(self.MOVES)(self)
        if self._somebody_became_somebody_else():
            self.room.machines, kept = before[0], before[1]
            for machine, values in kept:
                vars(machine).update(values)
            for number, external_id in ids.items():
                self.rows[number].external_id = external_id

    def _two(self) -> tuple[Machine, Machine]:
        one, other = self.chance.sample(list(self.room.machines.values()), 2)
        return one, other

    def _exchange_ids(self) -> None:
        one, other = self._two()
        one.external_id, other.external_id = other.external_id, one.external_id
        self.room.machines[one.external_id], self.room.machines[other.external_id] = one, other

    def _exchange(self, what: str) -> None:
        one, other = self._two()
        kept = getattr(one, what)
        setattr(one, what, getattr(other, what))
        setattr(other, what, kept)

    def _copy_serial(self) -> None:
        one, other = self._two()
        one.serial = other.serial

    def _lose(self) -> None:
        setattr(self._two()[0], self.chance.choice(("serial", "mac")), "")

    def _give_again(self) -> None:
        """Its id goes to a machine that was never here."""
        old = self._two()[0]
        number = self.chance.randrange(10**6)
        address = (
            old.address
            if self.chance.random() < 0.5 and (old.serial or old.mac)
            else f"198.51.100.{number % 250}"
        )
        serial, mac = self.chance.choice(
            ((f"NEW{number}", f"06:{number:010d}"), (old.serial, f"06:{number}"), ("", ""))
        )
        self.room.machines[old.external_id] = Machine(
            old.external_id, "new", address=address, serial=serial, mac=mac
        )

    def _list_again(self) -> None:
        """The list of servers is read anew: what it says goes into our rows."""
        for row in self.rows.values():
            machine = self.room.machines[row.external_id]
            row.primary_address, row.label = machine.address, machine.label

    def _exchange_our_ids(self) -> None:
        """Not in the room: in our own rows."""
        one, other = self.chance.sample(list(self.rows.values()), 2)
        one.external_id, other.external_id = other.external_id, one.external_id

    MOVES = (
        _exchange_ids,
        _exchange_ids,
        lambda self: self._exchange("serial"),
        lambda self: self._exchange("mac"),
        lambda self: self._exchange("address"),
        _copy_serial,
        _lose,
        _give_again,
        _list_again,
        _exchange_our_ids,
    )

    def _somebody_became_somebody_else(self) -> bool:
        """By exchanges, a machine under another's id came to show everything by which that one was attached: see above.

        Not so one that showed it all along: that attach refuses.
        """
        for number, recorded in self.recorded.items():
            row = self.rows[number]
            if row.external_id != row.recorded_identity["external_id"]:
                continue
            machine = self.room.machines[row.external_id]
            is_another = machine is not self.attached[number] and recorded <= set(identifiers_of(machine))
            showed_it = any(one is machine and recorded <= shown for one, shown in self.first)
            if is_another and not showed_it:
                return True
        return False


@pytest.fixture
def rewiring(monkeypatch, db):
    found = Rewiring(seed=20261125)
    rows = SimpleNamespace(get=lambda pk: found.rows[pk])
    monkeypatch.setattr(
        door, "Server", SimpleNamespace(objects=SimpleNamespace(select_related=lambda *_: rows))
    )
    monkeypatch.setattr(door, "note_success", lambda upstream_id: None)
    monkeypatch.setattr(door, "log", SimpleNamespace(error=lambda *_, **__: None))
    monkeypatch.setattr(memory, "world", lambda endpoint: found.room)
    return found


def test_none_of_a_hundred_thousand_calls_reaches_a_machine_that_was_not_attached(rewiring):
    calls = reached = refused = moves = 0
    codes: set[str] = set()
    wrong: list[tuple[int, str]] = []
    while calls < CALLS:
        if moves % MOVES_BETWEEN_ATTACHMENTS == 0:
            rewiring.fill()
            rewiring.attach_all()
        rewiring.move()
        moves += 1
        for _ in range(CALLS_BETWEEN_MOVES):
            number = rewiring.chance.choice(list(rewiring.rows))
            rewiring.room.hit = None
            calls += 1
            try:
                door.send(number, rewiring.chance.choice(DESTRUCTIVE), mark_sent=lambda: None)
            except NotSent as refusal:
                codes.add(refusal.code)
                refused += 1
                assert rewiring.room.hit is None
                continue
            reached += 1
            if rewiring.room.hit is not rewiring.attached[number]:
                wrong.append((number, rewiring.room.hit))
    assert wrong == [], f"{len(wrong)} of {calls}"
    assert codes == {"wrong_machine"}
    # It must be possible to fail: enough went through, and enough was exchanged to be refused.
    assert reached > CALLS / 4, reached
    assert refused > CALLS / 10, refused
    print(f"{calls} calls, {moves} exchanges, {reached} reached the right machine, {refused} refused")
