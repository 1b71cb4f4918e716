"""The paper of both APIs is drawn from the tables of commands. ``python -m doublehop.leap.tests.test_papers`` draws it anew."""

from collections.abc import Iterable
from pathlib import Path

PAPER = Path(__file__).resolve().parents[4] / "docs" / "api" / "leap-and-dropzone.md"
BEGIN, END = "<!-- table: {} -->", "<!-- end -->"


def leap_table(module: str) -> str:
    from doublehop.leap.views import LEAP  # noqa: PLC0415 (as a program this is imported before Django is set up)

    lines = ["| command | how sure | remarks |", "| --- | --- | --- |"]
    lines += [f"| `{one.name}` | {one.certainty} | {one.note} |" for one in LEAP[module].values()]
    return "\n".join(lines)


def dropzone_table() -> str:
    from doublehop.leap.dropzone.commands import COMMANDS  # noqa: PLC0415

    lines = ["| path | method | how sure | Tandem users | remarks |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| `/dropzone/{one.usage}` | {', '.join(one.methods)} | {one.certainty} | {'yes' if one.for_tandem else ''} | {one.note} |"
        for one in COMMANDS
    ]
    return "\n".join(lines)


def drawn(text: str) -> str:
    tables: Iterable[tuple[str, str]] = (
        ("leap account", leap_table("account")),
        ("leap server", leap_table("server")),
        ("dropzone", dropzone_table()),
    )
    for name, table in tables:
        head, found, rest = text.partition(BEGIN.format(name))
        assert found, f"{PAPER.name} has no place for the table {name}"
        text = f"{head}{found}\n{table}\n{END}{rest.partition(END)[2]}"
    return text


def test_every_command_stands_in_the_paper_as_it_is():
    text = PAPER.read_text(encoding="utf-8")
    assert drawn(text) == text, "run python -m doublehop.leap.tests.test_papers"


def test_nothing_is_called_as_seen_that_is_ours():
    from doublehop.leap.dropzone.commands import COMMANDS  # noqa: PLC0415

    kinds = {one.usage: one.certainty for one in COMMANDS}
    assert kinds["server/reboot/{serverid}"] == "inferred"
    assert kinds["server/suspend/{serverid}"] == "ours"


if __name__ == "__main__":
    import django

    django.setup()
    PAPER.write_text(drawn(PAPER.read_text(encoding="utf-8")), encoding="utf-8")
