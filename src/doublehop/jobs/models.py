"""The doorbell of an installation on SQLite: one row says that something may be worth doing."""

from django.db import models
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

    def __str__(self) -> str:
        return self.key


class Beat(models.Model):
    """The worker's sign of life, so that pages can say that nobody works."""

    worker = models.CharField(max_length=80, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.worker} at {self.at}"
