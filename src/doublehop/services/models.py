"""Tables of what is sold and of what is to be done. No verbs: those are in actions.py."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from doublehop.fleet.models import Server, ServerGroup
from doublehop.organisations.models import Client, Organisation
from doublehop.services.lifecycle import OperationKind, OperationState, ServiceStatus, StepState


class ProductGroup(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="product_groups")
    name = models.CharField(max_length=80)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="product_group_once")]

    def __str__(self) -> str:
        return self.name


class SuspendPolicy(models.Model):
    """Named, ordered ways to take a service away, the first that the machine offers wins (see ``ways``)."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="suspend_policies")
    name = models.CharField(max_length=80)
    ways = models.JSONField(default=list)
    """Of "port", "upstream", "power", "notify": tried in this order by what the server can do."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="suspend_policy_once")]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """What is offered. ``module`` names the driver it is provisioned by; empty means any server of ours."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="products")
    group = models.ForeignKey(ProductGroup, on_delete=models.PROTECT, related_name="products")
    name = models.CharField(max_length=120)
    type = models.CharField(
        max_length=20,
        default="server",
        choices=[
            ("server", "VPS/Dedicated Server"),
            ("hosting", "Shared Hosting"),
            ("other", "Other Product/Service"),
        ],
    )
    description = models.CharField(max_length=300, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="EUR")
    cycle = models.CharField(
        max_length=12,
        default="monthly",
        choices=[("monthly", "Monthly"), ("quarterly", "Quarterly"), ("annually", "Annually")],
    )
    server_group = models.ForeignKey(
        ServerGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    suspend_policy = models.ForeignKey(
        SuspendPolicy, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    client_rights = models.JSONField(default=list)
    """What attach permits the client: of fleet.permissions.Right."""
    hidden = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="product_once")]

    def __str__(self) -> str:
        return self.name


class Service(models.Model):
    """What one client holds. ``number`` is the organisation's own count, shown as S-<number>."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="services")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="services")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="services")
    number = models.PositiveIntegerField()
    status = models.CharField(
        max_length=12, choices=[(s.value, s.value) for s in ServiceStatus], default=ServiceStatus.PENDING
    )
    server = models.ForeignKey(
        Server, null=True, blank=True, on_delete=models.PROTECT, related_name="services"
    )
    hostname = models.CharField(max_length=253, blank=True)
    """Typed by staff. Empty: what the machine says (``shown_hostname``), so nothing typed is overwritten unasked."""
    username = models.CharField(max_length=64, blank=True)
    """Likewise: the machine's login username."""
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="EUR")
    created_at = models.DateTimeField(default=timezone.now)
    activated_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    next_due_on = models.DateField(null=True)
    saved_at = models.DateTimeField(null=True)
    saved_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="service_number_once"),
            models.UniqueConstraint(
                fields=["server"], condition=Q(server__isnull=False), name="server_attached_once"
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "status", "number"], name="service_by_status"),
            models.Index(fields=["client", "number"], name="service_by_client"),
            models.Index(fields=["organisation", "hostname"], name="service_by_hostname"),
        ]

    def __str__(self) -> str:
        return f"S-{self.number}"

    @property
    def shown_hostname(self) -> str:
        return self.hostname or (self.server.hostname if self.server else "")

    @property
    def shown_username(self) -> str:
        return self.username or (self.server.username if self.server else "")


class Operation(models.Model):
    """Something to be done, stored before it is done. The row is the truth; the job is only a doorbell."""

    reference = models.CharField(max_length=12, unique=True)
    """What people quote, e.g. 7Q5-M3D. Means nothing and leads nowhere without the right to see it."""
    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in OperationKind])
    graceful = models.BooleanField(default=True)
    state = models.CharField(max_length=12, default=OperationState.QUEUED)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="operations")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="operations")
    service = models.ForeignKey(Service, null=True, on_delete=models.PROTECT, related_name="operations")
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="operations")
    hold_id = models.BigIntegerField(null=True)

    asked_at = models.DateTimeField(default=timezone.now)
    actor_kind = models.CharField(max_length=20)
    actor_user_id = models.BigIntegerField(null=True)
    actor_label = models.CharField(max_length=200)
    actor_organisation_id = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    caller = models.CharField(max_length=80)
    idempotency_key = models.CharField(max_length=120)
    request_hash = models.CharField(max_length=64)

    send_before = models.DateTimeField()
    """An edge step not sent by then fails clean: a late reboot is a wrong reboot."""
    settle_before = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=200, blank=True)
    settled_why = models.CharField(max_length=300, blank=True)
    failure_code = models.CharField(max_length=30, blank=True)
    restart_seen = models.BooleanField(default=False)
    """A reboot after which the machine was seen away, and then on again: more than an accepted request."""
    staff_text = models.CharField(max_length=600, blank=True)
    """What is known, with its cause. Never for clients."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caller", "idempotency_key"], name="asked_once"),
            models.UniqueConstraint(
                fields=["server"], condition=Q(state="running"), name="one_running_per_server"
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "-id"], name="operation_newest"),
            models.Index(fields=["organisation", "state", "-id"], name="operation_in_state"),
            models.Index(fields=["server", "-id"], name="operation_by_server"),
            models.Index(fields=["service", "-id"], name="operation_by_service"),
            models.Index(fields=["state", "id"], name="operation_by_state"),
        ]

    def __str__(self) -> str:
        return self.reference


class Step(models.Model):
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=20)
    nature = models.CharField(max_length=8)
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=12, default=StepState.PENDING)
    identity_checked_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    times_sent = models.PositiveSmallIntegerField(default=0)
    answered_at = models.DateTimeField(null=True)
    """When the sending came back. Sent without an answer means that we were interrupted in between."""
    ticket = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True)
    found = models.BooleanField(null=True)
    """Whether the machine was otherwise before the first sending: only then is there something to undo."""
    note = models.CharField(max_length=500, blank=True)
    """For staff: what was seen."""

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["operation", "position"], name="step_once")]

    def __str__(self) -> str:
        return f"{self.operation} {self.position}: {self.kind}"
