"""All writes about who exists, split by noun."""

from doublehop.organisations.actions.installations import accept_installation, keep_refusing
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
from doublehop.organisations.actions.sign_in_links import make_sign_in_link
from doublehop.organisations.actions.tandem import add_tandem_user, edit_tandem_user, end_tandem_user
from doublehop.organisations.actions.tokens import (
    TokenForm,
    choose_signed_only,
    create_token,
    refresh_tokens,
    revoke_token,
    rotate_token,
)

__all__ = [
    "TokenForm",
    "accept_installation",
    "add_tandem_user",
    "choose_signed_only",
    "create_client",
    "create_client_person",
    "create_organisation",
    "create_root",
    "create_staff",
    "create_token",
    "edit_tandem_user",
    "end_tandem_user",
    "keep_refusing",
    "make_sign_in_link",
    "open_leap_account",
    "refresh_digests",
    "refresh_tokens",
    "revoke_token",
    "rotate_leap_secret",
    "rotate_token",
    "set_brand",
    "set_colours",
    "show_leap_secrets",
    "update_client",
    "update_staff",
]
