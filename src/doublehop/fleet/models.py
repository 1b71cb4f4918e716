"""Tables of machines and of who may touch them. No verbs: those are in actions.py."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from doublehop.organisations.models import Client, Organisation, TandemUser


class Upstream(models.Model):
    """Our credentials at one place where servers live. Observe only until ``armed``."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="upstreams")
    name = models.CharField(max_length=80)
    driver = models.CharField(max_length=40)
    endpoint = models.CharField(max_length=200, blank=True)
    account = models.CharField(max_length=200, blank=True)
    settings = models.JSONField(default=dict)
    sealed_secrets = models.TextField(blank=True)
    """MultiFernet token over a JSON object of the secret settings (organisations.vault)."""
    learned = models.JSONField(default=dict)
    """What a test found out about the other side (``ConnectionReport.learned``)."""
    armed = models.BooleanField(default=False)
    arm_when_fine = models.BooleanField(default=False)
    """Staff asked for it: armed by the first test in which everything is fine."""
    created_at = models.DateTimeField(default=timezone.now)

    synced_at = models.DateTimeField(null=True)
    sync_asked_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    """The newest failure of the row that began at ``failing_since``."""
    failure_code = models.CharField(max_length=30, blank=True)
    failure_text = models.CharField(max_length=500, blank=True)
    rests_until = models.DateTimeField(null=True)
    """It asked for patience until then (``fleet.rests``)."""

    offers = models.JSONField(null=True)
    """What can be ordered there, as last read (``fleet.ordering``). None: nothing is sold there, or it was not read yet."""
    offers_read_at = models.DateTimeField(null=True)

    test_asked_at = models.DateTimeField(null=True)
    tested_at = models.DateTimeField(null=True)
    test_report = models.JSONField(default=list)
    """Lines of [what, fine, what was seen]."""
    test_fingerprint = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "driver", "endpoint", "account"], name="upstream_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AccountTurns(models.Model):
    """The turns of one account where several processes share them (``fleet.turns``), by the database's clock."""

    key = models.TextField(primary_key=True)
    """Driver, endpoint and account, as the driver joins them."""
    next_at = models.DateTimeField()
    """What the booking before answered as ``following`` (``driver_kit.budget.Pace``)."""
    rests_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key


