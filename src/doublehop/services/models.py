"""Tables of what is sold and of what is to be done. No verbs: those are in actions.py."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from doublehop.fleet.models import Server, ServerGroup, Upstream, UpstreamOrder
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
    """Of "port", "upstream", "null_route", "power", "permission", "notify", in order: the first that the server can do."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="suspend_policy_once")]

    def __str__(self) -> str:
        return self.name


def usual_alerts() -> list[int]:
    return [80, 90, 100]


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
    alert_percents = models.JSONField(default=usual_alerts)
    """At how many per cent of what a contract includes people are told, once a period each. Empty: never."""
    alert_client = models.BooleanField(default=False)
    """The client is told as well, not only staff."""
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
    billing_reference = models.CharField(max_length=80, blank=True)
    """That system's own id of it."""
    custom_values = models.JSONField(default=dict)
    """By the keys of ``Product.custom_fields``."""
    welcomed_at = models.DateTimeField(null=True)
    """When its welcome was settled: by a mail, or because there is no text or no address for one."""
    alert_percents = models.JSONField(null=True)
    """At which shares of what is included the client wants a mail. None: it chose nothing, so the product decides."""
    upstream_order = models.ForeignKey(
        UpstreamOrder, null=True, blank=True, on_delete=models.SET_NULL, related_name="services"
    )
    """What staff ordered for it at an upstream. It gets that server, unless it has got another one meanwhile."""
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
            models.UniqueConstraint(
                fields=["organisation", "billed_by", "billing_reference"],
                condition=~Q(billing_reference=""),
                name="service_reference_once",
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


class EarlierProduct(models.Model):
    """What a service was until it became another product: the period that ran then is charged by its contract to the end."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="earlier_products")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="+")
    charged_until = models.DateTimeField()
    changed_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.service} as {self.product}"


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


class Batch(models.Model):
    """What a brake holds of one caller, until somebody approves or refuses it as a whole.

    It also counts in what had passed before the brake took hold, so that everything can be undone together.
    """

    class State(models.TextChoices):
        OPEN = "open"
        APPROVED = "approved"
        REFUSED = "refused"

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="batches")
    caller = models.CharField(max_length=80)
    caller_label = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(default=timezone.now)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_why = models.CharField(max_length=300, blank=True)
    undone_at = models.DateTimeField(null=True)
    """When somebody asked that what was done is undone."""
    undone_by = models.CharField(max_length=200, blank=True)
    not_undone = models.JSONField(default=dict)
    """By the reference of an operation: the sentence why it could not be undone."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "caller"], condition=Q(state="open"), name="one_open_batch"
            ),
        ]
        indexes = [models.Index(fields=["organisation", "state", "-id"], name="batch_newest")]

    def __str__(self) -> str:
        return f"B-{self.pk}"


class Operation(models.Model):
    """Something to be done, stored before it is done. The row is the truth; the job is only a doorbell."""

    reference = models.CharField(max_length=12, unique=True)
    """What people quote, e.g. 7Q5-M3D. Means nothing and leads nowhere without the right to see it."""
    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in OperationKind])
    graceful = models.BooleanField(default=True)
    parameters = models.JSONField(default=dict)
    """What a kind needs besides the machine: of set_rdns {"address", "name"}, of null routes {"address"}, of suspend {"cause", "client_text"}."""
    state = models.CharField(max_length=12, default=OperationState.QUEUED)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="operations")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="operations")
    service = models.ForeignKey(Service, null=True, on_delete=models.PROTECT, related_name="operations")
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="operations")
    hold_id = models.BigIntegerField(null=True)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.PROTECT, related_name="operations")
    held_at = models.DateTimeField(null=True)
    """When a brake held it. Null: it passed."""

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
    looked_again_at = models.DateTimeField(null=True)
    """Of an unknown one: when the machine was last read to settle it."""

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
            models.Index(fields=["caller", "-asked_at"], name="operation_by_caller"),
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


class Attachment(models.Model):
    """When a server was the service's own. The slots about its beginning and its end are nobody's."""

    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="attachments")
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="attachments")
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service"], condition=Q(until__isnull=True), name="one_open_attachment"
            ),
            models.UniqueConstraint(
                fields=["server"], condition=Q(until__isnull=True), name="attached_to_one"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.server} in {self.service}"


class ContractVersion(models.Model):
    """How the bandwidth of a product is charged from a day on. Never changed: another version follows it.

    ``values`` are those of ``bandwidth.contract.values_of``; an ``anchor`` of None stands for the first day of each service.
    """

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="contract_versions")
    values = models.JSONField()
    in_force_from = models.DateTimeField()
    """Of two from the same moment the later written one holds."""
    made_at = models.DateTimeField(default=timezone.now)
    made_by = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["product", "in_force_from", "id"], name="contract_in_force")]

    def __str__(self) -> str:
        return f"{self.product} from {self.in_force_from:%Y-%m-%d}"


