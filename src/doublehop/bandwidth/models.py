"""Where slots are kept. Times are slot numbers: seconds since 1970 UTC, divided by 300."""

from django.db import models
from django.db.models import Q


class Block(models.Model):
    """One row per device and slot: packed records of (port id u32, octets in i64, octets out i64), no record = no sample.

    ``id`` is ``upstream id << 32 | slot``. In and out are those of the *server*: what came in to it, what it sent out.
    """

    id = models.BigIntegerField(primary_key=True)
    records = models.BinaryField()

    def __str__(self) -> str:
        return f"device {self.id >> 32}, slot {self.id & 0xFFFFFFFF}"


class Daily(models.Model):
    """One port and UTC day in plain columns, for years and for SQL. Never the source of a bill."""

    port_id = models.BigIntegerField()
    day = models.DateField()
    octets_in = models.BigIntegerField(default=0)
    octets_out = models.BigIntegerField(default=0)
    max_in = models.BigIntegerField(default=0)
    """The largest octets of one slot."""
    max_out = models.BigIntegerField(default=0)
    slots = models.PositiveSmallIntegerField(default=0)
    """Measured slots of the 288 of a day."""
    covered_ms = models.PositiveIntegerField(default=0)
    """The time that the octets stand for: more than the slots' where octets of a gap are exact (see slots.advance)."""
    sample_history = models.BooleanField(default=False)
    """Made by the box, never billed."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["port_id", "day"], name="daily_once")]

    def __str__(self) -> str:
        return f"port {self.port_id}, {self.day}"


class Baseline(models.Model):
    """The last reading of a port: what the next one is subtracted from; octets from the server's side.

    ``open_*`` is what is known so far of the slot that holds ``taken_at``: it becomes a record when the slot is over.
    """

    port_id = models.BigIntegerField(primary_key=True)
    device = models.CharField(max_length=200)
    taken_at = models.DateTimeField()
    uptime_centiseconds = models.BigIntegerField()
    octets_in = models.CharField(max_length=20)
    octets_out = models.CharField(max_length=20)
    """Counters as text: they go up to 2^64 - 1, and SQLite would round numbers above 2^63."""
    bits = models.PositiveSmallIntegerField()
    discontinuity = models.BigIntegerField(default=0)
    open_in = models.BigIntegerField(default=0)
    open_out = models.BigIntegerField(default=0)
    open_ms = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"port {self.port_id} at {self.taken_at}"


class Wiring(models.Model):
    """The slots in which a port was one server's: ``since_slot <= slot < until_slot``, without end while it still is.

    A port that moves to another server leaves its octets behind; the slots of the move are nobody's.
    """

    port_id = models.BigIntegerField()
    upstream_id = models.BigIntegerField()
    server_id = models.BigIntegerField(db_index=True)
    since_slot = models.BigIntegerField()
    until_slot = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["port_id"], condition=Q(until_slot__isnull=True), name="wired_once"
            ),
        ]

    def __str__(self) -> str:
        return f"port {self.port_id} to server {self.server_id}"


class Collection(models.Model):
    """How the collecting from one upstream goes, for the staff page."""

    upstream_id = models.BigIntegerField(primary_key=True)
    last_round_at = models.DateTimeField(null=True)
    ports_read = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    failure_text = models.CharField(max_length=500, blank=True)
    discarded = models.PositiveIntegerField(default=0)
    """Readings not used since the beginning: resets, jumps, nonsense."""
    last_discard = models.CharField(max_length=300, blank=True)
    remark = models.CharField(max_length=500, blank=True)
    """What was odd in the last round, e.g. a port that the switch does not know."""

    def __str__(self) -> str:
        return f"upstream {self.upstream_id}"


class Total(models.Model):
    """What an upstream counted by itself between two moments (a day, an hour). Another kind than slots; never mixed with them.

    In and out are the server's. ``unit`` is the unit in which the figure came; the octets are what it means.
    """

    server_id = models.BigIntegerField()
    start = models.DateTimeField()
    end = models.DateTimeField()
    octets_in = models.BigIntegerField(default=0)
    octets_out = models.BigIntegerField(default=0)
    source = models.CharField(max_length=40)
    unit = models.CharField(max_length=20)
    read_at = models.DateTimeField()
    sample_history = models.BooleanField(default=False)
    """Made up at the other side, and said so: never billed."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server_id", "source", "start"], name="total_once")]

    def __str__(self) -> str:
        return f"server {self.server_id}, {self.start} to {self.end}"


class Fetching(models.Model):
    """How far the totals of a server were read from its upstream."""

    server_id = models.BigIntegerField(primary_key=True)
    read_until = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    failure_text = models.CharField(max_length=500, blank=True)
    """For staff."""

    def __str__(self) -> str:
        return f"server {self.server_id}"
