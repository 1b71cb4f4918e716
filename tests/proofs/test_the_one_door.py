"""No call that changes a machine goes around the door, and none passes it unproven.

What changes a machine is not listed here: it is read from the contract. A method of a part that answers with a receipt
changes something; one that answers with nothing would escape, so there may be none. A new part, a new method, a new
command and a new module are found by themselves.
"""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, get_args, get_type_hints

import pytest

import doublehop
from doublehop.driver_kit import contract, registry
from doublehop.driver_kit.conformance.world import Fault
from doublehop.driver_kit.contract import SERVER_PARTS, Identifier, Ticket, TicketStatus
from doublehop.fleet import door
from doublehop.fleet.actions import note_success
from doublehop.fleet.door import Command, NotSent
from tests.cast import a_cast
from tests.stage import a_stage

HOME = Path(doublehop.__file__).parent


# ---------------------------------------------------------------- what the contract says


def _is_protocol(thing: object) -> bool:
    return (
        inspect.isclass(thing)
        and getattr(thing, "_is_protocol", False)
        and thing.__module__ == contract.__name__
    )


def _parts_of(whole: type) -> dict[str, type]:
    """The protocol behind each part of a server or an upstream."""
    found = {}
    for name, hint in get_type_hints(whole).items():
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        found.update((name, kind) for kind in kinds if _is_protocol(kind))
    return found


