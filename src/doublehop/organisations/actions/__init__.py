"""All writes about who exists, split by noun."""

from doublehop.organisations.actions.leap import (
    open_leap_account,
    refresh_digests,
    rotate_leap_secret,
    show_leap_secrets,
)
from doublehop.organisations.actions.organisations import (
    create_client,
    create_client_person,
    create_organisation,
    create_root,
    create_staff,
    set_brand,
    set_colours,
    update_client,
    update_staff,
)
from doublehop.organisations.actions.tandem import add_tandem_user, edit_tandem_user, end_tandem_user

__all__ = [
    "add_tandem_user",
    "create_client",
    "create_client_person",
    "create_organisation",
    "create_root",
    "create_staff",
    "edit_tandem_user",
    "end_tandem_user",
    "open_leap_account",
    "refresh_digests",
    "rotate_leap_secret",
    "set_brand",
    "set_colours",
    "show_leap_secrets",
    "update_client",
    "update_staff",
]
