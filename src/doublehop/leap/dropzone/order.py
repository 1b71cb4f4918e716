"""Dropzone, module Order: what may be ordered. Ordering itself is done in the panel."""

from doublehop.leap import offers
from doublehop.leap.table import Call, Certainty, DropzoneCommand, Members


def list_offers(call: Call) -> Members:
    return {"data": offers.dropzone_lines(call.actor)}


def form_details(call: Call) -> Members:
    return {"data": offers.form_of(call.actor, call.arguments[0])}


COMMANDS = (
    DropzoneCommand(
        "order/list",
        ("GET",),
        Certainty.SEEN,
        list_offers,
        "The offers of the organisation above. What is not kept is empty; `currency` and `stock` are ours.",
    ),
    DropzoneCommand(
        "order/formdetails/{orderformid}",
        ("GET",),
        Certainty.SEEN,
        form_details,
        "`services` is empty: an offer has no options.",
    ),
)
