"""What staff are told when a copy of their billing system has called."""

from collections.abc import Mapping
from typing import Any

from doublehop.jobs.engine import JobFunction
from doublehop.notices.actions import tell_staff
from doublehop.organisations.actor import Duty
from doublehop.organisations.models import OtherInstallation


def tell_of_copy(payload: Mapping[str, Any]) -> None:
    """One mail to each person who may decide about it, once for each copy."""
    rows = OtherInstallation.objects.select_related("token")
    other = rows.filter(pk=int(payload["other_id"])).first()
    if other is None:  # staff accepted it meanwhile
        return
    token = other.token
    tell_staff(
        organisation_id=token.organisation_id,
        duty=Duty.GOVERN,
        subject=f"A copy of {token.billing_system} called, and was refused",
        body=(
            f"The token {token.name} is bound to one installation of {token.billing_system}. Another one called with it "
            f"from {other.first_from}, and was refused; nothing of what it asked was done. The first one goes on as before.\n\n"
            "Was it copied, for a test perhaps? Then give the copy a token of its own, and nothing else is to be done. "
            "Has it replaced the first one? Then open Setup > API tokens, choose the token and press Accept the new installation. "
            "Do you know nothing of it? Then somebody has a copy of your billing system and its secrets: revoke the token."
        ),
        about="other_installation",
        key=f"other-installation:{other.pk}",
    )


JOBS: dict[str, JobFunction] = {"notices.other_installation": tell_of_copy}
