"""The fault matrix as data: what becomes of each kind of instruction under each fault. ``docs/faults.md`` is drawn from it."""

from dataclasses import dataclass, field
from enum import StrEnum


class Column(StrEnum):
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    REBOOT = "reboot"
    RESCUE = "rescue"
    RDNS = "reverse DNS"
    ATTACH = "attach"
    DETACH = "detach"
    POLL = "bandwidth reading"
    REINSTALL = "reinstall"


LEVELS = (Column.SUSPEND, Column.UNSUSPEND, Column.RDNS)
EDGES = (Column.REBOOT, Column.RESCUE)


class Outcome(StrEnum):
    """What is true in the end, in a word or two for operators; ``MEANS`` explains it."""

    DONE = "done"
    RETRIED = "tried again"
    READ_BACK = "read back"
    UNKNOWN = "unknown"
    FAILED = "failed"
    NOT_SEEN = "not seen away"
    REFUSED = "refused"
    SAME = "the same"
    SECOND_REFUSED = "the first"
    NEWEST = "the newest"
    OURS = "ours"
    GAP = "gap"
    ABSENT = "–"
    """There is no such thing, or it is not built; ``why`` says which."""


MEANS: dict[Outcome, str] = {
    Outcome.DONE: "As usual, and once.",
    Outcome.RETRIED: "Nothing was sent. It waits and tries again; done, once, when the fault is over.",
    Outcome.READ_BACK: "The machine itself is asked, and the instruction sent again only where it is not so; done.",
    Outcome.UNKNOWN: "Neither done nor failed: it is never sent again, and staff decide, with what is known beside it.",
    Outcome.FAILED: "Certain that nothing happened; staff read the cause. It may be asked again.",
    Outcome.NOT_SEEN: "Accepted and done as far as anybody can tell; the page says that the machine was not seen away.",
    Outcome.REFUSED: "Refused when it is asked; nothing is stored, nothing is sent.",
    Outcome.SAME: "The same operation answers, or what is already so; nothing new happens.",
    Outcome.SECOND_REFUSED: "The first one happens, once; whoever comes second is told.",
    Outcome.NEWEST: "Both happen in the order in which they were asked, so the newest counts.",
    Outcome.OURS: "No machine is asked, so it is done at once. Who the machine was when it was last read is proven by the first instruction.",
    Outcome.GAP: "No figures for that time: a gap, never a zero. The next reading counts again.",
}


@dataclass(frozen=True)
class Cell:
    """``then``: the fault passes after a minute. ``stays``: it does not pass before the deadline."""

    then: Outcome
    stays: Outcome | None = None
    why: str = ""


@dataclass(frozen=True)
class Row:
    """``fault`` names what is played (``tests.faults.theatre``)."""

    name: str
    fault: str
    cells: dict[Column, Cell] = field(default_factory=dict)
    why: str = ""
    """Where we do otherwise than one might expect."""


_O = Outcome
_OURS = Cell(_O.OURS)
_NO_REINSTALL = Cell(_O.ABSENT, why="not built yet; an edge like rescue, so it will follow that column")


def _row(
    name: str,
    fault: str,
    *,
    level: Cell,
    edge: Cell,
    poll: Cell | None = None,
    why: str = "",
    **others: Cell,
) -> Row:
    cells = {
        **dict.fromkeys(LEVELS, level),
        **dict.fromkeys(EDGES, edge),
        Column.ATTACH: _OURS,
        Column.DETACH: _OURS,
        Column.POLL: poll or Cell(_O.GAP),
        Column.REINSTALL: _NO_REINSTALL,
        **{Column[name.upper()]: cell for name, cell in others.items()},
    }
    return Row(name, fault, cells, why)


def _absent(name: str, why: str) -> Row:
    return Row(name, "", dict.fromkeys(Column, Cell(_O.ABSENT, why=why)), why)


_DONE = Cell(_O.DONE)
_UNSENT = Cell(_O.RETRIED, stays=_O.FAILED)
_LEVEL_LOST = Cell(_O.READ_BACK)
_EDGE_LOST = Cell(_O.UNKNOWN)
_FAILED = Cell(_O.FAILED)

