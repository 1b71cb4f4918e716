"""``python -m tests.bench.fill_resellers SIZE...``: beside what ``fill`` made, a reseller for each size with as many machines
received, its LEAP account, and a Tandem user of the smallest. Prints the logins. Rows only: nothing is sent."""

import json
import sys

import django

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.utils import timezone  # noqa: E402

from doublehop.fleet.models import Address, Allocation, Permission, Server, Upstream  # noqa: E402
from doublehop.fleet.permissions import TANDEM_RIGHTS, Right  # noqa: E402
from doublehop.organisations import actions  # noqa: E402
from doublehop.organisations.models import Organisation, TandemUser, User  # noqa: E402
from doublehop.organisations.queries import actor_for_user  # noqa: E402
from tests.bench.scratch import PASSWORD  # noqa: E402


def main(sizes: list[int]) -> dict[str, object]:
    root = Organisation.objects.get(parent=None)
    owner = actor_for_user(User.objects.get(staff__organisation=root))
    assert owner is not None
    rack = Upstream.objects.get(organisation=root)
    logins: dict[str, object] = {str(size): _reseller(owner, root, rack, size) for size in sizes}
    return {**logins, "tandem": _tandem(min(sizes))}


def _reseller(owner, root: Organisation, rack: Upstream, size: int) -> dict[str, object]:
    reseller = actions.create_organisation(owner, name=f"Reseller {size}")
    person = actions.create_staff(
        owner,
        organisation_id=reseller.pk,
        name=f"Una {size}",
        email=f"una{size}@bench.example",
        password=PASSWORD,
        role="owner",
    )
    actor = actor_for_user(person.user)
    assert actor is not None
    _machines(root, reseller, rack, size)
    first = Server.objects.filter(allocations__receiver=reseller).order_by("pk").first()
    assert first is not None
    secrets = actions.show_leap_secrets(actor, PASSWORD)
    return {"user": reseller.leap_account.username, "server": first.pk, **secrets}


def _machines(root: Organisation, reseller: Organisation, rack: Upstream, size: int) -> None:
    now, name = timezone.now(), f"r{size}n"
    Server.objects.bulk_create(
        [
            Server(
                upstream=rack,
                external_id=f"{name}{n}",
                label=f"{name}{n:06d}".upper(),
                hostname=f"{name}{n}.example.org",
                primary_address=f"172.{16 + size % 7}.{n >> 8}.{n & 255}",
                power_state="on",
                power_read_at=now,
                username="root",
                listed_at=now,
                capabilities=["power"],
            )
            for n in range(size)
        ],
        batch_size=2000,
    )
    rows = list(Server.objects.filter(external_id__startswith=name).values_list("pk", "primary_address"))
    rights = [right.value for right in Right]
    Allocation.objects.bulk_create(
        [Allocation(server_id=pk, giver=root, receiver=reseller) for pk, _ in rows], batch_size=2000
    )
    Permission.objects.bulk_create(
        [Permission(server_id=pk, organisation=reseller, given_by=root, rights=rights) for pk, _ in rows],
        batch_size=2000,
    )
    Address.objects.bulk_create(
        [Address(server_id=pk, address=address, primary=True) for pk, address in rows], batch_size=2000
    )


def _tandem(size: int) -> dict[str, object]:
    reseller = Organisation.objects.get(name=f"Reseller {size}")
    user = User.objects.create(
        brand_organisation=reseller,
        email="noc@bench.example",
        name="Night shift",
        sign_in=f"{reseller.pk}:noc@bench.example",
        password=make_password(PASSWORD),
    )
    row = TandemUser.objects.create(user=user, organisation=reseller)
    rights = [right.value for right in TANDEM_RIGHTS]
    servers = Server.objects.filter(allocations__receiver=reseller)
    Permission.objects.bulk_create(
        [Permission(server=one, tandem_user=row, given_by=reseller, rights=rights) for one in servers]
    )
    return {"user": user.email, "password": PASSWORD}


if __name__ == "__main__":
    print(json.dumps(main([int(size) for size in sys.argv[1:]])))
