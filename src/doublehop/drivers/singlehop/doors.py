"""Clients for each address and login, made when first needed and closed together. Making one costs no call."""

from collections.abc import Callable
from urllib.parse import urlsplit

from doublehop.driver_kit.budget import Meter
from doublehop.driver_kit.http import HttpClient, Limits
from doublehop.driver_kit.reach import ANYWHERE, Reach
from doublehop.driver_kit.transport import Carrier
from doublehop.drivers.singlehop.dropzone import DropzoneApi
from doublehop.drivers.singlehop.leap import LeapApi
from doublehop.drivers.singlehop.words import DROPZONE, LEAP, TANDEM, Extensions, Logins

USUAL = Limits(body_octets=8 * 1024 * 1024)
"""A list of 10,000 servers fits."""
PATIENT = Limits(read_seconds=240.0, total_seconds=300.0)
"""For figures of traffic: the other side warns that they may take minutes."""


class Doors:
    """``carrier`` replaces the network in tests."""

    def __init__(
        self,
        logins: Logins,
        meter: Meter | None,
        *,
        usual: Limits = USUAL,
        patient: Limits = PATIENT,
        reach: Reach = ANYWHERE,
        carrier: Callable[[], Carrier] | None = None,
    ) -> None:
        self._logins = logins
        self._meter = meter
        self._limits = {False: usual, True: patient}
        self._reach = reach
        self._carrier = carrier
        self._clients: dict[tuple[str, str, bool], HttpClient] = {}

    def leap(self, address: str, extensions: Extensions) -> LeapApi:
        """``address`` is that of the page, ".../api.php"."""
        base, _, page = address.rpartition("/")
        usual, patient = (self._client(base, LEAP, patient=patient) for patient in (False, True))
        return LeapApi(usual, patient, f"/{page}", self._logins, extensions)

    def dropzone(self, address: str, way: str, extensions: Extensions) -> DropzoneApi:
        usual, patient = (self._client(address, way, patient=patient) for patient in (False, True))
        return DropzoneApi(way, usual, patient, self._logins, extensions)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _client(self, base: str, way: str, *, patient: bool) -> HttpClient:
        key = (base, way, patient)
        if key not in self._clients:
            logins = {
                DROPZONE: (self._logins.leap_username, self._logins.leap_password),
                TANDEM: (self._logins.tandem_username, self._logins.tandem_password),
            }
            self._clients[key] = HttpClient(
                base,
                login=logins.get(way),
                secrets=self._logins.secrets,
                limits=self._limits[patient],
                meter=self._meter,
                # What a Tandem user may not do says nothing about its login.
                forbidden_is_login=way != TANDEM,
                reach=self._reach,
                transport=self._carrier() if self._carrier else None,
            )
        return self._clients[key]


def origin_of(address: str) -> str:
    """scheme://host of an address, without its path."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
