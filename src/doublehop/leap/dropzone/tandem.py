"""Dropzone, module Tandem."""

from doublehop.leap import tandem
from doublehop.leap.fields import ids, secret, text
from doublehop.leap.table import Call, Certainty, DropzoneCommand, Members
from doublehop.organisations.refusals import BadInput


def list_users(call: Call) -> Members:
    return {"data": tandem.users(call.actor)}


def add(call: Call) -> Members:
    user_id = tandem.add(
        call.actor,
        name=text(call.fields, "name"),
        email=text(call.fields, "email"),
        password=secret(call.fields, "password"),
        server_ids=ids(call.fields, "servers", needed=False),
    )
    return {"data": str(user_id)}


def edit(call: Call) -> Members:
    tandem.edit(
        call.actor,
        call.arguments[0] if call.arguments else call.fields.get("id"),
        name=text(call.fields, "name"),
        email=text(call.fields, "email"),
        password=secret(call.fields, "password", needed=False),
        server_ids=ids(call.fields, "servers", needed=False),
    )
    return {}


def delete(call: Call) -> Members:
    tandem.delete(call.actor, call.arguments[0])
    return {}


def add_component(call: Call) -> Members:
    tandem.permit(call.actor, call.arguments[0], ids(call.fields, "servers") or [])
    return {}


def remove_component(call: Call) -> Members:
    tandem.revoke(call.actor, call.arguments[0], ids(call.fields, "servers") or [])
    return {}


def add_nameless(call: Call) -> Members:
    raise BadInput(
        "Say whose permission it is: POST servers to tandem/user/addcomponent/{tandemid}.", field="id"
    )


COMMANDS = (
    DropzoneCommand("tandem/user/list", ("GET",), Certainty.SEEN, list_users, "`pass` is always empty."),
    DropzoneCommand(
        "tandem/user/add",
        ("POST",),
        Certainty.SEEN,
        add,
        "`name`, `email`, `password`; `servers` is a JSON array. The new id.",
    ),
    DropzoneCommand(
        "tandem/user/edit/{id?}",
        ("POST",),
        Certainty.INFERRED,
        edit,
        "`id` in the address or as a field. `servers`, where given, replaces the permitted ones. An empty `password` keeps the present one.",
    ),
    DropzoneCommand(
        "tandem/user/delete/{id}", ("POST",), Certainty.OURS, delete, "The old command is not known."
    ),
    DropzoneCommand(
        "tandem/user/addcomponent/{tandemid}",
        ("POST",),
        Certainty.OURS,
        add_component,
        "`servers` is a JSON array. The old page names no place for the Tandem user.",
    ),
    DropzoneCommand(
        "tandem/user/addcomponent/{serverid}",
        ("GET",),
        Certainty.REFUSED,
        add_nameless,
        "It does not say which Tandem user is meant.",
    ),
    DropzoneCommand(
        "tandem/user/removecomponent/{tandemid}",
        ("POST",),
        Certainty.OURS,
        remove_component,
        "`servers` is a JSON array.",
    ),
)
