"""Who exists, as far as the actor may know."""

from django.db.models import QuerySet

from doublehop.organisations.actor import Actor
from doublehop.organisations.models import Client, Organisation


def organisations_visible_to(actor: Actor) -> QuerySet[Organisation]:
    if actor.is_system:
        return Organisation.objects.all()
    own = Organisation.objects.filter(pk=actor.organisation_id).first() if actor.is_staff else None
    return Organisation.objects.filter(path__startswith=own.path) if own else Organisation.objects.none()


def clients_visible_to(actor: Actor) -> QuerySet[Client]:
    if actor.is_system:
        return Client.objects.all()
    if actor.client_id is not None:
        return Client.objects.filter(pk=actor.client_id)
    return Client.objects.filter(organisation_id=actor.organisation_id) if actor.is_staff else Client.objects.none()