def _methods(protocol: type) -> dict[str, Any]:
    return {
        name: method
        for name, method in vars(protocol).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


def _answer(method: Any) -> object:
    return get_type_hints(method).get("return")


PARTS = _parts_of(contract.Server)
PROTOCOLS = [thing for thing in vars(contract).values() if _is_protocol(thing)]
CHANGES = {
    (part, name): method
    for part, protocol in {**PARTS, **_parts_of(contract.Upstream)}.items()
    for name, method in _methods(protocol).items()
    if _answer(method) is Ticket
}
METHODS = frozenset(name for _, name in CHANGES)


def test_the_contract_was_read_rightly():
    assert {("power", "reset"), ("rdns", "set"), ("access", "set_permitted")} <= CHANGES.keys()
    assert set(SERVER_PARTS) == set(PARTS)
    reached = {*PARTS.values(), *_parts_of(contract.Upstream).values()}
    changing = {p for p in PROTOCOLS if any(_answer(m) is Ticket for m in _methods(p).values())}
    assert changing <= reached, "a part that hangs from neither a server nor an upstream"


READ_BY_LOOKING = {(contract.Upstream, "close"), (contract.Ordering, "withdraw")}
"""No machine is touched: closing sends nothing, and what came of a withdrawal is read by ``look``."""


def test_what_changes_something_gives_a_receipt_that_can_be_followed():
    for protocol in PROTOCOLS:
        for name, method in _methods(protocol).items():
            mute = _answer(method) in (None, type(None))
            assert not mute or (protocol, name) in READ_BY_LOOKING, f"{protocol}.{name}"
    for part, name in CHANGES:
        protocol = PARTS[part]
        assert _answer(_methods(protocol)["follow_up"]) is TicketStatus, f"{part}.{name} cannot be followed"


# ---------------------------------------------------------------- what the door sends


class Given(dict[str, str]):
    """Arguments for whatever a command may want to know."""

    def __missing__(self, key: str) -> str:
        return f"{key}.example"


class Recorded:
    """A driver in which every part is there and only says what was asked of it, in order."""

    def __init__(self, identifiers: list[list[str]]) -> None:
        self.identifiers = [
            Identifier(kind, value, contract.Proof(proof)) for kind, value, proof in identifiers
        ]
        self.heard: list[str] = []
        self.sent: list[tuple[str, str, dict[str, Any]]] = []

    def load(self, name: str) -> Any:
        upstream = SimpleNamespace(server=lambda external_id: self, close=lambda: None)
        return SimpleNamespace(
            server_settings=(), open=lambda settings, servers: upstream, budget=contract.Budget(), proves=()
        )

    def identify(self) -> list[Identifier]:
        self.heard.append("identify")
        return self.identifiers

    def __getattr__(self, part: str) -> Any:
        if part not in PARTS:
            raise AttributeError(part)
        return _RecordedPart(self, part)


class _RecordedPart:
    def __init__(self, driver: Recorded, part: str) -> None:
        self._driver, self._part = driver, part

    def __getattr__(self, name: str) -> Any:
        method = _methods(PARTS[self._part])[name]

        def call(*args: Any, **more: Any) -> Ticket:
            bound = inspect.signature(method).bind(None, *args, **more)
            values = {key: value for key, value in bound.arguments.items() if key != "self"}
            self._driver.heard.append("call")
            self._driver.sent.append((self._part, name, values))
            return Ticket()

        return call


@pytest.fixture
def stage(db):
    found = a_stage(a_cast().ines)
    found.machines("web")
    return found


@pytest.fixture
def web(stage):
    return stage.server("web")


@pytest.fixture
def recorded(web, monkeypatch):
    driver = Recorded(web.identifiers)
    monkeypatch.setattr(registry, "load", driver.load)
    return driver


def _send_all(web, recorded) -> dict[Command, tuple[str, str, dict[str, Any]]]:
    for command in Command:
        before = len(recorded.sent)
        door.send(web.pk, command, mark_sent=lambda: recorded.heard.append("mark"), arguments=Given())
        assert len(recorded.sent) == before + 1, f"{command} is one call"
    return dict(zip(Command, recorded.sent, strict=True))


def test_each_change_of_the_contract_is_sent_by_a_command_and_by_nothing_else(web, recorded):
    sent = _send_all(web, recorded)
    assert {(part, name) for part, name, _ in sent.values()} == CHANGES.keys()
    for (part, name), method in CHANGES.items():
        for parameter, hint in get_type_hints(method).items():
            if hint is bool and parameter != "return":
                values = {given[parameter] for p, n, given in sent.values() if (p, n) == (part, name)}
                assert values == {True, False}, f"{part}.{name}: {parameter}"


def test_each_command_proves_and_marks_before_it_calls(web, recorded):
    _send_all(web, recorded)
    assert recorded.heard == ["identify", "mark", "call"] * len(Command)


def _sending(stage, web, command, mark_sent=lambda: None) -> list[str]:
    """The calls that reached the world while it was sent."""
    before = len(stage.place.calls("web"))
    try:
        door.send(web.pk, command, mark_sent=mark_sent, arguments=Given())
    finally:
        stage.place.clear_faults()
        heard = stage.place.calls("web")[before:]
    return heard


def test_at_the_world_each_command_has_one_effect(stage, web):
    for number, command in enumerate(Command, 1):
        heard = _sending(stage, web, command)
        assert (heard[0], len(heard)) == ("identify", 2), command
        assert len(stage.place.effects("web")) == number, command


IDENTITY_FAILS = [
    Fault.WRONG_IDENTITY,
    Fault.UNREACHABLE,
    Fault.UNKNOWN_BEFORE_ACTING,
    Fault.UNKNOWN_AFTER_ACTING,
    Fault.BAD_ANSWER,
    Fault.BUSY,
    Fault.CREDENTIALS,
    Fault.NOT_FOUND,
    Fault.REFUSED,
]


@pytest.mark.parametrize("fault", IDENTITY_FAILS)
def test_an_unproven_machine_is_neither_marked_nor_called(stage, web, fault):
    marked = []
    for command in Command:
        before = len(stage.place.calls("web"))
        stage.place.fault(fault, on="identify")
        with pytest.raises(NotSent):
            _sending(stage, web, command, lambda: marked.append(True))
        assert stage.place.calls("web")[before:] == ["identify"], command
        # A refused login rests an upstream; the next command is to meet the fault and not that rest.
        note_success(web.upstream_id)
    assert (marked, stage.place.effects("web")) == ([], [])


def test_what_cannot_be_marked_is_not_called(stage, web):
    def stop() -> None:
        raise NotSent("stopped", "the last look found something")

    for command in Command:
        before = len(stage.place.calls("web"))
        with pytest.raises(NotSent):
            _sending(stage, web, command, stop)
        assert stage.place.calls("web")[before:] == ["identify"], command
    assert stage.place.effects("web") == []


# ---------------------------------------------------------------- what the rest of the house does not do

ALLOWED = ("drivers/", "driver_kit/", "fleet/door.py")
HOLDERS = frozenset({"Server", "Upstream", *(protocol.__name__ for protocol in PROTOCOLS)})


def _product() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(HOME.rglob("*.py")):
        name = path.relative_to(HOME).as_posix()
        is_test = "tests" in path.parts or path.name.startswith("test_")
        if not is_test and not name.startswith(ALLOWED):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _may_hold_a_part(tree: ast.Module) -> bool:
    """It opens upstreams, or names what comes out of them."""
    for name in _imported(tree):
        if name == "doublehop.fleet.door" or name.startswith("doublehop.fleet.door."):
            return True
        if name.startswith(f"{contract.__name__}.") and name.rsplit(".", 1)[1] in HOLDERS:
            return True
    return False


def _mentions_a_part(node: ast.AST, bound: set[str]) -> bool:
    return any(
        (isinstance(one, ast.Attribute) and one.attr in bound)
        or (isinstance(one, ast.Name) and one.id in bound)
        or (isinstance(one, ast.Constant) and one.value in PARTS)
        for one in ast.walk(node)
    )


def _bound_to_parts(tree: ast.Module) -> set[str]:
    """Names that may stand for a part, by whatever way they were bound to one; those of the parts themselves too."""
    bound = set(PARTS)
    while True:
        before = len(bound)
        for node in ast.walk(tree):
            value = getattr(node, "value", None) or getattr(node, "iter", None)
            if isinstance(node, ast.Assign):
                targets: list[ast.expr] = node.targets
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.For | ast.comprehension):
                targets = [node.target]
            else:
                continue
            if value is not None and _mentions_a_part(value, bound):
                bound |= {name for target in targets for name in _names_of(target)}
        if len(bound) == before:
            return bound


