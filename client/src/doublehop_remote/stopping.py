"""Why it stops, as an exit code, sentences for people, and the way on."""

from __future__ import annotations

from typing import Any

DONE = 0
REFUSED = 1
"""The service said no, or the operation failed: certain that it was not done."""
USAGE = 2
NOT_FOUND = 3
"""Nothing is called that, several things are, or there are too many to tell."""
NOT_SIGNED_IN = 4
"""No token, one that is not valid any more, or one whose scopes do not reach it."""
NO_ANSWER = 5
"""Not reachable, or no answer in time. Of a write it is not known whether it arrived."""
UNKNOWN = 6
"""The outcome of the operation is not known: a person at the service decides."""
NOT_ENDED = 7
"""The operation had not ended when the time was up, or waits for approval."""
NOT_CONFIRMED = 8
"""The question before harm was not answered with yes."""
NOT_UNDERSTOOD = 70
"""What answers is no such service, or one of a version that this program does not know."""
INTERRUPTED = 130


class Stop(Exception):
    """``step`` is what to do next; ``problem`` the body of the service's refusal, if it said why (RFC 9457)."""

    def __init__(
        self, exit_code: int, sentence: str, *, step: str = "", problem: dict[str, Any] | None = None
    ) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.sentence = sentence
        self.step = step
        self.problem = problem or {}

    def as_json(self) -> dict[str, Any]:
        return {
            "error": {
                "exit_code": self.exit_code,
                "title": self.sentence,
                "next_step": self.step,
                "status": self.problem.get("status"),
                "code": self.problem.get("code"),
                "reference": self.problem.get("reference"),
                "field": self.problem.get("field") or None,
            }
        }

    def lines(self) -> list[str]:
        told = [self.sentence]
        about = [f"field {self.problem['field']}"] if self.problem.get("field") else []
        about += [f"code {self.problem['code']}"] if self.problem.get("code") else []
        about += [f"reference {self.problem['reference']}"] if self.problem.get("reference") else []
        if about:
            told.append(f"({', '.join(about)})")
        return [*told, self.step] if self.step else told
