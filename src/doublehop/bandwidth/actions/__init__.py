"""All writes of bandwidth, split by noun."""

from doublehop.bandwidth.actions.rounds import note_failure, write_round
from doublehop.bandwidth.actions.samples import write_sample_history
from doublehop.bandwidth.actions.totals import ask_totals, note_fetch_failure, pass_over, write_totals

__all__ = [
    "ask_totals",
    "note_failure",
    "note_fetch_failure",
    "pass_over",
    "write_round",
    "write_sample_history",
    "write_totals",
]
