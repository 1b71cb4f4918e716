"""What became of a request whose answer was lost: asked for by the key that it carried."""

from datetime import datetime
from typing import Annotated

from django.http import HttpRequest
from ninja import Path, Router, Schema

from doublehop.api.paging import READ_PROBLEMS
from doublehop.api.problems import reader
from doublehop.api.shapes import OperationOut, operation_out
from doublehop.organisations import queries as organisations
from doublehop.organisations.once import can_be_a_key
from doublehop.organisations.refusals import NotHere
from doublehop.services import queries

router = Router(tags=["operations"])


class AnsweredOut(Schema):
    """What was done and is no operation, such as ``supply.order`` or ``client.create``; ``answer_id`` is the row's that it made
    or changed. The same request under its key is answered again, in full."""

    verb: str
    answer_id: int | None
    at: datetime


@router.get("/requests/{path:key}", response={200: OperationOut | AnsweredOut, **READ_PROBLEMS})
def one_request(request: HttpRequest, key: Annotated[str, Path(max_length=120)]) -> object:
    """What this very token asked for under an ``Idempotency-Key``, within thirty days; operations for good. 404: nothing was done
    under it."""
    actor = reader(request)
    if not can_be_a_key(key):
        raise NotHere
    row = queries.operations_of_key(actor, key).first()
    if row is not None:
        return operation_out(actor, row)
    answered = organisations.answered_key(actor, key)
    if answered is None:
        raise NotHere
    return {"verb": answered.verb, "answer_id": answered.answer, "at": answered.at}