ROWS: tuple[Row, ...] = (
    _row("answers come late", "latency", level=_DONE, edge=_DONE, poll=_DONE),
    _row("no connection", "refuse", level=_UNSENT, edge=_UNSENT),
    _row("silence after sending, nothing happened", "hang", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("it happened, the answer was lost", "answer_lost", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("it happened, the connection was reset", "reset", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("it happened, the answer was cut", "cut", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("500 to an instruction", "error_500", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("no answer to any question", "hang_all", level=_UNSENT, edge=_UNSENT),
    _row("500 to everything", "error_500_all", level=_UNSENT, edge=_UNSENT),
    _row("429 with Retry-After", "busy_429_all", level=_UNSENT, edge=_UNSENT),
    _row("503 for maintenance", "maintenance_503_all", level=_UNSENT, edge=_UNSENT),
    _row("503 to an instruction, without Retry-After", "maintenance_503", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row(
        "403 to an instruction",
        "limit_403",
        level=_UNSENT,
        edge=_UNSENT,
        why="one that says that it was asked too often: as 429. Any other 403 is a no",
    ),
    _row("401, wrong password", "login_401_all", level=_FAILED, edge=_FAILED),
    _row("an instruction is answered with nonsense", "nonsense", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("an instruction is answered with a page", "html", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("questions are answered with nonsense", "nonsense_all", level=_UNSENT, edge=_UNSENT),
    _row("questions are answered with a page", "html_all", level=_UNSENT, edge=_UNSENT),
    _row("certificate expired", "tls_expired", level=_UNSENT, edge=_UNSENT),
    _row("certificate of another name", "tls_name", level=_UNSENT, edge=_UNSENT),
    _row("certificate other than the pinned one", "tls_pin", level=_UNSENT, edge=_UNSENT),
    _row(
        "connections die after one answer",
        "half_open_all",
        level=_DONE,
        edge=_DONE,
        poll=_DONE,
        why="an instruction has a connection of its own, so no dead one is used",
    ),
    _row(
        "another machine answers",
        "other_all",
        level=_UNSENT,
        edge=_FAILED,
        poll=Cell(_O.ABSENT, why="counters are read from the switch, by the names of ports"),
        why="nothing is sent: readings about another machine are not believed, and its identity is not the recorded one",
    ),
    _row("the head of an answer drips", "drip", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("the body of an answer drips", "drip_body", level=_LEVEL_LOST, edge=_EDGE_LOST),
    _row("the name is not known", "dns_failure", level=_UNSENT, edge=_UNSENT),
    _row(
        "the name leads elsewhere",
        "dns_elsewhere",
        level=_UNSENT,
        edge=_UNSENT,
        why="plain HTTP leaves this machine for nobody, and over TLS the certificate decides; private addresses are "
        "where controllers live, so they are not refused as such",
    ),
    _row(
        "killed before it was sent",
        "killed_before",
        level=Cell(_O.RETRIED),
        edge=_UNSENT,
        poll=Cell(_O.ABSENT, why="a reading is written whole or not at all"),
        why="every point of it: the crash sweep",
    ),
    _row(
        "killed after it was sent",
        "killed_after",
        level=_LEVEL_LOST,
        edge=_EDGE_LOST,
        poll=Cell(_O.ABSENT, why="a reading is written whole or not at all"),
        why="every point of it: the crash sweep",
    ),
    _row(
        "the database is locked when “sent” is to be stored",
        "database_locked",
        level=Cell(_O.RETRIED),
        edge=_UNSENT,
        poll=Cell(_O.ABSENT, why="readings mark nothing as sent"),
    ),
    _row(
        "the database takes no writes",
        "database_full",
        level=Cell(_O.REFUSED),
        edge=Cell(_O.REFUSED),
        attach=Cell(_O.REFUSED),
        detach=Cell(_O.REFUSED),
    ),
    _absent(
        "the database lost its last commits",
        "an installation restored from an old copy sends nothing until a person confirms; that is proven with the backups",
    ),
    _row(
        "the clock jumps a day ahead",
        "clock_ahead",
        level=_DONE,
        edge=_FAILED,
        rdns=_FAILED,
        poll=_DONE,
        why="a suspension has its own time from its beginning; a name asked for a day ago is asked again by a person",
    ),
    _row("the clock jumps an hour back", "clock_back", level=_DONE, edge=_DONE, poll=Cell(_O.GAP)),
    _row(
        "asked twice with one key",
        "twice",
        level=Cell(_O.SAME),
        edge=Cell(_O.SAME),
        poll=Cell(_O.ABSENT, why="nobody asks for it"),
    ),
    _row(
        "asked again with the same key days later",
        "days_later",
        level=Cell(_O.SAME),
        edge=Cell(_O.SAME),
        poll=Cell(_O.ABSENT, why="nobody asks for it"),
    ),
    _row(
        "two people press at once",
        "two_people",
        level=Cell(_O.SECOND_REFUSED),
        edge=Cell(_O.SECOND_REFUSED),
        rdns=Cell(_O.NEWEST),
        poll=Cell(_O.ABSENT, why="nobody presses"),
        attach=Cell(_O.SAME),
        detach=Cell(_O.SECOND_REFUSED),
    ),
    Row(
        "suspended and unsuspended at once",
        "both_ways",
        {
            **dict.fromkeys(Column, Cell(_O.ABSENT, why="has no opposite that overtakes")),
            Column.SUSPEND: Cell(_O.NEWEST),
            Column.UNSUSPEND: Cell(_O.NEWEST),
        },
    ),
    _absent(
        "messages of a billing system arrive in the wrong order",
        "no billing system sends messages here yet: they ask, one after the other, with keys",
    ),
    _row(
        "“accepted”, and nothing happens",
        "lie",
        level=Cell(_O.READ_BACK, stays=_O.FAILED),
        edge=_EDGE_LOST,
        reboot=Cell(
            _O.NOT_SEEN,
            why="a machine that reads on may have restarted; the page says that it was not seen away",
        ),
        poll=Cell(_O.ABSENT, why="nothing is accepted"),
    ),
    _row(
        "the list of servers is empty",
        "list_empty",
        level=_DONE,
        edge=_DONE,
        poll=_DONE,
        why="says more about the list than about the servers: what was known is kept, staff are told",
    ),
    _row(
        "the list does not name the server any more",
        "list_without",
        level=_FAILED,
        edge=_FAILED,
        poll=_DONE,
        attach=Cell(_O.REFUSED),
    ),
)