def _names_of(target: ast.expr) -> Iterator[str]:
    """What an assignment binds: ``self.power = …`` binds "power", and nothing else of ``self``."""
    if isinstance(target, ast.Attribute):
        yield target.attr
    elif isinstance(target, ast.Subscript | ast.Starred):
        yield from _names_of(target.value)
    else:
        yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))


def _breaches(tree: ast.Module) -> list[str]:
    found = [
        f"imports {name}"
        for name in _imported(tree)
        if name.startswith("doublehop.drivers") or name == "doublehop.drivers"
    ]
    strict, bound = _may_hold_a_part(tree), _bound_to_parts(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and str(node.value).startswith("doublehop.drivers"):
            found.append(f"line {node.lineno}: names {node.value}")
        if isinstance(node, ast.Attribute) and node.attr in METHODS and _mentions_a_part(node.value, bound):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Call):
            found += [f"line {node.lineno}: {ast.unparse(node)}"] * _is_suspicious(node, strict)
    return found


def _is_suspicious(node: ast.Call, strict: bool) -> bool:
    """By name anywhere; where a part may be in hand, every call so named, and every name that only shows when it runs."""
    if ast.unparse(node.func) in {"getattr", "methodcaller"}:
        names = [one.value for one in node.args if isinstance(one, ast.Constant)]
        return any(name in METHODS for name in names) or (strict and not names)
    return strict and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS


def test_nobody_else_calls_what_changes_a_machine():
    breaches = {name: found for name, tree in _product() if (found := _breaches(tree))}
    assert breaches == {}


def test_drivers_are_asked_for_by_fleet_alone_and_opened_by_the_door_alone():
    for name, tree in _product():
        if any(one.startswith(registry.__name__) for one in _imported(tree)):
            assert name.startswith("fleet/"), name
            attributes = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
            assert "open" not in attributes, f"{name} opens a driver"


@pytest.mark.parametrize(
    "text",
    [
        "def f(server):\n    server.power.reset(graceful=False)",
        "def f(server):\n    p = server.power_switch\n    p.off(graceful=False)",
        "def f(server):\n    if (p := server.port):\n        p.set_enabled(False)",
        "def f(server):\n    for part in (server.rescue, server.rdns):\n        part.start()",
        "def f(server):\n    part = getattr(server, 'suspension')\n    part.suspend('x')",
        "def f(power):\n    act = power.reset\n    act(graceful=True)",
        "def f(x):\n    getattr(x, 'reset')(graceful=True)",
        "from doublehop.fleet import door\ndef f(x):\n    x.reset(graceful=True)",
        "from doublehop.driver_kit.contract import Power\ndef f(x: Power):\n    x.reset(graceful=True)",
        "from doublehop.drivers.memory.driver import DRIVER",
        "import importlib\nimportlib.import_module('doublehop.drivers.rack.driver')",
    ],
)
def test_the_search_finds_a_way_around(text):
    assert _breaches(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "cache.set('key', 1)",
        "import threading\nthreading.Thread(target=f).start()",
        "from doublehop.fleet import door\ndoor.read_power(1)",
    ],
)
def test_the_search_leaves_others_in_peace(text):
    assert _breaches(ast.parse(text)) == []
