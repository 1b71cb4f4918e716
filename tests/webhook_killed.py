"""An installation with a webhook and events for it, in a process of its own: ``python -m tests.webhook_killed WHAT [URL]``.

``prepare URL`` makes both and says the secret; ``check`` says what became of the deliveries.
"""

import json
import sys

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from doublehop.notices.endpoints import EndpointForm, create_endpoint  # noqa: E402
from doublehop.notices.models import WebhookDelivery  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from tests.cast import a_cast  # noqa: E402

EVENTS = 3


def prepare(url: str) -> None:
    call_command("migrate", verbosity=0)
    cast = a_cast()
    row = create_endpoint(cast.ines, EndpointForm(url, kinds=["client.created"]))
    assert row.new_secret is not None
    for number in range(EVENTS):
        organisations.create_client(cast.ines, name=f"Client {number}")
    print(row.new_secret.reveal())


def check() -> None:
    rows = WebhookDelivery.objects.order_by("pk").values("webhook_id", "state", "attempts")
    print(json.dumps(list(rows)))


if __name__ == "__main__":
    {"prepare": prepare, "check": check}[sys.argv[1]](*sys.argv[2:])
