"""The whole story of threat 25 in one process, with the commands that people use: backed up with open work, worked, restored.

``main`` prints one JSON object: what the machines felt and which mails went out, at each point of the story. It needs a
process of its own with the settings of an empty installation.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

from doublehop.cli.high_water import HighWater
from doublehop.cli.main import main as doublehop
from doublehop.jobs.models import Job
from doublehop.notices import actions as notices
from doublehop.notices import work as notices_work
from doublehop.organisations.installation import in_quarantine
from doublehop.services import upkeep, work
from doublehop.services.lifecycle import OperationKind
from doublehop.services.models import Operation
from tests.cast import Cast, a_cast
from tests.stage import Stage, a_product, a_service, a_stage, ask, run_jobs

LAST_NIGHT = timedelta(hours=9)
FILE = str(Path(settings.DOUBLEHOP_DATA_DIR) / "night.tar")


def open_work(cast: Cast, stage: Stage) -> None:
    """Five open operations and two mails, as they stood when the copy was taken."""
    names = ("suspend", "unsuspend", "reboot", "power", "rdns")
    stage.machines(*names)
    product = a_product(cast.ines, ways=["port"])
    client = cast.provider.clients.create(number=1001, name="Own client", email="own@northgate.example")
    service = {name: a_service(cast.ines, client.pk, product, stage.server(name)) for name in names}
    ask(cast.ines, OperationKind.SUSPEND, service["unsuspend"])
    settle()
    ask(cast.ines, OperationKind.SUSPEND, service["suspend"])
    ask(cast.ines, OperationKind.UNSUSPEND, service["unsuspend"])
    ask(cast.ines, OperationKind.REBOOT, service["reboot"], graceful=False)
    ask(cast.ines, OperationKind.POWER_OFF, service["power"], graceful=False)
    entry = {"address": stage.server("rdns").primary_address, "name": "mail.example.org"}
    stage.server("rdns").addresses.get_or_create(address=entry["address"])
    ask(cast.ines, OperationKind.SET_RDNS, service["rdns"], parameters=entry)
    for number in (1, 2):
        notices.write(
            organisation_id=cast.provider.pk,
            to="own@northgate.example",
            subject=f"Mail {number}",
            body="Text",
            about="order_waits",
            key=f"mail:{number}",
        )


def settle(rounds: int = 30) -> None:
    """The worker, as if the pauses between its looks had passed, timers included."""
    for _ in range(rounds):
        for tick in (work.sweep, notices_work.sweep, *upkeep.JOBS.values()):
            if tick is not upkeep.fill:
                tick({})
        Job.objects.update(run_at=timezone.now() - timedelta(seconds=1))
        run_jobs()
        if not Job.objects.exists():
            return


def age_the_copy() -> None:
    """Restored the morning after: everything in it is nine hours older."""
    for operation in Operation.objects.all():
        for name in ("asked_at", "send_before", "settle_before"):
            setattr(operation, name, getattr(operation, name) - LAST_NIGHT)
        operation.save()


def mails() -> int:
    """Counted in what was written: Django names the file by second and address in memory, so two mails may share one."""
    return sum(
        file.read_text().count("\nMessage-ID:") for file in Path(settings.EMAIL_FILE_PATH).glob("*.log")
    )


def command(*arguments: str) -> None:
    assert doublehop(arguments) == 0, arguments


def main() -> None:
    call_command("migrate", verbosity=0)
    cast = a_cast()
    stage = a_stage(cast.ines)
    told: dict[str, Any] = {}

    def tell(moment: str) -> None:
        effects = {name: stage.place.effects(name) for name in stage.place.machines if name != "lab"}
        told[moment] = {
            "effects": effects,
            "mails": mails(),
            "quarantine": in_quarantine(),
            "states": {
                f"{row.kind} {row.server.external_id}": row.state
                for row in Operation.objects.select_related("server")
            },
        }

    open_work(cast, stage)
    age_the_copy()
    tell("taken")
    command("backup", FILE)
    # The rest of that night: none of it is in the copy.
    Operation.objects.update(
        send_before=timezone.now() + LAST_NIGHT, settle_before=timezone.now() + LAST_NIGHT
    )
    settle()
    # And what nobody wrote down anywhere: the first client has paid, and has its network again.
    stage.place.machines["suspend"].port_enabled = True
    tell("worked")
    command("restore", FILE, "--replace")
    HighWater(settings.DOUBLEHOP_DATA_DIR).look()
    settle()
    tell("restored")
    service = Operation.objects.get(kind="suspend", server__external_id="suspend").service
    assert service is not None
    ask(cast.ines, OperationKind.UNSUSPEND, service)
    settle()
    command("confirm-restore", "--drop-mails")
    settle()
    tell("confirmed")
    print(json.dumps(told))
