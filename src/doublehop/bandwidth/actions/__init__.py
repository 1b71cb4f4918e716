"""All writes of bandwidth, split by noun."""

from doublehop.bandwidth.actions.rounds import note_failure, write_round
from doublehop.bandwidth.actions.samples import write_sample_history

__all__ = ["note_failure", "write_round", "write_sample_history"]