class Statement(models.Model):
    """What the bandwidth of one service (or of one client's pool) came to in one period. Frozen: the database refuses changes.

    ``document`` says everything, as it is exported (services.paper); ``slots`` are its own, packed (services.paper).
    """

    class Source(models.TextChoices):
        SLOTS = "slots"
        TOTALS = "totals"
        """Counted by an upstream, by day or hour."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="statements")
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="statements")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="statements")
    service = models.ForeignKey(Service, null=True, on_delete=models.PROTECT, related_name="statements")
    """None: all services of the client on the product, pooled."""
    label = models.CharField(max_length=60)
    start = models.DateTimeField()
    end = models.DateTimeField()
    source = models.CharField(max_length=8, choices=Source.choices, default=Source.SLOTS)
    source_names = models.CharField(max_length=200, blank=True)
    """For the staff of the upstream's owner: who counted."""
    amount = models.DecimalField(max_digits=24, decimal_places=4)
    currency = models.CharField(max_length=3)
    expected = models.PositiveIntegerField(default=0)
    measured = models.PositiveIntegerField(default=0)
    is_thin = models.BooleanField(default=False)
    """Too little was measured: staff look at it."""
    sample_history = models.BooleanField(default=False)
    """Made up in part, and so nothing is owed."""
    document = models.JSONField()
    slots = models.BinaryField()
    closed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service", "end"], condition=Q(service__isnull=False), name="statement_once"
            ),
            models.UniqueConstraint(
                fields=["client", "product", "end"],
                condition=Q(service__isnull=True),
                name="pooled_statement_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "-id"], name="statement_newest"),
            models.Index(fields=["organisation", "is_thin", "-id"], name="statement_thin"),
            models.Index(fields=["client", "-id"], name="statement_by_client"),
        ]

    def __str__(self) -> str:
        return f"T-{self.pk}"


class Adjustment(models.Model):
    """A credit or debit beside a statement, from a later look at the kept readings. Frozen likewise.

    ``document`` and ``slots`` are those of the later look, with which the amount can be checked.
    """

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="adjustments")
    amount = models.DecimalField(max_digits=24, decimal_places=4)
    """What is owed more, or less where it is negative."""
    reason = models.CharField(max_length=300)
    document = models.JSONField()
    slots = models.BinaryField()
    made_at = models.DateTimeField(default=timezone.now)
    made_by = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.amount} on {self.statement}"


class PeriodUsage(models.Model):
    """What a service, or a pool, has used in one period, as it was last counted: for lists and alerts, never for a bill.

    ``subject`` is "service:<id>" or "pool:<client id>:<product id>". Rates and volumes in ``unit_name``; shares in per cent.
    """

    subject = models.CharField(max_length=50)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="period_usages")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="period_usages")
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="period_usages")
    service = models.ForeignKey(Service, null=True, on_delete=models.CASCADE, related_name="period_usages")
    """None: a pool."""
    services = models.PositiveIntegerField(default=1)
    """How many are added up."""
    label = models.CharField(max_length=60)
    start = models.DateTimeField()
    end = models.DateTimeField()
    zone = models.CharField(max_length=60, default="UTC")
    method = models.CharField(max_length=12, blank=True)
    """Of the contract; empty: none is in force, and both volumes are only shown."""
    unit_name = models.CharField(max_length=8)
    quantity = models.DecimalField(max_digits=24, decimal_places=3, default=0)
    included = models.DecimalField(max_digits=24, decimal_places=3, default=0)
    share_percent = models.FloatField(default=0)
    """Used of what is included; 0 where nothing is."""
    octets_in = models.BigIntegerField(default=0)
    octets_out = models.BigIntegerField(default=0)
    percentile_95 = models.BigIntegerField(null=True)
    """So far, in bit/s, of the direction that the contract names, else of the larger. None: from an upstream's own totals."""
    amount = models.DecimalField(max_digits=24, decimal_places=4, default=0)
    """For what is above, so far."""
    currency = models.CharField(max_length=3, blank=True)
    expected = models.PositiveIntegerField(default=0)
    measured = models.PositiveIntegerField(default=0)
    coverage_percent = models.FloatField(default=0)
    forecast_low = models.DecimalField(max_digits=24, decimal_places=3, null=True)
    forecast_likely = models.DecimalField(max_digits=24, decimal_places=3, null=True)
    forecast_high = models.DecimalField(max_digits=24, decimal_places=3, null=True)
    forecast_amount = models.DecimalField(max_digits=24, decimal_places=4, null=True)
    forecast_at = models.DateTimeField(null=True)
    burst_minutes = models.PositiveIntegerField(null=True)
    """Of free burst time that is left; None without a commit."""
    from_totals = models.BooleanField(default=False)
    sample_history = models.BooleanField(default=False)
    counted_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subject", "start"], name="period_usage_once")]
        indexes = [models.Index(fields=["organisation", "end"], name="period_usage_by_end")]

    def __str__(self) -> str:
        return f"{self.service or f'all of {self.client}'}, {self.label}"


class UsageAlert(models.Model):
    """A share of what is included that was reached in a period: told once."""

    class Kind(models.TextChoices):
        REACHED = "reached"
        FORECAST = "forecast"
        """It is not reached yet, and will be in nine of ten draws of the forecast."""

    usage = models.ForeignKey(PeriodUsage, on_delete=models.CASCADE, related_name="alerts")
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.REACHED)
    percent = models.PositiveSmallIntegerField()
    raised_at = models.DateTimeField(default=timezone.now)
    told_at = models.DateTimeField(null=True)
    """When staff were told of it; several stand in one mail."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["usage", "kind", "percent"], name="usage_alert_once")]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.usage}"
