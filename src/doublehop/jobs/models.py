"""Rows of the doorbell. With Procrastinate its own tables stand in the place of ``Job``."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Job(models.Model):
    """``key`` makes ringing twice harmless. ``lane`` is what a slow neighbour must not block, e.g. one upstream."""

    name = models.CharField(max_length=60)
    key = models.CharField(max_length=120, unique=True)
    payload = models.JSONField(default=dict)
    lane = models.CharField(max_length=60, default="main")
    urgent = models.BooleanField(default=False)
    run_at = models.DateTimeField(default=timezone.now, db_index=True)
    claimed_at = models.DateTimeField(null=True)
    rung_again = models.BooleanField(default=False)
    """Rung while it ran: runs once more when it ends."""
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            # The order in which they are claimed: with ten thousand due, a look reads the few that it takes.
            models.Index(
                fields=["-urgent", "run_at"], condition=Q(claimed_at__isnull=True), name="job_next_due"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class Beat(models.Model):
    """The sign of life of one worker (``host:process id``), so that pages can say that nobody works."""

    worker = models.CharField(max_length=80, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.worker} at {self.at}"


class Tick(models.Model):
    """The newest tick of a periodic that any worker has begun, in seconds since 1970. Only ever grows."""

    name = models.CharField(max_length=60, unique=True)
    stamp = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} at {self.stamp}"
