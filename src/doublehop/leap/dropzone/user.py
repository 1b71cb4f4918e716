"""Dropzone, module User: its sub accounts are our staff, and its permissions are what our roles give.

A role is one word, their permissions were six. What no role gives is refused instead of being nearly done.
"""

from doublehop.leap.fields import id_of, secret, text
from doublehop.leap.table import Call, Certainty, DropzoneCommand, Members
from doublehop.organisations import actions as organisations
from doublehop.organisations.actor import ROLE_DUTIES, Actor, Duty, Role
from doublehop.organisations.queries import staff_visible_to
from doublehop.organisations.refusals import BadInput, NotHere, NotOffered

_DUTY_OF = {
    "billing": Duty.SELL,
    "server": Duty.OPERATE,
    "solution": None,
    "support": None,
    "user": Duty.GOVERN,
    "tandem": Duty.GOVERN,
}
"""What each of their permissions is with us. Clouds and tickets are not ours, so nobody has a right to them."""
_ROLES = (Role.READ_ONLY, Role.SUPPORT, Role.BILLING, Role.ADMIN)
"""Those that may be given through the API. Owners are made by owners."""
NOT_KEPT = "Phone numbers and descriptions are not kept here. Leave them out."


def list_users(call: Call) -> Members:
    rows = staff_visible_to(call.actor)
    if call.arguments:
        rows = rows.filter(pk=_staff_id(call.actor, call.arguments[0]))
    data = []
    for row in rows:
        first, _, last = row.user.name.partition(" ")
        data.append(
            {
                "id": str(row.pk),
                "username": row.user.email,
                "first": first,
                "last": last,
                "email": row.user.email,
                "phone": "",
                "description": row.role,
                "type": "primary" if row.role == Role.OWNER else "secondary",
                "permissions": {**permissions_of(Role(row.role)), "servers": {}},
            }
        )
    return {"data": data}


def create(call: Call) -> Members:
    _refuse_what_is_not_kept(call)
    staff = organisations.create_staff(
        call.actor,
        organisation_id=call.actor.organisation_id,
        name=f"{text(call.fields, 'first')} {text(call.fields, 'last')}",
        email=text(call.fields, "email"),
        password=secret(call.fields, "password"),
        role=Role.READ_ONLY,
    )
    return {"data": {"id": str(staff.pk)}}


def edit(call: Call) -> Members:
    _refuse_what_is_not_kept(call)
    row = staff_visible_to(call.actor).get(pk=_staff_id(call.actor, call.arguments[0]))
    first, last = text(call.fields, "first", needed=False), text(call.fields, "last", needed=False)
    if bool(first) != bool(last):
        raise BadInput("First and last name go together.", field="last" if first else "first")
    organisations.update_staff(
        call.actor,
        row.pk,
        name=f"{first} {last}" if first else row.user.name,
        email=text(call.fields, "email", needed=False) or row.user.email,
        password=secret(call.fields, "password", needed=False),
    )
    return {}


def permission(call: Call) -> Members:
    row = staff_visible_to(call.actor).get(pk=_staff_id(call.actor, call.arguments[0]))
    return {"data": {**permissions_of(Role(row.role)), "servers": {}}}


def set_permission(call: Call) -> Members:
    row = staff_visible_to(call.actor).get(pk=_staff_id(call.actor, call.arguments[0]))
    wanted = permissions_of(Role(row.role))
    given = {name: text(call.fields, name) for name in _DUTY_OF if name in call.fields}
    if not given or not set(given.values()) <= {"none", "all"}:
        raise BadInput(f"Say none or all of: {', '.join(_DUTY_OF)}.", field="permissions")
    wanted.update(given)
    role = next((role for role in _ROLES if permissions_of(role) == wanted), None)
    if role is None:
        raise BadInput(
            "No role here gives exactly these. "
            + " ".join(f"{role.value}: {_in_words(role)}." for role in _ROLES),
            field="permissions",
        )
    organisations.update_staff(call.actor, row.pk, name=row.user.name, email=row.user.email, role=role)
    return {}


def add_component(call: Call) -> Members:
    raise NotOffered("Staff reach all servers of their organisation. For single ones, add a Tandem user.")


def permissions_of(role: Role) -> dict[str, str]:
    return {
        name: "all" if duty is not None and duty in ROLE_DUTIES[role] else "none"
        for name, duty in _DUTY_OF.items()
    }


def _in_words(role: Role) -> str:
    given = [name for name, value in permissions_of(role).items() if value == "all"]
    return ", ".join(given) or "none"


def _refuse_what_is_not_kept(call: Call) -> None:
    if any(text(call.fields, name, needed=False) for name in ("description", "phone")):
        raise NotOffered(NOT_KEPT)


def _staff_id(actor: Actor, given: object) -> int:
    staff_id = id_of(given)
    if not staff_id or not staff_visible_to(actor).filter(pk=staff_id).exists():
        raise NotHere("There is no such user.")
    return staff_id


COMMANDS = (
    DropzoneCommand(
        "user/list/{userid?}",
        ("GET",),
        Certainty.SEEN,
        list_users,
        "The reseller's staff. `permissions` are what their role gives; the owner is `primary`.",
    ),
    DropzoneCommand(
        "user/create",
        ("POST",),
        Certainty.SEEN,
        create,
        "`first`, `last`, `email`, `password`. Read-only at first. A `description` is refused: it is not kept.",
    ),
    DropzoneCommand(
        "user/edit/{userid}",
        ("POST",),
        Certainty.SEEN,
        edit,
        "`first` with `last`, `email`, `password`. Owners are changed by owners only.",
    ),
    DropzoneCommand("user/permission/{userid}", ("GET",), Certainty.SEEN, permission, "As in the list."),
    DropzoneCommand(
        "user/permission/{userid}",
        ("POST",),
        Certainty.INFERRED,
        set_permission,
        "`billing`, `server`, `solution`, `support`, `user`, `tandem`: `none` or `all` each. What no role gives is refused.",
    ),
    DropzoneCommand(
        "user/addcomponent/{userid}/{hostname}",
        ("GET", "POST"),
        Certainty.REFUSED,
        add_component,
        "Staff reach all servers of their organisation.",
    ),
)
