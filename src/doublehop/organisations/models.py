"""Tables of who exists. No verbs: those are in actions.py."""

from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import Q
from django.utils import timezone

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
            # One installation has one root.
            models.UniqueConstraint(
                fields=["parent"], condition=Q(parent__isnull=True), name="one_root", nulls_distinct=False
            ),
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

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="client_number_once"),
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
