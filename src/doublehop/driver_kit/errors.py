"""What may go wrong with an upstream, named by what the caller does next.

    UpstreamError
    ├── Unreachable          nothing was sent; trying again is safe
    ├── OutcomeUnknown       it may have acted; never send an edge step again
    ├── Busy(retry_at)       the upstream asks for patience; nothing was done
    ├── CredentialsRejected  tell the owner of the upstream; stop asking
    ├── NotFound             the upstream does not know this server
    ├── Refused(reason)      the upstream says no, and nothing was done
    └── BadAnswer            it broke its word; on a mutating call treat as OutcomeUnknown

The text of an error is for staff. It never holds a secret and is never shown to a client.
"""

from datetime import datetime


class UpstreamError(Exception):
    """Root of everything a driver may raise. ``code`` is stable and fit for columns and logs."""

    code = "upstream_error"
    sent = False
    """Whether bytes that could cause an effect may have left us."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.problem = ""
        """The stable ``code`` of the other side's problem body (RFC 9457), where it told one."""


class Unreachable(UpstreamError):
    code = "unreachable"


class OutcomeUnknown(UpstreamError):
    code = "outcome_unknown"
    sent = True

    def __init__(self, text: str, *, ticket: str = "") -> None:
        super().__init__(text)
        self.ticket = ticket
        """Text of a Ticket by which it can be asked later what came of it, where the upstream keeps such a thing."""


class Busy(UpstreamError):
    code = "busy"

    def __init__(self, text: str, *, retry_at: datetime | None = None, rests: bool = False) -> None:
        super().__init__(text)
        self.retry_at = retry_at
        self.rests = rests
        """The upstream itself asked for patience, until ``retry_at``, and its whole account rests. Otherwise it is one
        call that has to wait, for instance for our own budget."""


class CredentialsRejected(UpstreamError):
    code = "credentials_rejected"


class NotFound(UpstreamError):
    code = "not_found"


class Refused(UpstreamError):
    code = "refused"


class BadAnswer(UpstreamError):
    code = "bad_answer"
    sent = True
