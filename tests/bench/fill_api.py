"""``python -m tests.bench.fill_api``: what the API reads besides: a token, a month of one service's slots, usage of all."""

import json
from datetime import timedelta

import django

django.setup()

from django.utils import timezone  # noqa: E402

from doublehop.bandwidth import actions as bandwidth  # noqa: E402
from doublehop.fleet.models import Port, Upstream  # noqa: E402
from doublehop.organisations import actions as organisations  # noqa: E402
from doublehop.organisations.models import User  # noqa: E402
from doublehop.organisations.queries import actor_for_user  # noqa: E402
from doublehop.services.models import Attachment, PeriodUsage, Service  # noqa: E402


def main() -> dict[str, object]:
    owner = actor_for_user(User.objects.get(email="bea@bench.example"))
    assert owner is not None
    token = organisations.create_token(owner, organisations.TokenForm("Bench", ["read"]))
    services = list(Service.objects.order_by("pk"))
    one = services[len(services) // 2]
    now = timezone.now()
    Attachment.objects.create(service=one, server_id=one.server_id, since=now - timedelta(days=60))
    # An upstream of its own, so that only this one port has a history.
    counter = Upstream.objects.create(
        organisation_id=one.organisation_id, driver="rack", name="Counters", endpoint="counters"
    )
    Port.objects.create(upstream=counter, server_id=one.server_id, if_name="xe-0/0/1")
    bandwidth.write_sample_history(counter.pk, days=40, raw_days=35)
    PeriodUsage.objects.bulk_create(
        (
            PeriodUsage(
                subject=f"service:{row.pk}",
                organisation_id=row.organisation_id,
                client_id=row.client_id,
                product_id=row.product_id,
                service=row,
                label="this month",
                start=now - timedelta(days=10),
                end=now + timedelta(days=20),
                unit_name="GB",
                octets_in=10**12,
                octets_out=10**13,
                percentile_95=10**8,
            )
            for row in services
        ),
        batch_size=2000,
    )
    return {"token": token.shown.reveal(), "service": one.pk}


if __name__ == "__main__":
    print(json.dumps(main()))