class Server(models.Model):
    """One dedicated machine, known through one upstream by its external id, with what was last read and when."""

    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="servers")
    external_id = models.CharField(max_length=120)
    label = models.CharField(max_length=120)
    hostname = models.CharField(max_length=253, blank=True)
    primary_address = models.CharField(max_length=64, blank=True)
    settings = models.JSONField(default=dict)
    """What the driver's ``server_settings`` ask for (own machines only), without the secrets."""
    sealed_secrets = models.TextField(blank=True)
    protected = models.BooleanField(default=False)
    same_machine_as = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    identifiers = models.JSONField(default=list)
    """Last seen: [kind, value, proof] each."""
    recorded_identity = models.JSONField(null=True)
    """What attach recorded; every mutating call is checked against it. Null while not attached."""
    identity_read_at = models.DateTimeField(null=True)
    identity_changed_at = models.DateTimeField(null=True)
    """Since when the machine shows itself as another one than attach recorded. Nothing is sent to it meanwhile."""
    capabilities = models.JSONField(default=list)

    listed_at = models.DateTimeField(null=True)
    missing_since = models.DateTimeField(null=True)
    withheld_since = models.DateTimeField(null=True)
    """Listed, but the login that works for us may not use it: not offered for attaching."""
    power_state = models.CharField(max_length=12, blank=True)
    power_read_at = models.DateTimeField(null=True)
    health = models.CharField(max_length=12, blank=True)
    health_read_at = models.DateTimeField(null=True)
    username = models.CharField(max_length=64, blank=True)
    username_read_at = models.DateTimeField(null=True)
    sealed_login = models.TextField(blank=True)
    """The machine's own password, where the upstream hands it out (organisations.vault)."""
    rescue_active = models.BooleanField(null=True)
    rescue_read_at = models.DateTimeField(null=True)
    addresses_read_at = models.DateTimeField(null=True)
    port_enabled = models.BooleanField(null=True)
    port_read_at = models.DateTimeField(null=True)
    refresh_asked_at = models.DateTimeField(null=True)
    refresh_failed_at = models.DateTimeField(null=True)
    refresh_failure = models.CharField(max_length=500, blank=True)
    """For staff. Clients read a neutral sentence."""
    watched_until = models.DateTimeField(null=True, db_index=True)
    """Somebody has its page open until then: the worker reads its state every few seconds."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["upstream", "external_id"], name="server_once_per_upstream"),
        ]
        indexes = [
            models.Index(fields=["label", "id"], name="server_by_label"),
            models.Index(fields=["primary_address"], name="server_by_address"),
            models.Index(fields=["hostname"], name="server_by_hostname"),
            # Few are free and fewer are missing, among however many there are.
            models.Index(
                fields=["label", "id"], name="server_free", condition=Q(recorded_identity__isnull=True)
            ),
            models.Index(
                fields=["identity_changed_at"],
                name="server_changed",
                condition=Q(identity_changed_at__isnull=False),
            ),
            models.Index(
                fields=["missing_since"], name="server_missing", condition=Q(missing_since__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.label


class UpstreamOrder(models.Model):
    """A server that staff ordered at an upstream, at the price that they agreed to. Stored before anything is sent."""

    class State(models.TextChoices):
        ASKED = "asked"
        """Not sent yet."""
        SENT = "sent"
        """Sent, and not answered: it is asked again under the same key, which comes to one order over there."""
        WAITING = "waiting"
        """Taken over there, and not filled yet."""
        FILLED = "filled"
        REFUSED = "refused"
        """Nothing was ordered, or they say no: ``why``."""
        WITHDRAWN = "withdrawn"
        UNKNOWN = "unknown"
        """Whether it was taken cannot be found out from here any more. A person looks over there."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="upstream_orders")
    upstream = models.ForeignKey(Upstream, on_delete=models.PROTECT, related_name="orders")
    number = models.PositiveIntegerField()
    """The organisation's own count, shown as B-<number>."""
    key = models.CharField(max_length=60, unique=True)
    """Its name over there, for good."""
    offer_id = models.CharField(max_length=120)
    offer_name = models.CharField(max_length=400)
    price = models.DecimalField(max_digits=12, decimal_places=2)
    setup_fee = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3)
    hostname = models.CharField(max_length=253, blank=True)
    note = models.CharField(max_length=600, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.ASKED)
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.CharField(max_length=200)
    sent_at = models.DateTimeField(null=True)
    """When it was first sent."""
    sent_with = models.CharField(max_length=64, blank=True)
    """Digest of the login that it was first sent with: under another one the key means nothing."""
    withdraw_asked_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=500, blank=True)
    """What kept the last attempt from getting on. For staff."""
    order_id = models.CharField(max_length=120, blank=True)
    their_number = models.CharField(max_length=120, blank=True)
    """What people over there call it."""
    external_id = models.CharField(max_length=120, blank=True)
    """Of the server that it was filled with."""
    settled_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=400, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="upstream_order_number_once"),
        ]
        indexes = [
            models.Index(fields=["upstream", "-id"], name="upstream_order_newest"),
            models.Index(
                fields=["state"],
                name="upstream_order_open",
                condition=Q(state__in=["asked", "sent", "waiting"]),
            ),
        ]

    def __str__(self) -> str:
        return f"B-{self.number}"


