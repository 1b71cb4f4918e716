"""Sign-ins of the box's people."""

import secrets
from dataclasses import dataclass

from doublehop.organisations.actor import Actor
from doublehop.organisations.models import User
from doublehop.organisations.queries import actor_for_user


@dataclass(frozen=True)
class SignIn:
    email: str
    password: str
    host: str
    """The brand's own host name, which browsers find on this machine by itself."""


def actor_of(user: User) -> Actor:
    actor = actor_for_user(user)
    if actor is None:
        raise LookupError(f"{user} belongs nowhere")
    return actor


def password() -> str:
    """Easy to type, hard to guess: four groups of four."""
    signs = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(signs) for _ in range(4)) for _ in range(4))
