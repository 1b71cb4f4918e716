"""The journal: plain values, no foreign keys, append-only (the database itself refuses UPDATE and DELETE)."""

from typing import NoReturn

from django.db import models
from django.utils import timezone


class Entry(models.Model):
    """One line: who did what to which thing, for whom, and what came of it."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor_kind = models.CharField(max_length=20)
    actor_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=200)
    organisation_id = models.BigIntegerField(null=True)
    organisation_label = models.CharField(max_length=200, blank=True)
    verb = models.CharField(max_length=60)
    target_kind = models.CharField(max_length=30)
    target_id = models.BigIntegerField(null=True)
    target_label = models.CharField(max_length=300)
    result = models.CharField(max_length=30, default="done")
    sentence = models.CharField(max_length=600, blank=True)
    details = models.JSONField(default=dict)
    server_id = models.BigIntegerField(null=True, db_index=True)
    service_id = models.BigIntegerField(null=True, db_index=True)
    client_id = models.BigIntegerField(null=True, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["target_kind", "target_id", "-id"], name="entry_target")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor_label}: {self.verb} {self.target_label}"

    def save(self, *args: object, **kwargs: object) -> None:
        if self.pk is not None:
            self.delete()
        super().save(*args, **kwargs)

    def delete(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("the journal is append-only")


class Audience(models.Model):
    """An organisation whose staff may read an entry: the one that acted, and each one up the chain of the machine."""

    entry_id = models.BigIntegerField()
    organisation_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation_id", "entry_id"], name="audience_once"),
        ]

    def __str__(self) -> str:
        return f"entry {self.entry_id} for organisation {self.organisation_id}"