class IdentifierRow(models.Model):
    """The identifiers of servers, spread out for search (MAC, serial)."""

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="identifier_rows")
    kind = models.CharField(max_length=30)
    value = models.CharField(max_length=120, db_index=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class Address(models.Model):
    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="addresses")
    address = models.CharField(max_length=64, db_index=True)
    primary = models.BooleanField(default=False)
    rdns = models.CharField(max_length=253, blank=True)
    null_routed = models.BooleanField(null=True)
    """Its traffic is dropped before it reaches the machine. None: not read, or not offered."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "address"], name="address_once_per_server")]

    def __str__(self) -> str:
        return self.address


class Port(models.Model):
    """A switch port that a server is wired to, matched by ifName. Counters are collected per upstream."""

    upstream = models.ForeignKey(Upstream, on_delete=models.CASCADE, related_name="ports")
    server = models.ForeignKey(Server, null=True, on_delete=models.SET_NULL, related_name="ports")
    if_name = models.CharField(max_length=80)
    seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upstream", "if_name"], name="port_once_per_upstream")]

    def __str__(self) -> str:
        return self.if_name


class ServerGroup(models.Model):
    """A pool from which orders may be filled; a product without one waits for staff."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="server_groups")
    name = models.CharField(max_length=80)
    servers = models.ManyToManyField(Server, related_name="groups", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="server_group_once")]

    def __str__(self) -> str:
        return self.name


class Allocation(models.Model):
    """A server given by an organisation to the one below it, dated and priced."""

    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="allocations")
    giver = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="+")
    receiver = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="allocations")
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "giver"], condition=Q(until__isnull=True), name="allocated_once"
            ),
            models.CheckConstraint(condition=~Q(giver=F("receiver")), name="allocated_to_another"),
        ]

    def __str__(self) -> str:
        return f"{self.server} to {self.receiver}"


class Permission(models.Model):
    """Dated rights of one grantee on one server. ``given_by`` is the organisation that passed them on.

    The owner of the upstream needs none: everything hangs from there. Effective rights are the stored ones cut by
    those of each giver up the chain (fleet.permissions), so shrinking above shrinks below at once.
    """

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="permissions")
    organisation = models.ForeignKey(
        Organisation, null=True, on_delete=models.PROTECT, related_name="permissions"
    )
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="permissions")
    tandem_user = models.ForeignKey(
        TandemUser, null=True, on_delete=models.PROTECT, related_name="permissions"
    )
    given_by = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="+")
    rights = models.JSONField(default=list)
    since = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(organisation__isnull=False, client__isnull=True, tandem_user__isnull=True)
                | Q(organisation__isnull=True, client__isnull=False, tandem_user__isnull=True)
                | Q(organisation__isnull=True, client__isnull=True, tandem_user__isnull=False),
                name="permission_one_grantee",
            ),
            models.UniqueConstraint(
                fields=["server", "organisation"],
                condition=Q(until__isnull=True, organisation__isnull=False),
                name="organisation_permitted_once",
            ),
            models.UniqueConstraint(
                fields=["server", "client"],
                condition=Q(until__isnull=True, client__isnull=False),
                name="client_permitted_once",
            ),
            models.UniqueConstraint(
                fields=["server", "tandem_user"],
                condition=Q(until__isnull=True, tandem_user__isnull=False),
                name="tandem_user_permitted_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "server"], name="permission_by_organisation"),
            models.Index(fields=["client", "server"], name="permission_by_client"),
            models.Index(fields=["tandem_user", "server"], name="permission_by_tandem_user"),
        ]

    def __str__(self) -> str:
        return f"{self.organisation or self.client or self.tandem_user} on {self.server}"


class Hold(models.Model):
    """One organisation's suspension of a server. Effects lift when the last hold goes."""

    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="holds")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="+")
    cause = models.CharField(max_length=20, default="billing")
    reason = models.CharField(max_length=300)
    client_text = models.CharField(max_length=600)
    """What the client reads: reason and remedy."""
    since = models.DateTimeField(default=timezone.now)
    set_by = models.CharField(max_length=200)
    lifted_at = models.DateTimeField(null=True)
    effects = models.JSONField(default=list)
    """What was done, in order, and what was there before: exactly that is undone."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "organisation"], condition=Q(lifted_at__isnull=True), name="held_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.server} held by {self.organisation}"
