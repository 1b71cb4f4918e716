"""How we sign in to a switch over SNMP, for the two libraries that speak to it: gufo-snmp reads, pysnmp writes (gufo knows no SET)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import gufo.snmp.sync
import gufo.snmp.user
import pysnmp.hlapi.v3arch.asyncio as snmp_set
import pysnmp.proto.errind

from doublehop.driver_kit.errors import CredentialsRejected, OutcomeUnknown, Refused
from doublehop.driver_kit.secret import Secret

SHORTEST_PASSWORD = 8
"""RFC 3414 allows no shorter one."""

_AUTH: Mapping[str, tuple[Any, Any]] = MappingProxyType(
    {
        "SHA": (gufo.snmp.user.Sha1Key, snmp_set.usmHMACSHAAuthProtocol),
        "SHA-256": (gufo.snmp.user.Sha256Key, snmp_set.usmHMAC192SHA256AuthProtocol),
        "SHA-384": (gufo.snmp.user.Sha384Key, snmp_set.usmHMAC256SHA384AuthProtocol),
        "SHA-512": (gufo.snmp.user.Sha512Key, snmp_set.usmHMAC384SHA512AuthProtocol),
    }
)
_PRIV: Mapping[str, tuple[Any, Any]] = MappingProxyType(
    {
        "AES-128": (gufo.snmp.user.Aes128Key, snmp_set.usmAesCfb128Protocol),
        "AES-256": (gufo.snmp.user.Aes256Key, snmp_set.usmAesBlumenthalCfb256Protocol),
    }
)
AUTH_NAMES = tuple(_AUTH)
PRIV_NAMES = tuple(_PRIV)
DEFAULT_AUTH, DEFAULT_PRIV = "SHA-256", "AES-128"

_SIGN_IN_REFUSED = (
    pysnmp.proto.errind.UnknownUserName,
    pysnmp.proto.errind.WrongDigest,
    pysnmp.proto.errind.UnsupportedSecurityLevel,
)


@dataclass(frozen=True)
class Communities:
    """SNMP v2c. Without ``write`` nothing is ever switched."""

    read: Secret
    write: Secret

    silence = "it is off, or the read community is wrong"
    write_silence = "the write community is wrong"

    @property
    def may_write(self) -> bool:
        return bool(self.write)

    def session(self, host: str, port: int, seconds: float) -> Any:
        return gufo.snmp.sync.SnmpSession(
            host, port=port, community=self.read.reveal(), timeout=seconds, max_repetitions=25
        )

    def for_writing(self) -> Any:
        return snmp_set.CommunityData(self.write.reveal(), mpModel=1)  # noqa: S508 (the README says why)


@dataclass(frozen=True)
class User:
    """SNMPv3, always authenticated; encrypted where ``priv_password`` is there."""

    name: str
    auth_password: Secret
    priv_password: Secret
    auth: str = DEFAULT_AUTH
    priv: str = DEFAULT_PRIV
    may_write: bool = False

    silence = "it is off, or the privacy password or its algorithm is wrong"
    write_silence = "the privacy password or its algorithm is wrong"

    def session(self, host: str, port: int, seconds: float) -> Any:
        """Finds out the engine's id and clock. Raises Refused for passwords that cannot be."""
        auth, priv = self._passwords()
        user = gufo.snmp.user.User(
            self.name,
            auth_key=_AUTH[self.auth][0](auth.encode()),
            priv_key=_PRIV[self.priv][0](priv.encode()) if priv else None,
        )
        session = gufo.snmp.sync.SnmpSession(host, port=port, user=user, timeout=seconds, max_repetitions=25)
        session.refresh()
        return session

    def for_writing(self) -> Any:
        auth, priv = self._passwords()
        privacy = {"privKey": priv, "privProtocol": _PRIV[self.priv][1]} if priv else {}
        return snmp_set.UsmUserData(self.name, authKey=auth, authProtocol=_AUTH[self.auth][1], **privacy)

    def _passwords(self) -> tuple[str, str]:
        auth, priv = self.auth_password.reveal(), self.priv_password.reveal()
        if len(auth) < SHORTEST_PASSWORD or 0 < len(priv) < SHORTEST_PASSWORD:
            raise Refused(
                f"passwords of SNMPv3 have at least {SHORTEST_PASSWORD} characters; mend the settings"
            )
        return auth, priv


Login = Communities | User


async def set_number(
    login: Login, host: str, port: int, oid: str, number: int, *, seconds: float, what: str
) -> None:
    """One SET, sent once. ``what`` names it in errors. Raises Refused, CredentialsRejected, OutcomeUnknown."""
    family = snmp_set.Udp6TransportTarget if ":" in host else snmp_set.UdpTransportTarget
    wanted = snmp_set.ObjectType(snmp_set.ObjectIdentity(oid), snmp_set.Integer32(number))
    engine = snmp_set.SnmpEngine()
    try:
        trouble, status, _, _ = await snmp_set.set_cmd(
            engine,
            login.for_writing(),
            await family.create((host, port), timeout=seconds, retries=0),
            snmp_set.ContextData(),
            wanted,
            lookupMib=False,
        )
    finally:
        engine.close_dispatcher()
    if isinstance(trouble, _SIGN_IN_REFUSED):
        raise CredentialsRejected(f"the switch refuses the SNMPv3 user; {what} was not changed")
    if trouble:
        raise OutcomeUnknown(
            f"the switch did not answer the change of {what}: it is slow, or {login.write_silence}"
        )
    if int(status):
        raise Refused(f"the switch refuses to set {what}: SNMP error {int(status)}")
