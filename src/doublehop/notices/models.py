"""Mails to people, and webhooks to their programs: stored before they are sent, shown to the staff of the organisation."""

from django.db import models
from django.utils import timezone

from doublehop.driver_kit.secret import Secret
from doublehop.organisations.models import Client, Organisation


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


class WebhookEndpoint(models.Model):
    """Where an organisation, or one of its clients, wants to be told of events."""

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"
        """Nothing is sent. Events of this time are not made up for."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="webhook_endpoints")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, null=True, related_name="webhook_endpoints")
    """Of a client: it is told of its own services only, in neutral words, and its people manage it too."""
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    kinds = models.JSONField(default=list)
    """Kinds of events (``events.EVENTS``)."""
    state = models.CharField(max_length=8, choices=State.choices, default=State.ACTIVE)
    paused_why = models.CharField(max_length=300, blank=True)
    sealed_secrets = models.TextField()
    """"current", and "previous" until ``previous_until``."""
    previous_until = models.DateTimeField(null=True)
    read_to = models.BigIntegerField()
    """Every line of the journal up to this id was looked at."""
    failing_since = models.DateTimeField(null=True)
    rests_until = models.DateTimeField(null=True)
    """It did not answer, or slowly: left in peace until then, so that it holds up nobody else."""
    created_at = models.DateTimeField(default=timezone.now)
    new_secret: Secret | None = None
    """Only in the answer of the action that made it."""

    def __str__(self) -> str:
        return self.description or self.url

    @property
    def is_operators(self) -> bool:
        """Of whoever runs the installation, and not of a client."""
        return self.client_id is None and self.organisation.parent_id is None


class WebhookDelivery(models.Model):
    """One event for one endpoint. The row is the truth; the job is only a doorbell."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    entry_id = models.BigIntegerField(null=True)
    """The line of the journal that it tells of. None: a test."""
    webhook_id = models.CharField(max_length=60)
    """The same at each attempt, by which a receiver knows what it has already."""
    kind = models.CharField(max_length=60)
    body = models.TextField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    tried_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    status = models.PositiveIntegerField(null=True)
    """HTTP status of the last answer."""
    answer = models.CharField(max_length=300, blank=True)
    """The first signs of the last answer."""
    failure_text = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint", "entry_id"], name="delivery_once")]
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="delivery_newest"),
            models.Index(fields=["endpoint", "state", "-id"], name="delivery_by_state"),
            models.Index(fields=["state", "next_try_at"], name="delivery_next"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.webhook_id}"
