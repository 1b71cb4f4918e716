"""Reasons to end with a sentence instead of a traceback."""

WRONG = 1
CANNOT_START = 78
"""EX_CONFIG of sysexits.h: starting again will not help, so ``serve`` does not try."""


class CannotGoOn(Exception):
    """``str(error)`` is what the person at the terminal reads. One sentence, or a list, one line each."""

    def __init__(self, text: str, *, exit_code: int = WRONG) -> None:
        super().__init__(text)
        self.exit_code = exit_code
