"""How each state looks: tone, icon, word. One table per kind of state, so the same thing looks the same everywhere.

The tone names a pair of tokens (ink on wash) in ``static/panel/tokens.css``; an icon and a word always stand with it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

STALE_AFTER = timedelta(minutes=3)
"""Three intervals of the background reading of a machine's state: what is older is drawn hollow."""


@dataclass(frozen=True)
class Look:
    tone: str
    icon: str
    word: str
    spin: bool = False


NOT_READ = Look(tone="off", icon="clock", word="Not read yet")
_UNKNOWN = Look(tone="unknown", icon="question-mark", word="Unknown")

LOOKS: dict[str, dict[str, Look]] = {
    "power": {
        "on": Look(tone="on", icon="circle-check", word="On"),
        "off": Look(tone="off", icon="circle", word="Off"),
        "restarting": Look(tone="working", icon="refresh", word="Restarting", spin=True),
        "unknown": _UNKNOWN,
        "": NOT_READ,
    },
    "service": {
        "pending": Look(tone="working", icon="clock", word="Pending"),
        "active": Look(tone="on", icon="circle-check", word="Active"),
        "suspended": Look(tone="suspended", icon="player-pause", word="Suspended"),
        "terminated": Look(tone="off", icon="circle-off", word="Terminated"),
        "cancelled": Look(tone="off", icon="circle-off", word="Cancelled"),
        "fraud": Look(tone="failed", icon="ban", word="Fraud"),
    },
    "operation": {
        "held": Look(tone="suspended", icon="hand-stop", word="Waits for approval"),
        "queued": Look(tone="off", icon="clock", word="Waiting"),
        "running": Look(tone="working", icon="refresh", word="Running", spin=True),
        "done": Look(tone="on", icon="check", word="Done"),
        "failed": Look(tone="failed", icon="x", word="Failed"),
        "unknown": Look(tone="unknown", icon="question-mark", word="Outcome unknown"),
        "cancelled": Look(tone="off", icon="circle-off", word="Cancelled"),
    },
    "batch": {
        "open": Look(tone="suspended", icon="hand-stop", word="Waits for approval"),
        "approved": Look(tone="on", icon="check", word="Approved"),
        "refused": Look(tone="off", icon="ban", word="Refused"),
    },
    "step": {
        "pending": Look(tone="todo", icon="minus", word="Not started"),
        "sent": Look(tone="working", icon="refresh", word="Running", spin=True),
        "done": Look(tone="on", icon="check", word="Done"),
        "failed": Look(tone="failed", icon="x", word="Failed"),
        "unknown": _UNKNOWN,
    },
    "result": {
        "asked": Look(tone="working", icon="clock", word="Asked"),
        "running": Look(tone="working", icon="refresh", word="Running", spin=True),
        "done": Look(tone="on", icon="check", word="Done"),
        "failed": Look(tone="failed", icon="x", word="Failed"),
        "refused": Look(tone="failed", icon="ban", word="Refused"),
        "unknown": _UNKNOWN,
        "cancelled": Look(tone="off", icon="circle-off", word="Cancelled"),
        "held": Look(tone="suspended", icon="hand-stop", word="Held"),
    },
    "token": {
        "in_use": Look(tone="on", icon="check", word="In use"),
        "expired": Look(tone="off", icon="clock", word="Expired"),
        "revoked": Look(tone="off", icon="ban", word="Revoked"),
    },
    "health": {
        "ok": Look(tone="on", icon="circle-check", word="OK"),
        "warning": Look(tone="suspended", icon="alert-triangle", word="Warning"),
        "critical": Look(tone="failed", icon="x", word="Critical"),
        "unknown": _UNKNOWN,
        "": NOT_READ,
    },
    "source": {
        "fine": Look(tone="on", icon="plug-connected", word="Answers"),
        "unreachable": Look(tone="failed", icon="plug-connected-x", word="Not reachable"),
        "credentials_rejected": Look(tone="failed", icon="key-off", word="Login refused"),
        "failing": Look(tone="failed", icon="plug-connected-x", word="Failing"),
        "resting": Look(tone="working", icon="clock", word="Resting"),
        "new": Look(tone="off", icon="clock", word="Not read yet"),
        "observe": Look(tone="off", icon="eye", word="Observe only"),
        "armed": Look(tone="on", icon="bolt", word="Armed"),
    },
    "supply": {
        "waiting": Look(tone="working", icon="clock", word="Waiting"),
        "filled": Look(tone="on", icon="check", word="Filled"),
        "refused": Look(tone="failed", icon="ban", word="Refused"),
        "withdrawn": Look(tone="off", icon="circle-off", word="Withdrawn"),
    },
    "upstream_order": {
        "asked": Look(tone="off", icon="clock", word="Not sent yet"),
        "sent": Look(tone="working", icon="refresh", word="Asked", spin=True),
        "waiting": Look(tone="working", icon="clock", word="Waiting"),
        "filled": Look(tone="on", icon="check", word="Filled"),
        "refused": Look(tone="failed", icon="ban", word="Refused"),
        "withdrawn": Look(tone="off", icon="circle-off", word="Withdrawn"),
        "unknown": _UNKNOWN,
    },
    "mail": {
        "waiting": Look(tone="working", icon="clock", word="Waiting"),
        "sent": Look(tone="on", icon="check", word="Sent"),
        "kept": Look(tone="suspended", icon="mail-off", word="Kept"),
        "failed": Look(tone="failed", icon="x", word="Failed"),
    },
    "webhook": {
        "active": Look(tone="on", icon="circle-check", word="Active"),
        "failing": Look(tone="failed", icon="x", word="Failing"),
        "paused": Look(tone="suspended", icon="player-pause", word="Paused"),
    },
    "delivery": {
        "waiting": Look(tone="working", icon="clock", word="Waiting"),
        "delivered": Look(tone="on", icon="check", word="Delivered"),
        "failed": Look(tone="failed", icon="x", word="Failed"),
    },
    "port": {
        "up": Look(tone="on", icon="circle-check", word="On"),
        "down": Look(tone="off", icon="circle", word="Off"),
        "": NOT_READ,
    },
}


def look(kind: str, state: str) -> Look:
    """The look of ``state``. A state that no table knows is shown as unknown, never as good."""
    return LOOKS[kind].get(str(state or ""), _UNKNOWN)


def is_stale(
    read_at: datetime | None, *, now: datetime | None = None, after: timedelta = STALE_AFTER
) -> bool:
    return read_at is not None and (now or timezone.now()) - read_at > after
