"""What the organisation above offers, in the members that old clients read. What nobody knows is an empty text."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from doublehop.leap.fields import id_of
from doublehop.organisations.actor import Actor
from doublehop.organisations.refusals import NotHere
from doublehop.services.queries.supply import offers_for

if TYPE_CHECKING:
    from doublehop.services.models import Offer

_PARTS = re.compile(r"\s*([\d.,]+)\s*([kMGT]i?B)\b\s*(.*)")


def leap_lines(actor: Actor) -> list[dict[str, str]]:
    return [
        {
            "name": line.offer.code or line.offer.name,
            "realname": line.offer.name,
            "processor": line.offer.processor,
            "ram": line.offer.memory,
            "harddrive": line.offer.disks,
            "hdid": "",
            "maxdrives": "",
            "bandwidth": line.offer.bandwidth,
            "price": _money(line.offer.price),
            "orders_server_id": str(line.offer.pk),
        }
        for line in offers_for(actor)
    ]


def dropzone_lines(actor: Actor) -> list[dict[str, object]]:
    """``currency`` and ``stock`` are ours: null for a stock that is filled by hand."""
    return [
        {
            **_head(line.offer),
            "servernameparts": {
                **_name_parts(line.offer), "procOnly": line.offer.processor,
                "cpuCores": "", "cpuSpeed": "", "cpuUnit": "",
            },
            "cascade": False,
            "fullymanaged": False,
            "instock": line.in_stock,
            "ram": line.offer.memory,
            "ramparts": _parts(line.offer.memory),
            "hd": line.offer.disks,
            "hdparts": _parts(line.offer.disks),
            "bandwidth": line.offer.bandwidth,
            "bandwidthparts": _parts(line.offer.bandwidth),
            "retailprice": "",
            "setupfee": _money(line.offer.setup_fee),
            "discount": "",
            "override": "",
            "tandemonly": False,
            "currency": line.offer.currency,
            "stock": line.stock,
        }
        for line in offers_for(actor)
    ]  # fmt: skip


def form_of(actor: Actor, given: object) -> dict[str, object]:
    """The page before an order. Orders themselves are placed in the panel: no such command was ever seen."""
    offer_id = id_of(given)
    offer = next((line.offer for line in offers_for(actor) if line.offer.pk == offer_id), None)
    if offer is None:
        raise NotHere("There is no such order form.")
    form = {
        **_head(offer),
        "quarterlyprice": "",
        "skippages": 0,
        "tandem": 0,
        "servernameparts": _name_parts(offer),
        "currency": offer.currency,
    }
    return {"form": form, "services": {}}


def _head(offer: "Offer") -> dict[str, object]:
    return {
        "orderformid": str(offer.pk),
        "servercode": offer.code,
        "servername": offer.name,
        "price": _money(offer.price),
    }


def _name_parts(offer: "Offer") -> dict[str, str]:
    return {"line": offer.code, "name": offer.name}


def _parts(text: str) -> dict[str, str]:
    """ "64 GB ECC" is 64, GB, ECC."""
    found = _PARTS.fullmatch(text)
    return dict(zip(("size", "unit", "type"), found.groups() if found else ("", "", text), strict=True))


def _money(amount: Decimal) -> str:
    """ "249" and "249.50"."""
    return f"{amount:.0f}" if amount == amount.to_integral_value() else f"{amount:.2f}"
