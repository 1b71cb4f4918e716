"""Tables of who exists. No verbs: those are in actions.py."""

from typing import ClassVar
from uuid import uuid4

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from doublehop.driver_kit.secret import Secret
from doublehop.organisations.actor import Role


class Organisation(models.Model):
    """A party in the chain. ``path`` is "/1/4/": the ids from the root down to itself, so a subtree is one prefix."""

    name = models.CharField(max_length=120)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    path = models.CharField(max_length=400, db_index=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            # One installation has one root. SQLite can't take nulls as alike, so what is unique is a nought in their place.
            models.UniqueConstraint(Coalesce("parent", 0), condition=Q(parent__isnull=True), name="one_root"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ancestor_ids(self) -> list[int]:
        """From the root down to the organisation itself."""
        return [int(part) for part in self.path.strip("/").split("/")]


class Brand(models.Model):
    """How an organisation looks to its own people and clients. ``host`` chooses it; empty means the shared host only."""

    organisation = models.OneToOneField(Organisation, on_delete=models.CASCADE, related_name="brand")
    name = models.CharField(max_length=80)
    host = models.CharField(max_length=253, blank=True)
    colour = models.CharField(max_length=7, default="#2f55d4")
    colour_dark = models.CharField(max_length=7, default="#8aa6ff")
    logo = models.BinaryField(null=True)
    logo_type = models.CharField(max_length=40, blank=True)
    support_email = models.EmailField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["host"], condition=~Q(host=""), name="brand_host_once"),
        ]

    def __str__(self) -> str:
        return self.name


class User(AbstractBaseUser):
    """A sign-in. The same e-mail address may exist under two brands, and neither learns of the other."""

    brand_organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="users")
    email = models.EmailField()
    name = models.CharField(max_length=120)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    colours = models.CharField(
        max_length=6, default="system", choices=[("system", "System"), ("light", "Light"), ("dark", "Dark")]
    )
    time_zone = models.CharField(max_length=40, default="UTC")
    sign_in = models.CharField(max_length=300, unique=True)
    """``<brand organisation id>:<e-mail in lower case>``: what Django calls the username."""

    USERNAME_FIELD = "sign_in"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["brand_organisation", "email"], name="email_once_per_brand"),
        ]

    def __str__(self) -> str:
        return self.name


class Staff(models.Model):
    """A person who works for an organisation."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="staff")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="staff")
    role = models.CharField(max_length=12, choices=[(role.value, role.value) for role in Role])

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class LeapAccount(models.Model):
    """The machine identity of a reseller at its provider: never a person's sign-in. All parts are generated.

    Checked against keyed digests, which cost microseconds; kept sealed as well, because staff may see them again.
    """

    organisation = models.OneToOneField(Organisation, on_delete=models.CASCADE, related_name="leap_account")
    username = models.CharField(max_length=40, unique=True)
    client_id = models.CharField(max_length=12, unique=True)
    """Digits only, as old clients expect."""
    password_digest = models.CharField(max_length=64)
    api_key_digest = models.CharField(max_length=64)
    pin_digest = models.CharField(max_length=64)
    sealed_secrets = models.TextField()
    """password, api_key and pin (organisations.vault)."""
    created_at = models.DateTimeField(default=timezone.now)
    password_changed_at = models.DateTimeField(default=timezone.now)
    api_key_changed_at = models.DateTimeField(default=timezone.now)
    pin_changed_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.username


class TandemUser(models.Model):
    """A sub-login of a reseller, with permission on named servers only. One that ended keeps its row and no sign-in."""

    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="tandem_user")
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="tandem_users")
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "id"], name="tandem_by_organisation")]

    def __str__(self) -> str:
        return self.user.name


class Client(models.Model):
    """The end customer of one organisation. ``number`` counts within the organisation and is shown to people."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="clients")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    email = models.EmailField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    billed_by = models.CharField(max_length=80, blank=True)
    """The billing system that it belongs to. Empty: none."""
    billing_reference = models.CharField(max_length=80, blank=True)
    """That system's own id of it."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="client_number_once"),
            models.UniqueConstraint(
                fields=["organisation", "billed_by", "billing_reference"],
                condition=~Q(billing_reference=""),
                name="client_reference_once",
            ),
        ]
        indexes = [models.Index(fields=["organisation", "name", "id"], name="client_by_name")]

    def __str__(self) -> str:
        return self.name


class ClientPerson(models.Model):
    """A sign-in of a client. A client may have several people."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="client_person")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="people")

    def __str__(self) -> str:
        return f"{self.user} of {self.client}"


