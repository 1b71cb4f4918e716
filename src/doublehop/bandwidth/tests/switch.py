"""A switch of the test's own, with servers wired to it, read when the test says so."""

from datetime import UTC, datetime, timedelta

from doublehop.bandwidth.actions import write_round
from doublehop.driver_kit.contract import CounterReading, PortCounter
from doublehop.fleet.models import Permission, Port, Server, Upstream

T0 = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MBIT = 1_000_000 // 8 * 300
"""Octets of one slot at 1 Mbit/s."""


class Switch:
    """``sent`` are the octets that the server of each port sent, which the switch received."""

    def __init__(self, organisation, names=("eth1",), name="Rack A"):
        self.upstream = Upstream.objects.create(
            organisation=organisation, name=name, driver="memory", endpoint=name
        )
        self.servers = [
            Server.objects.create(upstream=self.upstream, external_id=if_name, label=f"m-{if_name}")
            for if_name in names
        ]
        self.ports = [
            Port.objects.create(upstream=self.upstream, server=server, if_name=server.external_id)
            for server in self.servers
        ]
        self.sent = dict.fromkeys(names, 0)
        self.received = dict.fromkeys(names, 0)
        self.after = dict.fromkeys(names, 0)
        """How much later than the first each port is read, in 1/100 s."""
        self.booted = T0 - timedelta(days=100)

    @property
    def server(self):
        return self.servers[0]

    @property
    def port(self):
        return self.ports[0]

    def flow(self, *, out=0, inward=0, name="eth1"):
        self.sent[name] += out
        self.received[name] += inward

    def reading(self, at):
        uptime = int((at - self.booted).total_seconds() * 100) % 2**32
        counters = tuple(
            PortCounter(
                name,
                in_octets=self.sent[name],
                out_octets=self.received[name],
                speed_bps=10**9,
                after_centiseconds=self.after.get(name, 0),
            )
            for name in self.sent
        )
        return CounterReading("sw1", at, uptime, counters)

    def read(self, at):
        write_round(self.upstream.pk, self.reading(at))

    def run(self, start, rates, *, name="eth1"):
        """One round per slot from ``start`` on, and Mbit/s out between them (a fifth of it in); None = the round is lost."""
        self.read(start)
        for number, mbit in enumerate(rates, 1):
            if mbit is None:
                continue
            self.flow(out=mbit * MBIT, inward=mbit * MBIT // 5, name=name)
            self.read(start + timedelta(minutes=5 * number))
        return start + timedelta(minutes=5 * len(rates))


def permit(server, *, since, until=None, organisation=None, client=None, given_by):
    return Permission.objects.create(
        server=server,
        organisation=organisation,
        client=client,
        given_by=given_by,
        rights=["view", "bandwidth"],
        since=since,
        until=until,
    )
