"""One press, one deed: a caller's key is answered with what came of it the first time, for at least ``KEPT_FOR``.

``@once("service.attached", again=…)`` stands above an action that has a parameter ``key``; it is the whole of it. Without a
key the action runs each time. With one,

* the first request does the deed and keeps its answer, in one transaction: a refusal keeps nothing, so it may be asked again;
* the same key with the same body gets the first answer, read again with the eyes of whoever asks now. Nothing happens;
* the same key with another body, or for another action, is refused (KeyReused, 409);
* one of the same moment waits for the first at the unique constraint, and is then one of the two above.

Operations keep the key in their own row, with the same rules, and for good (services.actions.operations): there the same key
is the same operation also after these days. A program's key is reserved here too, so that it names one deed of any kind.
"""

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from doublehop.organisations.actor import Actor
from doublehop.organisations.models import AnsweredKey
from doublehop.organisations.refusals import BadInput, KeyReused

KEPT_FOR = timedelta(days=30)
_PURPOSE = "doublehop.organisations.answered_key"

P = ParamSpec("P")
R = TypeVar("R")


@overload
def once(
    verb: str,
) -> Callable[[Callable[Concatenate[Actor, P], None]], Callable[Concatenate[Actor, P], None]]: ...
@overload
def once(
    verb: str, again: Callable[[Actor, int], R]
) -> Callable[[Callable[Concatenate[Actor, P], R]], Callable[Concatenate[Actor, P], R]]: ...
def once(verb: str, again: Callable[[Actor, int], Any] | None = None) -> Callable[[Any], Any]:
    """``verb`` tells actions apart. ``again`` fetches the row that was answered by its id, as far as the actor may see it, and
    raises NotHere; without it the action answers with nothing."""

    def around(deed: Callable[Concatenate[Actor, P], Any]) -> Callable[Concatenate[Actor, P], Any]:
        signature = inspect.signature(deed)
        if "key" not in signature.parameters:
            raise TypeError(f"{deed.__qualname__} takes no key")

        @wraps(deed)
        def asked(actor: Actor, /, *args: P.args, **kwargs: P.kwargs) -> Any:
            _, *given = signature.bind(
                actor, *args, **kwargs
            ).arguments.items()  # the actor is no part of the body
            body = {name: value for name, value in given if value != signature.parameters[name].default}
            key = body.pop("key", "")
            if not key:
                return deed(actor, *args, **kwargs)
            if not can_be_a_key(key):
                raise BadInput("The request carries no key that can be used.", field="key")
            with transaction.atomic():
                row, is_first = AnsweredKey.objects.get_or_create(
                    caller=caller_of(actor),
                    key=key,
                    defaults={"verb": verb, "body_digest": _digest_of(verb, body)},
                )
                if is_first:
                    answer = deed(actor, *args, **kwargs)
                    if again is not None:
                        row.answer = answer.pk
                        row.save(update_fields=["answer"])
                    return answer
                if not constant_time_compare(row.body_digest, _digest_of(verb, body)):
                    raise KeyReused
                return again(actor, row.answer or 0) if again is not None else None

        return asked

    return around


def can_be_a_key(text: str) -> bool:
    return re.fullmatch(r"[ -~]{1,120}", text) is not None


def reserve(actor: Actor, verb: str, key: str) -> None:
    """For actions that keep a program's key in a row of their own. Raises KeyReused where another one was asked under it.

    Within the caller's transaction: one of the same moment waits here.
    """
    if actor.token_id is None:
        return  # a form's key is its own
    row, _ = AnsweredKey.objects.get_or_create(caller=caller_of(actor), key=key, defaults={"verb": verb})
    if row.verb != verb:
        raise KeyReused


def caller_of(actor: Actor) -> str:
    """Whose keys are told apart: a token's, a person's, or an organisation's own programs'."""
    if actor.token_id is not None:
        return f"token:{actor.token_id}"
    return f"user:{actor.user_id}" if actor.user_id is not None else f"{actor.kind}:{actor.organisation_id}"


def forget_old_keys() -> int:
    """Rows older than ``KEPT_FOR``. Answers with how many."""
    count, _ = AnsweredKey.objects.filter(at__lt=timezone.now() - KEPT_FOR).delete()
    return count


def _digest_of(verb: str, body: Mapping[str, Any]) -> str:
    """Under the installation's secret key: bodies hold passwords, and none must be guessed from what is stored here.

    What is left out of ``body`` and what says the same as leaving it out are one, so that a request still answers to its key
    after an update that gives its action one more parameter. A new secret key makes every body another one.
    """
    text = json.dumps([verb, body], sort_keys=True, default=_plain)
    return salted_hmac(_PURPOSE, text, algorithm="sha256").hexdigest()


def _plain(value: Any) -> Any:
    """What JSON does not know, in one spelling. Anything else is our own fault, and fails loudly."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {field.name: text for field, text in told.items() if text != field.default}
    if isinstance(value, date | Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be compared under a key")
