"""LEAP API, module account: who the reseller is, and its Tandem users."""

from doublehop.leap import tandem
from doublehop.leap.extensions import announced
from doublehop.leap.fields import Fields, secret, text
from doublehop.leap.machines import server_id_of
from doublehop.leap.table import Certainty, LeapCommand
from doublehop.organisations.actor import Actor
from doublehop.organisations.queries import brand_of, leap_account_of, staff_visible_to
from doublehop.organisations.refusals import NotHere

EXTENSIONS = ["suspendServer", "unsuspendServer", "getOperation", "getServerLogin"]
_NOT_KEPT = ("first", "last", "address", "city", "state", "zip", "country", "phone", "fax")


def get_account_details(actor: Actor, data: Fields) -> object:
    account = leap_account_of(actor)
    if account is None:
        raise NotHere
    details = {
        "clientid": int(account.client_id),
        "company": actor.organisation_label,
        "email": brand_of(actor).support_email,
        **dict.fromkeys(_NOT_KEPT, ""),
        "extensions": announced(EXTENSIONS),
    }
    return {"success": True, "data": details}


def get_authorized_contacts(actor: Actor, data: Fields) -> object:
    contacts = []
    for row in staff_visible_to(actor):
        first, _, last = row.user.name.partition(" ")
        contacts.append({"id": str(row.pk), "first": first, "last": last, "email": row.user.email})
    return {"success": True, "data": contacts}


def tandem_list(actor: Actor, data: Fields) -> object:
    return {"success": True, "data": tandem.users(actor)}


def tandem_add_user(actor: Actor, data: Fields) -> object:
    user_id = tandem.add(
        actor, name=text(data, "name"), email=text(data, "email"), password=secret(data, "password")
    )
    return {"success": True, "id": str(user_id)}


def tandem_delete_user(actor: Actor, data: Fields) -> object:
    tandem.delete(actor, data.get("userid"))
    return {"success": True}


def tandem_add_user_permission(actor: Actor, data: Fields) -> object:
    tandem.permit(actor, data.get("userid"), [server_id_of(actor, data.get("serverid"))])
    return {"success": True}


def tandem_delete_user_permission(actor: Actor, data: Fields) -> object:
    tandem.revoke(actor, data.get("userid"), [server_id_of(actor, data.get("serverid"))])
    return {"success": True}


COMMANDS = (
    LeapCommand(
        "getAccountDetails",
        Certainty.SEEN,
        get_account_details,
        "What is not kept here (person, postal address, phone) is an empty text. `extensions` is ours.",
    ),
    LeapCommand(
        "getAuthorizedContacts",
        Certainty.INFERRED,
        get_authorized_contacts,
        "The reseller's own staff: `id`, `first`, `last`, `email`. The old shape is not known.",
    ),
    LeapCommand(
        "tandemList",
        Certainty.INFERRED,
        tandem_list,
        "In the shape of Dropzone's list. `pass` is always empty.",
    ),
    LeapCommand(
        "tandemAddUser",
        Certainty.SEEN,
        tandem_add_user,
        "`name`, `email`, `password`. `id` in the answer is ours.",
    ),
    LeapCommand("tandemDeleteUser", Certainty.INFERRED, tandem_delete_user, "`userid`. It failed in 2011."),
    LeapCommand(
        "tandemAddUserPermission",
        Certainty.INFERRED,
        tandem_add_user_permission,
        "`userid`, `serverid`. Gives view, power, reverse DNS and bandwidth; what is permitted already stays as it is.",
    ),
    LeapCommand(
        "tandemDeleteUserPermission",
        Certainty.INFERRED,
        tandem_delete_user_permission,
        "`userid`, `serverid`.",
    ),
)
