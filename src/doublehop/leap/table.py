"""What a command is: its name, how sure we are that it was so, and what answers. The papers are drawn from these tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from django.http import HttpRequest

from doublehop.leap.fields import Fields
from doublehop.organisations.actor import Actor


class Certainty(StrEnum):
    SEEN = "as seen"
    """Name and shape stand in a public trace of the old API."""
    INFERRED = "inferred"
    """Name, way of asking or shape is deduced."""
    OURS = "ours"
    """The old API had no such thing, or none that anybody saw."""
    REFUSED = "refused"
    """Known, and answered with why it is not offered here."""


@dataclass(frozen=True)
class LeapCommand:
    """``run`` answers with the whole content, for some answers are bare arrays."""

    name: str
    certainty: Certainty
    run: Callable[[Actor, Fields], object]
    note: str


@dataclass(frozen=True)
class Call:
    """One call of Dropzone: who asks, with which parts of the address, and which fields."""

    request: HttpRequest
    actor: Actor
    arguments: tuple[str, ...]
    fields: Fields


Members = Mapping[str, object]
"""What stands in an answer beside ``success``: "data", "operation"."""


@dataclass(frozen=True)
class DropzoneCommand:
    """``usage`` is like "server/view/{serverid}"; "{userid?}" may be left out, "{…}" is any number of parts."""

    usage: str
    methods: tuple[str, ...]
    certainty: Certainty
    run: Callable[[Call], Members]
    note: str
    for_tandem: bool = False
    """Whether a Tandem user may ask it, too."""
    words: tuple[str, ...] = field(init=False)
    least: int = field(init=False)
    most: int | None = field(init=False)

    def __post_init__(self) -> None:
        parts = self.usage.split("/")
        arguments = [part for part in parts if part.startswith("{")]
        endless = arguments == ["{…}"]
        needed = 0 if endless else sum(not part.endswith("?}") for part in arguments)
        object.__setattr__(self, "words", tuple(part for part in parts if not part.startswith("{")))
        object.__setattr__(self, "least", needed)
        object.__setattr__(self, "most", None if endless else len(arguments))

    def arguments_of(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """What follows the command's words in a path; None when the path is another command's."""
        length = len(self.words)
        if parts[:length] != self.words:
            return None
        arguments = parts[length:]
        fits = self.least <= len(arguments) and (self.most is None or len(arguments) <= self.most)
        return arguments if fits else None
