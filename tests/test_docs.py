"""The papers keep up with the code. ``python -m tests.test_docs`` writes the generated tables of docs/architecture.md anew."""

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from doublehop.driver_kit import registry
from doublehop.notices.events import EVENTS, NO_EVENT, kind_of
from doublehop.services.lifecycle import OPERATION_LIFE, RULES, SERVICE_LIFE, STEP_LIFE

HOME = Path(__file__).resolve().parent.parent
SOURCE = HOME / "src" / "doublehop"
ARCHITECTURE = HOME / "docs" / "architecture.md"
GLOSSARY = HOME / "docs" / "glossary.md"
WEBHOOKS = HOME / "docs" / "how-to" / "webhooks.md"
REFUSALS = HOME / "docs" / "manual" / "refusals.md"
PAPERS = sorted([*HOME.glob("*.md"), *HOME.glob("docs/**/*.md"), *SOURCE.glob("**/README.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)\b")
PICTURES = HOME / "docs" / "screenshots"


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def named(path: Path) -> str:
    return str(path.relative_to(HOME))


def prose_of(path: Path) -> str:
    """Without code blocks: what stands there is not a link."""
    return re.sub(r"```.*?```", "", text_of(path), flags=re.DOTALL)


# ---------------------------------------------------------------- generated tables


def service_life() -> str:
    lines = ["| a service that is | by | becomes |", "| --- | --- | --- |"]
    lines += [
        f"| {status.value} | {verb.value.replace('_', ' ')} | {after.value} |"
        for (status, verb), after in SERVICE_LIFE.items()
    ]
    return "\n".join(lines)


def operation_life() -> str:
    lines = ["| an operation that is | may become |", "| --- | --- |"]
    for state, following in OPERATION_LIFE.items():
        # A frozenset has no order of its own: the table's order serves.
        names = ", ".join(other.value for other in OPERATION_LIFE if other in following)
        lines.append(f"| {state.value} | {names or 'nothing: it has ended'} |")
    return "\n".join(lines)


def step_life() -> str:
    lines = ["| a step that is | may become |", "| --- | --- |"]
    for state, following in STEP_LIFE.items():
        names = ", ".join(other.value for other in STEP_LIFE if other in following)
        lines.append(f"| {state.value} | {names or 'nothing: it has ended'} |")
    return "\n".join(lines)


def rules() -> str:
    """One line for each trouble, one column for each nature that sends."""
    natures = list(dict.fromkeys(nature for nature, _ in RULES))
    lines = [
        "| what became of a sending | " + " | ".join(f"{nature.value} step" for nature in natures) + " |",
        "| --- " * (len(natures) + 1) + "|",
    ]
    for trouble in dict.fromkeys(trouble for _, trouble in RULES):
        cells = [RULES[nature, trouble].value for nature in natures]
        lines.append(f"| {trouble.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def events() -> str:
    lines = ["| kind | when | for clients |", "| --- | --- | --- |"]
    lines += [
        f"| `{kind}` | {event.told} | {'yes' if event.for_clients else 'no'} |"
        for kind, event in EVENTS.items()
    ]
    return "\n".join(lines)


EVENT_TABLES = {"events": events}
TABLES = {
    "service life": service_life,
    "operation life": operation_life,
    "step life": step_life,
    "rules": rules,
}


def with_tables(text: str, tables: dict = TABLES) -> str:
    for name, draw in tables.items():
        begin, end = f"<!-- table: {name} -->", "<!-- end -->"
        head, found, rest = text.partition(begin)
        assert found, f"there is no place for the table {name!r}"
        _, _, tail = rest.partition(end)
        text = f"{head}{begin}\n{draw()}\n{end}{tail}"
    return text


def test_the_tables_of_states_are_those_of_the_code():
    assert with_tables(text_of(ARCHITECTURE)) == text_of(ARCHITECTURE), "run python -m tests.test_docs"


def test_the_list_of_events_is_that_of_the_code():
    assert with_tables(text_of(WEBHOOKS), EVENT_TABLES) == text_of(WEBHOOKS), "run python -m tests.test_docs"


def verbs_in(node: ast.AST) -> set[str]:
    """Texts that may be verbs of the journal, below ``node``; what is put in while running is a ``*``."""
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            found.add(one.value)
        elif isinstance(one, ast.JoinedStr):
            found.add(
                "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in one.values)
            )
    return {text for text in found if re.fullmatch(r"[a-z_]+(\.[a-z_*]+)+", text)}


def journal_verbs() -> set[str]:
    """What stands in the place of a verb wherever a line is written, directly or through a room's own writer."""
    writers, found = {"record", "write", "write_line", "_write", "_write_line", "_ask"}, set()
    for tree in trees():
        for function in (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)):
            calls = [
                call
                for call in ast.walk(function)
                if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] in writers
            ]
            for call in calls:
                given = [*call.args, *(item.value for item in call.keywords if item.arg == "verb")]
                found |= {text for item in given for text in verbs_in(item)}
                names = {item.id for item in given if isinstance(item, ast.Name)}
                for line in (one for one in ast.walk(function) if isinstance(one, ast.Assign)):
                    if names & {ast.unparse(target) for target in line.targets}:
                        found |= verbs_in(line.value)
    return found


def test_every_verb_of_the_journal_is_an_event_or_named_as_none():
    known, verbs = {*EVENTS, *NO_EVENT}, journal_verbs()
    assert len(verbs) > 50, "the writers of the journal are not found any more"
    assert not EVENTS.keys() & NO_EVENT.keys()
    assert [
        verb for verb in sorted(verbs) if not any(fnmatchcase(kind, kind_of(verb)) for kind in known)
    ] == []
    patterns = {kind_of(verb) for verb in verbs}
    assert [kind for kind in sorted(known) if not any(fnmatchcase(kind, one) for one in patterns)] == []


# ---------------------------------------------------------------- links and commands


def anchors_of(path: Path) -> set[str]:
    """As code hosts make them: lower case, words joined by dashes, other signs left out."""
    heads = re.findall(r"^#+ (.+)$", prose_of(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("paper", PAPERS, ids=named)
def test_links_lead_somewhere(paper):
    for link in LINK.findall(prose_of(paper)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, anchor = link.partition("#")
        target = (paper.parent / place).resolve() if place else paper
        if target.parent == PICTURES and not any(PICTURES.glob("*.png")):
            continue  # a checkout before the first pictures were taken
        assert target.exists(), f"{named(paper)} links to {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target), f"{named(paper)} links to {link}"


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", text_of(HOME / "Makefile"), flags=re.MULTILINE))


def test_commands_named_are_commands_there():
    targets, unknown = make_targets(), {}
    for paper in PAPERS:
        code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text_of(paper), flags=re.DOTALL))
        unknown.update(
            {f"{named(paper)}: make {name}": name for name in MAKE.findall(code) if name not in targets}
        )
    assert unknown == {}


def test_the_readme_begins_with_the_two_commands():
    words = MAKE.findall(text_of(HOME / "README.md"))
    assert words.index("run") < words.index("test")


def test_no_paper_names_the_path_of_a_machine():
    for paper in PAPERS:
        found = re.search(r"(?<![\w.])/(home|root|work|Users|tmp)/\w+", text_of(paper))
        assert found is None, f"{named(paper)}: {found.group()}"


# ---------------------------------------------------------------- the map


def rooms() -> list[str]:
    return sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


def test_every_room_stands_on_the_map():
    text = text_of(ARCHITECTURE)
    assert [room for room in rooms() if f"| `{room}` |" not in text] == []


def walls() -> list[dict]:
    return tomllib.loads(text_of(HOME / "pyproject.toml"))["tool"]["importlinter"]["contracts"]


def test_the_map_is_the_one_that_imports_obey():
    drawn = re.findall(r"^│ ([a-z_ ]+) │", text_of(ARCHITECTURE), flags=re.MULTILINE)
    layers = next(wall["layers"] for wall in walls() if wall["type"] == "layers")
    assert [line.split() for line in drawn] == [layer.split(" | ") for layer in layers]


def test_every_wall_stands_in_the_papers():
    names = [wall["name"] for wall in walls()]
    assert [name for name in names if f"| {name} |" not in text_of(ARCHITECTURE)] == []


def test_every_time_limit_named_is_there():
    table = text_of(ARCHITECTURE).partition("## Where time limits stand")[2]
    names = [name for name in re.findall(r"`([a-z_.]+\.[A-Z]\w+)`", table) if "." in name]
    assert len(names) > 10
    for name in names:
        module, _, constant = name.rpartition(".")
        assert hasattr(importlib.import_module(f"doublehop.{module}"), constant), name


def test_code_named_by_the_glossary_is_there():
    for line in text_of(GLOSSARY).splitlines():
        place = line.rpartition("| ")[2] if line.startswith("| ") else ""
        for name in re.findall(r"`([a-z_.]+)\.([A-Z]\w+)`", place):
            assert hasattr(importlib.import_module(f"doublehop.{name[0]}"), name[1]), ".".join(name)


def class_names(path: Path, base: str) -> list[str]:
    return [
        node.name
        for node in ast.parse(text_of(path)).body
        if isinstance(node, ast.ClassDef) and base in [ast.unparse(one) for one in node.bases]
    ]


def models_of(room: str) -> list[str]:
    path = SOURCE / room / "models.py"
    if not path.exists():
        return []
    return class_names(path, "models.Model") + class_names(path, "AbstractBaseUser")


@pytest.mark.parametrize("room", rooms())
def test_every_table_is_explained(room):
    papers = text_of(GLOSSARY) + text_of(ARCHITECTURE)
    missing = [name for name in models_of(room) if not re.search(rf"`[\w.]*\b{name}\b", papers)]
    assert missing == []


@pytest.mark.parametrize("driver", registry.names())
def test_every_driver_tells_about_itself_and_is_linked(driver):
    assert (SOURCE / "drivers" / driver / "README.md").exists()
    links = [link for paper in HOME.glob("docs/**/*.md") for link in LINK.findall(text_of(paper))]
    assert any(link.endswith(f"drivers/{driver}/README.md") for link in links)


# ---------------------------------------------------------------- settings and codes


def test_every_environment_variable_is_explained():
    names = set(
        re.findall(r"\b(?:DOUBLEHOP_[A-Z_]+|DATABASE_URL)\b", text_of(SOURCE / "site" / "environment.py"))
    )
    text = text_of(HOME / "docs" / "how-to" / "go-real.md")
    assert sorted(name for name in names if name not in text) == []


@cache
def trees() -> tuple[ast.Module, ...]:
    paths = [path for path in SOURCE.glob("**/*.py") if not {"tests", "migrations"} & set(path.parts)]
    return tuple(ast.parse(text_of(path)) for path in paths)


def nodes(kind: type[ast.AST]) -> Iterator[ast.AST]:
    for tree in trees():
        yield from (node for node in ast.walk(tree) if isinstance(node, kind))


def heirs_of(*roots: str) -> set[str]:
    """The names of classes below ``roots``, roots included."""
    bases = {
        node.name: {ast.unparse(one).split(".")[-1] for one in node.bases} for node in nodes(ast.ClassDef)
    }
    found, before = set(roots), set()
    while found != before:
        before = set(found)
        found |= {name for name, above in bases.items() if above & found}
    return found


def class_texts(names: set[str], attribute: str) -> set[str]:
    return {
        line.value.value
        for node in nodes(ast.ClassDef)
        if node.name in names
        for line in node.body
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == attribute
        if isinstance(line.value, ast.Constant)
    }


def call_texts(names: set[str], *, keyword: str = "", place: int | None = None) -> set[str]:
    found = set()
    for call in nodes(ast.Call):
        if ast.unparse(call.func).split(".")[-1] not in names:
            continue
        given = [item.value for item in call.keywords if item.arg == keyword]
        if place is not None and len(call.args) > place:
            given.append(call.args[place])
        found |= {
            item.value for item in given if isinstance(item, ast.Constant) and isinstance(item.value, str)
        }
    return found


def refusal_codes() -> set[str]:
    kinds = heirs_of("Refusal")
    return class_texts(kinds, "default_code") | call_texts(kinds, keyword="code")


def failure_codes() -> set[str]:
    """What ``Operation.failure_code`` and ``Upstream.failure_code`` may hold."""
    return (
        class_texts(heirs_of("UpstreamError"), "code")
        | call_texts({"NotSent", "Unsure"}, keyword="code", place=0)
        | call_texts({"_unread"}, place=2)
        | call_texts({"settle_row"}, keyword="code")
        | call_texts({"note_failure"}, place=1)
        | {"vault_closed"}
    )


def codes_in_paper(heading: str) -> list[str]:
    part = text_of(REFUSALS).partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([a-z_]+)` \|", part, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "codes"),
    [("Refusals", refusal_codes), ("Causes of failed and unknown operations", failure_codes)],
    ids=["refusals", "causes"],
)
def test_every_code_is_explained_once(heading, codes):
    assert sorted(codes_in_paper(heading)) == sorted(codes())


def main() -> None:
    for paper, tables in ((ARCHITECTURE, TABLES), (WEBHOOKS, EVENT_TABLES)):
        paper.write_text(with_tables(text_of(paper), tables), encoding="utf-8")
        print(f"{named(paper)}: tables written")


if __name__ == "__main__":
    main()
