"""Tables of what is sold and of what is to be done. No verbs: those are in actions.py."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from doublehop.fleet.models import Server, ServerGroup, Upstream
from doublehop.organisations.models import Client, Organisation
from doublehop.services.lifecycle import OperationKind, OperationState, ServiceStatus, StepState

USUAL_USERNAME = "root"


class Offer(models.Model):
    """What an organisation offers to the resellers directly below it. A reseller's order for it ends in an allocation."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="offers")
    name = models.CharField(max_length=120)
    code = models.CharField(max_length=40, blank=True)
    processor = models.CharField(max_length=120, blank=True)
    memory = models.CharField(max_length=60, blank=True)
    disks = models.CharField(max_length=120, blank=True)
    bandwidth = models.CharField(max_length=60, blank=True)
    """Texts for people, e.g. "64 GB", "2 × 960 GB NVMe", "20 TB"."""
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    """A month, for the reseller."""
    setup_fee = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="EUR")
    server_group = models.ForeignKey(
        ServerGroup, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    """Orders are filled from it at once. None: the offerer's staff fill them by hand."""
    hidden = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="offer_once")]

    def __str__(self) -> str:
        return self.name


class SupplyOrder(models.Model):
    """What a reseller asked of the organisation above it: a server, or the end of one. ``number`` counts per asker."""

    class Kind(models.TextChoices):
        ORDER = "order"
        CANCEL = "cancel"

    class State(models.TextChoices):
        WAITING = "waiting"
        FILLED = "filled"
        """The server is allocated; of a CANCEL: the allocation has ended."""
        REFUSED = "refused"
        WITHDRAWN = "withdrawn"
        """Taken back by the asker."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="supply_orders")
    """Who asks."""
    giver = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.ORDER)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    offer = models.ForeignKey(Offer, null=True, on_delete=models.PROTECT, related_name="orders")
    offer_name = models.CharField(max_length=120, blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="EUR")
    hostname = models.CharField(max_length=253, blank=True)
    note = models.CharField(max_length=600, blank=True)
    server = models.ForeignKey(Server, null=True, on_delete=models.PROTECT, related_name="supply_orders")
    """Of an ORDER: what it was filled with. Of a CANCEL: what is to be taken back."""
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.CharField(max_length=200)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=200, blank=True)
    settled_why = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="supply_order_number_once"),
            models.UniqueConstraint(
                fields=["server", "organisation"],
                condition=Q(kind="cancel", state="waiting"),
                name="cancelled_once",
            ),
        ]
        indexes = [
            models.Index(fields=["giver", "state", "id"], name="supply_by_giver"),
            models.Index(fields=["organisation", "-id"], name="supply_newest"),
        ]

    def __str__(self) -> str:
        return f"R-{self.number}"


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
    module = models.CharField(max_length=40, blank=True)
    """The kind of upstream that its servers come through. Empty: any server that the organisation may sell."""
    upstream = models.ForeignKey(
        Upstream, null=True, blank=True, on_delete=models.PROTECT, related_name="products"
    )
    """The one whose servers it offers; None without a module."""
    allowance_gb = models.PositiveIntegerField(null=True, blank=True)
    """Bandwidth that the price includes: decimal GB a month. None: not limited."""
    welcome_subject = models.CharField(max_length=200, blank=True)
    welcome_body = models.TextField(blank=True)
    """Sent once the server is really there, with placeholders (services.welcome). Empty: no mail."""
    overdue_grace_days = models.PositiveSmallIntegerField(null=True, blank=True)
    """Suspended by itself so many days after the due date; never terminated. None: nothing happens by itself."""
    custom_fields = models.JSONField(default=list)
    """{"key", "label", "required": bool, "asked": "client" | "staff"} each."""

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
    ordered_hostname = models.CharField(max_length=253, blank=True)
    """As it was ordered. Shown until a machine says its own."""
    username = models.CharField(max_length=64, blank=True)
    """Likewise: the machine's login username."""
    price = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="EUR")
    created_at = models.DateTimeField(default=timezone.now)
    activated_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    next_due_on = models.DateField(null=True)
    billed_by = models.CharField(max_length=80, blank=True)
    """The billing system that owns it. Empty: nobody's, so due dates and payments are kept here."""
    custom_values = models.JSONField(default=dict)
    """By the keys of ``Product.custom_fields``."""
    welcomed_at = models.DateTimeField(null=True)
    """When its welcome was settled: by a mail, or because there is no text or no address for one."""
    waits_because = models.CharField(max_length=300, blank=True)
    """For staff: why a pending one was not filled from the pool, or an overdue one not suspended."""
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
    def filled_hostname(self) -> str:
        """What staff typed, else what the machine says."""
        return self.hostname or (self.server.hostname if self.server else "")

    @property
    def shown_hostname(self) -> str:
        return self.filled_hostname or self.ordered_hostname

    @property
    def shown_username(self) -> str:
        """What staff typed, else what the machine says, else what nearly all machines are set up with."""
        return self.username or (self.server.username or USUAL_USERNAME if self.server else "")


class Payment(models.Model):
    """Money that somebody says has come in for a service that no billing system owns. Lines are added, never changed."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="payments")
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    received_on = models.DateField()
    note = models.CharField(max_length=300, blank=True)
    pays_until = models.DateField()
    """The due date that it moved the service to."""
    recorded_at = models.DateTimeField(default=timezone.now)
    recorded_by = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} for {self.service}"


class Operation(models.Model):
    """Something to be done, stored before it is done. The row is the truth; the job is only a doorbell."""

    reference = models.CharField(max_length=12, unique=True)
    """What people quote, e.g. 7Q5-M3D. Means nothing and leads nowhere without the right to see it."""
    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in OperationKind])
    graceful = models.BooleanField(default=True)
    parameters = models.JSONField(default=dict)
    """What a kind needs besides the machine: of set_rdns {"address", "name"}."""
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
    not_confirmable = models.BooleanField(default=False)
    """Done as far as anybody can tell: accepted, and the upstream offers nothing to read back."""
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
