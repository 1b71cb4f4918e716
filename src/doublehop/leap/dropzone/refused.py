"""Dropzone's modules Billing, Service, Support and Solution: known, and not offered."""

from doublehop.leap.table import Call, Certainty, DropzoneCommand, Members
from doublehop.organisations.refusals import NotOffered

_KNOWN = {
    "Billing": (
        "billing/list", "billing/view", "billing/pay", "billing/credits", "billing/paymentmethods",
    ),
    "Service": ("service/list", "service/license/purchase"),
    "Support": (
        "support/list", "support/departments", "support/view", "support/create", "support/reply",
    ),
    "Solution": (
        "solution/services/list", "solution/order/create", "solution/order/add", "solution/order/view",
    ),
}  # fmt: skip


def _refusing(module: str, usage: str) -> DropzoneCommand:
    sentence = f"{module} is not offered here."

    def refuse(call: Call) -> Members:
        raise NotOffered(sentence)

    return DropzoneCommand(f"{usage}/{{…}}", ("GET", "POST"), Certainty.REFUSED, refuse, sentence, True)


COMMANDS = tuple(_refusing(module, usage) for module, usages in _KNOWN.items() for usage in usages)
