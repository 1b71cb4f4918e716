"""Sign-ins of people, whoever they are: checked and made in one place."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import IntegrityError, transaction

from doublehop.organisations import texts
from doublehop.organisations.actor import Actor, Duty
from doublehop.organisations.models import Organisation, User
from doublehop.organisations.refusals import BadInput, NotAllowed, NotHere

LONGEST_EMAIL = 254
LONGEST_NAME = 120


def require(actor: Actor, duty: Duty) -> None:
    if not actor.is_staff:
        raise NotHere
    if not actor.has(duty):
        raise NotAllowed("Your role does not reach this. An owner or admin can do it.")


def email_of(text: str, field: str = "email") -> str:
    """An address in lower case. Raises BadInput."""
    address = text.strip().lower()
    try:
        MaxLengthValidator(LONGEST_EMAIL)(address)
        validate_email(address)
    except ValidationError as error:
        raise BadInput("Write an e-mail address such as name@example.org.", field=field) from error
    return address


def make_user(organisation: Organisation, name: str, email: str, password: str | None) -> User:
    """Somebody who signs in under the brand of ``organisation``; with no password, by links only. Raises BadInput."""
    user = User(brand_organisation=organisation)
    _name(user, name, email)
    if password is None:
        user.set_unusable_password()
    else:
        _set_password(user, password)
    _save(user)
    return user


def change_user(user: User, *, name: str, email: str, password: str = "") -> None:
    """An empty password keeps the present one; a new one ends every session. Raises BadInput."""
    _name(user, name, email)
    if password:
        _set_password(user, password)
    _save(user)


def _name(user: User, name: str, email: str) -> None:
    user.name, user.email = texts.name_of(name, LONGEST_NAME), email_of(email)
    user.sign_in = f"{user.brand_organisation_id}:{user.email}"


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise BadInput(" ".join(error.messages), field="password") from error
    user.set_password(password)


def _save(user: User) -> None:
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise BadInput("Somebody signs in with this address already.", field="email") from error
