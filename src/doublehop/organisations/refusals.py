"""Why we say no, in words for the person who asked. One mapping serves panels and API.

Refusal
├── NotHere      404  it does not exist, or is not yours: the same words for both
├── NotAllowed   403  yours, but your role or right does not reach it
├── WrongState   409  not now: the state of the thing forbids it
│   ├── KeyReused     an idempotency key that stood for another request
│   ├── OtherBilling  it belongs to another billing system
│   └── ReferenceTaken  a billing system's own id stands for another row
├── NotOffered   409  this machine has no such part
└── BadInput     422  a field is wrong; ``field`` names it
"""


class Refusal(Exception):
    """``code`` is stable and documented; ``sentence`` is for the person and free of causes from beyond the brand."""

    http_status = 409
    default_code = "refused"

    def __init__(self, sentence: str, *, code: str = "", field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code or self.default_code
        self.field = field


class NotHere(Refusal):
    http_status = 404
    default_code = "not_found"

    def __init__(self, sentence: str = "Not found.") -> None:
        super().__init__(sentence)


class NotAllowed(Refusal):
    http_status = 403
    default_code = "not_allowed"


class WrongState(Refusal):
    http_status = 409
    default_code = "wrong_state"


class KeyReused(WrongState):
    default_code = "key_reused"

    def __init__(
        self,
        sentence: str = "This key was used for something else. Load the page again, and send it once more.",
    ) -> None:
        super().__init__(sentence)


class OtherBilling(WrongState):
    default_code = "other_billing_system"


class ReferenceTaken(WrongState):
    default_code = "reference_taken"

    def __init__(self, sentence: str = "This billing reference stands for another one already.") -> None:
        super().__init__(sentence)


class NotOffered(Refusal):
    http_status = 409
    default_code = "not_offered"


class BadInput(Refusal):
    http_status = 422
    default_code = "bad_input"
