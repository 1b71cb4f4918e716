"""All writes of bandwidth, split by noun."""

from doublehop.bandwidth.actions.claims import claim, note_failures
from doublehop.bandwidth.actions.clearing import clear_old
from doublehop.bandwidth.actions.packing import pack_days
from doublehop.bandwidth.actions.quarantine import decide
from doublehop.bandwidth.actions.rounds import write_round, write_rounds
from doublehop.bandwidth.actions.samples import write_sample_history
from doublehop.bandwidth.actions.totals import ask_totals, note_fetch_failure, pass_over, write_totals

__all__ = [
    "ask_totals",
    "claim",
    "clear_old",
    "decide",
    "note_failures",
    "note_fetch_failure",
    "pack_days",
    "pass_over",
    "write_round",
    "write_rounds",
    "write_sample_history",
    "write_totals",
]
