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


class Chunk(models.Model):
    """One row per port and UTC day that is surely over: its 288 slots as ``bandwidth.chunk`` packs them.

    ``id`` is ``port id << 16 | day``, the days of 1970 and on.
    """

    id = models.BigIntegerField(primary_key=True)
    packed = models.BinaryField()

    def __str__(self) -> str:
        return f"port {self.id >> 16}, day {self.id & 0xFFFF}"


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


class RawReading(models.Model):
    """What a device answered at one poll, kept for some days: as packed.kept says, of each port that belongs to a server or did.

    Slots follow from these rows alone, so the order in which they came does not matter.
    """

    upstream_id = models.BigIntegerField()
    taken_ms = models.BigIntegerField()
    uptime_cs = models.BigIntegerField()
    boots = models.BigIntegerField(default=0)
    engine_seconds = models.BigIntegerField(default=0)
    device = models.CharField(max_length=200)
    records = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["upstream_id", "taken_ms", "uptime_cs", "boots"], name="raw_reading_once"
            )
        ]

    def __str__(self) -> str:
        return f"device {self.upstream_id} at {self.taken_ms}"


class DeviceState(models.Model):
    """How far the ports of a device have been followed: packed.STANDING of each, after the reading of ``until_ms``.

    ``is_base``: before the oldest reading that late ones are still sorted among; without: now.
    """

    upstream_id = models.BigIntegerField()
    is_base = models.BooleanField(default=False)
    until_ms = models.BigIntegerField()
    device = models.CharField(max_length=200, blank=True)
    ports = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upstream_id", "is_base"], name="device_state_once")]

    def __str__(self) -> str:
        return f"device {self.upstream_id} until {self.until_ms}"


class GapVolume(models.Model):
    """Octets that are certain for the slots ``first_slot <= slot < end_slot`` of one UTC day together, for none of them alone.

    They count for a volume; for a percentile these slots are unknown.
    """

    port_id = models.BigIntegerField()
    upstream_id = models.BigIntegerField()
    first_slot = models.BigIntegerField()
    end_slot = models.BigIntegerField()
    octets_in = models.BigIntegerField()
    octets_out = models.BigIntegerField()
    quarantined = models.ForeignKey(
        "Quarantined", null=True, on_delete=models.CASCADE, related_name="volumes"
    )
    """Set where staff accepted what had been in doubt."""

    class Meta:
        indexes = [
            models.Index(fields=["port_id", "first_slot"], name="gap_volume_of_port"),
            models.Index(fields=["upstream_id", "end_slot"], name="gap_volume_of_device"),
        ]

    def __str__(self) -> str:
        return f"port {self.port_id}, slots {self.first_slot} to {self.end_slot}"


class Quarantined(models.Model):
    """Octets between two readings of a port that nobody guesses: a person accepts or rejects them. Until then they do not count."""

    class State(models.TextChoices):
        OPEN = "open"
        ACCEPTED = "accepted"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"
        """A later arrival explained what had been accepted: it counts by itself now."""

    port_id = models.BigIntegerField()
    upstream_id = models.BigIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    why = models.CharField(max_length=40)
    """A name of readings.Reason."""
    octets_in = models.CharField(max_length=20)
    octets_out = models.CharField(max_length=20)
    """What it would have been; as text, because it may be above 2^63."""
    before = models.JSONField()
    after = models.JSONField()
    """Both readings: device, uptime_cs, octets_in, octets_out, bits, speed_bps; octets from the server's side, as text."""
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=120, blank=True)
    decision_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["port_id", "started_at", "ended_at"], name="quarantined_once")
        ]
        indexes = [models.Index(fields=["upstream_id", "state"], name="quarantined_of_device")]

    def __str__(self) -> str:
        return f"port {self.port_id}, {self.started_at} to {self.ended_at}"


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
    claimed_slot = models.BigIntegerField(default=0)
    """The newest slot for which a worker has taken it upon itself to read."""
    ports_read = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    failure_text = models.CharField(max_length=500, blank=True)
    discarded = models.PositiveIntegerField(default=0)
    """Readings not used since the beginning: resets, jumps, nonsense."""
    refused = models.PositiveIntegerField(default=0)
    """Rounds since the beginning that came so late that nothing of them was taken in."""
    last_discard = models.CharField(max_length=300, blank=True)
    remark = models.CharField(max_length=500, blank=True)
    """What was odd in the last round, e.g. a port that the switch does not know."""
    wired_as = models.CharField(max_length=64, blank=True)
    """Digest of the ports and their servers that Wiring was last brought up to."""

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
    counted_seconds = models.PositiveIntegerField(null=True)
    """Of how much of its time the other side says that it was counted; null: all of it."""

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
