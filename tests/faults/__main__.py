"""``python -m tests.faults`` draws docs/faults.md from the table of ``tests.faults.matrix``."""

from pathlib import Path

from tests.faults.matrix import MEANS, ROWS, Cell, Column, Outcome, Row

PAPER = Path(__file__).parent.parent.parent / "docs" / "faults.md"
HEAD = """# What happens when something goes wrong

For operators. Every cell of this table is played by the tests, through the worker's own code, with machines behind a network
that is spoiled on purpose; `python -m tests.faults` draws it anew. Without more words a fault is meant that passes after a
minute; after *stays* stands what becomes of an instruction when it does not pass before the deadline.
"""
FOOT = """*Reinstall* is not built yet. It will be sent once, like *rescue*, and be unknown when in doubt.
"""
SHOWN = tuple(column for column in Column if column is not Column.REINSTALL)


def _words(cell: Cell) -> str:
    return cell.then.value + (f"; stays: {cell.stays.value}" if cell.stays else "")


def _line(row: Row, number: str) -> str:
    cells = " | ".join(_words(row.cells[column]) for column in SHOWN)
    return f"| {row.name}{number} | {cells} |"


def _remarks(row: Row) -> str:
    """Why the row is as it is, and why cells of it are empty."""
    empty: dict[str, list[str]] = {}
    for column in SHOWN:
        cell = row.cells[column]
        if cell.then is Outcome.ABSENT and cell.why != row.why:
            empty.setdefault(cell.why, []).append(column.value)
    return "; ".join(
        [*filter(None, [row.why]), *(f"{', '.join(names)}: {why}" for why, names in empty.items())]
    )


def drawn() -> str:
    remarks = list(dict.fromkeys(filter(None, map(_remarks, ROWS))))
    lines = [HEAD, f"| fault | {' | '.join(SHOWN)} |", f"|{' --- |' * (len(SHOWN) + 1)}"]
    for row in ROWS:
        remark = _remarks(row)
        lines.append(_line(row, f" ({remarks.index(remark) + 1})" if remark else ""))
    lines += ["", "## The words", "", "| word | means |", "| --- | --- |"]
    lines += [f"| {outcome.value} | {sentence} |" for outcome, sentence in MEANS.items()]
    lines += ["| – | There is no such thing here, or it is not built yet. |", "", "## Remarks", ""]
    lines += [f"{number}. {remark[0].upper()}{remark[1:]}." for number, remark in enumerate(remarks, 1)]
    return "\n".join([*lines, "", FOOT])


def main() -> None:
    PAPER.write_text(drawn(), encoding="utf-8")
    print(f"{PAPER.name}: written")


if __name__ == "__main__":
    main()