class ApiToken(models.Model):
    """What a program shows to the REST API: of an organisation, of one of its billing systems, or of one client.

    A keyed digest of its secret is kept, and for a billing system the secret itself, sealed: a signature is checked with it.
    The whole text is there once, on the answer of the action that made it (``shown``).
    """

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="api_tokens")
    client = models.ForeignKey(Client, null=True, on_delete=models.CASCADE, related_name="api_tokens")
    billing_system = models.CharField(max_length=80, blank=True)
    """The one installation that uses it. Empty: no billing system."""
    name = models.CharField(max_length=80)
    handle = models.CharField(max_length=12, unique=True)
    """The part of the text that may be shown: ``dh_<handle>_<secret>``."""
    digest = models.CharField(max_length=64)
    previous_digest = models.CharField(max_length=64, blank=True)
    previous_until = models.DateTimeField(null=True)
    """Until then the secret before the last rotation opens as well."""
    sealed_secrets = models.TextField(blank=True)
    """"current" and "previous" (organisations.vault). Empty: it cannot sign."""
    signed_only = models.BooleanField(default=False)
    """Shown as it is (Bearer) it is refused."""
    installation = models.CharField(max_length=128, blank=True)
    """The fingerprint that its signed calls must carry: that of the first one. Empty: none has come yet."""
    installation_since = models.DateTimeField(null=True)
    scopes = models.JSONField(default=list)
    networks = models.JSONField(default=list)
    """Where it may be used from, such as "192.0.2.0/24". Empty: from anywhere."""
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    rotated_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_used_from = models.CharField(max_length=64, blank=True)
    revoked_at = models.DateTimeField(null=True)

    shown: Secret | None = None

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(client__isnull=True) | Q(billing_system=""), name="token_one_holder"
            ),
            models.CheckConstraint(
                condition=Q(signed_only=False) | ~Q(billing_system=""), name="token_signs_for_billing"
            ),
        ]
        indexes = [models.Index(fields=["organisation", "-id"], name="token_newest")]

    def __str__(self) -> str:
        return self.name


class OtherInstallation(models.Model):
    """A copy of a billing system: it signed with a token that is bound to another installation, and was refused."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="others")
    fingerprint = models.CharField(max_length=128)
    first_at = models.DateTimeField(default=timezone.now)
    first_from = models.CharField(max_length=64, blank=True)
    dismissed_at = models.DateTimeField(null=True)
    """Staff know of it, and go on refusing it."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token", "fingerprint"], name="other_installation_once"),
        ]

    def __str__(self) -> str:
        return f"{self.fingerprint} at {self.token}"


class UsedNonce(models.Model):
    """One signed call that was taken: the same one is not taken again. Kept while its signature could still fit."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    nonce = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "nonce"], name="nonce_once")]

    def __str__(self) -> str:
        return self.nonce


class SignInLink(models.Model):
    """Signs a person of a client in, once, within a minute: asked for by the organisation's billing system.

    What is in its address follows from ``handle`` and the installation's secret key, so nothing here opens anything.
    """

    handle = models.CharField(max_length=32, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=300)
    """Where it leads within the client panel."""
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.user} to {self.path}"


class AnsweredKey(models.Model):
    """What came of one request under a caller's idempotency key (organisations.once), so that it happens once.

    The body itself is not kept: it may hold passwords.
    """

    caller = models.CharField(max_length=80)
    """``user:<id>``, or the kind and the organisation of an actor that is no person."""
    key = models.CharField(max_length=120)
    verb = models.CharField(max_length=60)
    body_digest = models.CharField(max_length=64)
    """Keyed (organisations.once). Empty: reserved for a row that keeps key and body itself."""
    answer = models.BigIntegerField(null=True)
    """The id of the row that the action answered with; null where it answers with nothing."""
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="answered_once")]

    def __str__(self) -> str:
        return f"{self.verb} of {self.caller}"


class Installation(models.Model):
    """This installation itself, in one row, and whether its database is a restored copy that nobody has confirmed yet.

    In quarantine (``restored_at`` without ``confirmed_at``) it reads and sends nothing (organisations.installation).
    """

    class Why(models.TextChoices):
        RESTORED = "restored"
        """By `doublehop restore`."""
        BEHIND = "behind"
        """The worker had seen newer lines of the journal than the database has."""
        OTHER = "other"
        """The worker had served another installation from this data folder."""
        UNREADABLE = "unreadable"
        """What the worker had written down cannot be read, so nothing can be compared."""

    uuid = models.UUIDField(default=uuid4)
    restores = models.PositiveIntegerField(default=0)
    """How often it went into quarantine: a mark of the worker from before the last time says nothing any more."""
    why = models.CharField(max_length=10, choices=Why, blank=True)
    restored_at = models.DateTimeField(null=True)
    copy_taken_at = models.DateTimeField(null=True)
    """Until when the copy knows what happened. Unless `doublehop restore` said so: the newest line of the journal."""
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_installation")]

    def __str__(self) -> str:
        return str(self.uuid)
