"""The welcome mail: the first sign-in data of a service, once its server is really there. Nothing but our own texts."""

import re
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from doublehop.driver_kit.secret import Secret
from doublehop.fleet.models import Server
from doublehop.notices import actions as notices
from doublehop.notices.models import Mail
from doublehop.organisations import record, vault
from doublehop.organisations.actor import SYSTEM
from doublehop.organisations.queries import address_of_client, panel_address
from doublehop.organisations.refusals import BadInput
from doublehop.services.models import Service

PLACEHOLDERS = {
    "client": "the client's name",
    "service": "the number of the service, such as S-3001",
    "hostname": "its hostname",
    "addresses": "its addresses, one a line, the main one first",
    "username": "the login name on the machine",
    "password": "the machine's password, where the provider hands it out; it stands in no copy of the mail",
    "panel": "the address of your panel",
}
DEFAULT_SUBJECT = "Your server {hostname} is ready"
DEFAULT_BODY = """Hello {client},

your server is ready.

Hostname: {hostname}
Addresses:
{addresses}

Username: {username}
Password: {password}

State, addresses and bandwidth: {panel}"""
LONGEST_BODY = 5000
WELCOMED_WITHIN = timedelta(days=7)
"""A service that nobody welcomed by then is an old one: mails about it would only puzzle."""
NO_PASSWORD = "our staff tells it to you"  # noqa: S105 (words in place of one)
_MARK = re.compile(r"\{([^{}\n]*)\}")


def default_welcome() -> tuple[str, str]:
    """(subject, body), as the product form offers them."""
    return DEFAULT_SUBJECT, DEFAULT_BODY


def check(subject: str, body: str) -> None:
    """Raises BadInput for a placeholder that does not exist, and for a body without subject."""
    if len(body) > LONGEST_BODY:
        raise BadInput(f"At most {LONGEST_BODY} signs.", field="welcome_body")
    for field, text in (("welcome_subject", subject), ("welcome_body", body)):
        unknown = sorted(set(_MARK.findall(text)) - set(PLACEHOLDERS))
        if unknown:
            raise BadInput(
                f"There is no {{{unknown[0]}}}. What can stand there: "
                + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                + ".",
                field=field,
            )
    if "{password}" in subject:
        raise BadInput("A password does not belong into a subject.", field="welcome_subject")
    if body.strip() and not subject.strip():
        raise BadInput("The mail needs a subject.", field="welcome_subject")


@transaction.atomic
def write(service_id: int) -> bool:
    """Settles the welcome of one service if it is time, once ever. False while the server is not really there.

    Without a text there is no mail; without an address of the client there is none either, which the journal tells.
    Raises VaultClosed when the machine's password cannot be opened.
    """
    rows = Service.objects.select_for_update(of=("self",)).select_related("product", "client", "server")
    service = rows.filter(pk=service_id, welcomed_at__isnull=True, server__isnull=False).first()
    if service is None or service.server is None:
        return True
    if not _is_there(service, service.server):
        return False
    service.welcomed_at = timezone.now()
    service.save(update_fields=["welcomed_at"])
    if service.product.welcome_body.strip() and _mail(service, service.server) is None:
        record.write(
            SYSTEM,
            "service.not_welcomed",
            ("service", service.pk),
            target_label=str(service),
            result="failed",
            sentence=f"{service.client.name} has no e-mail address",
            service_id=service.pk,
            client_id=service.client_id,
            also=[service.organisation_id],
        )
    return True


def key_of(service: Service) -> str:
    """One service is welcomed by one mail, ever."""
    return f"welcome:{service.pk}"


def _mail(service: Service, server: Server) -> Mail | None:
    values, secrets = _values(service, server)
    body = service.product.welcome_body
    return notices.write(
        organisation_id=service.organisation_id,
        to=address_of_client(service.client_id),
        subject=_filled(service.product.welcome_subject, values),
        body=_filled(body, values),
        about="welcome",
        key=key_of(service),
        service_id=service.pk,
        secrets=secrets if "{password}" in body else {},
    )


def _is_there(service: Service, server: Server) -> bool:
    """Listed, permitted, and its addresses read since it was given to the client."""
    if server.missing_since is not None or server.withheld_since is not None:
        return False
    if "addresses" not in server.capabilities:
        return True
    given = server.permissions.filter(client_id=service.client_id, until__isnull=True)
    since = given.values_list("since", flat=True).first()
    return since is not None and server.addresses_read_at is not None and server.addresses_read_at >= since


def _values(service: Service, server: Server) -> tuple[dict[str, str], dict[str, Secret]]:
    addresses = list(server.addresses.order_by("-primary", "pk").values_list("address", flat=True))
    password = vault.unseal(server.sealed_login, row="login").get("password")
    values = {
        "client": service.client.name,
        "service": str(service),
        "hostname": service.shown_hostname or server.primary_address or str(service),
        "addresses": "\n".join(addresses) or server.primary_address or "not known yet",
        "username": service.shown_username,
        "password": notices.mark("password") if password else NO_PASSWORD,
        "panel": panel_address(service.organisation_id),
    }
    return values, {"password": password} if password else {}


def _filled(text: str, values: dict[str, str]) -> str:
    """In one pass: what stands inside a client's name is not a placeholder again."""
    return _MARK.sub(lambda found: values.get(found[1], found[0]), text)
