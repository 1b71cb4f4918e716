"""Mails to people under the right brand: stored before they are sent, shown to the staff of the organisation."""

from django.db import models
from django.utils import timezone

from doublehop.organisations.models import Organisation


class Mail(models.Model):
    """One mail to one address. The row is the truth; the job is only a doorbell."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        """Handed to the mail server."""
        KEPT = "kept"
        """No mail server is set up: it can be read here, and was sent to nobody."""
        FAILED = "failed"

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="mails")
    """Under whose brand it goes out."""
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    body = models.TextField()
    """Plain text. Where a secret belongs it holds a mark; the secret itself is sealed beside it until it was sent."""
    sealed_secrets = models.TextField(blank=True)
    about = models.CharField(max_length=40)
    """What it is about, e.g. "welcome", "order_waits": for filters and for the journal."""
    key = models.CharField(max_length=120, unique=True)
    """The same occasion is written about once."""
    service_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    failure_text = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "-id"], name="mail_newest")]

    def __str__(self) -> str:
        return f"{self.subject} to {self.to}"
