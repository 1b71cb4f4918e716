"""Who reads which switch in which slot, and what staff read when nobody could."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from doublehop.bandwidth.actions.known import lock
from doublehop.bandwidth.models import Collection


@transaction.atomic
def claim(upstream_ids: Sequence[int], slot: int) -> list[int]:
    """Those of them that nobody has claimed for ``slot`` before: they are the caller's, and nobody else gets them.

    A claim far ahead comes from a clock that was wrong, and holds nobody off.
    """
    Collection.objects.bulk_create(
        [Collection(upstream_id=upstream_id) for upstream_id in upstream_ids], ignore_conflicts=True
    )
    free = Collection.objects.filter(pk__in=upstream_ids).filter(
        Q(claimed_slot__lt=slot) | Q(claimed_slot__gt=slot + 1)
    )
    claimed = list(free.select_for_update().order_by("pk").values_list("pk", flat=True))
    Collection.objects.filter(pk__in=claimed).update(claimed_slot=slot)
    return claimed


@transaction.atomic
def note_failures(failures: Sequence[tuple[int, str]]) -> None:
    """(upstream id, text for staff) each: rounds that brought nothing, so their slots stay unmeasured.

    The first time of a row of failures is kept.
    """
    now = timezone.now()
    lock(sorted({upstream_id for upstream_id, _ in failures}))
    for upstream_id, text in failures:
        Collection.objects.filter(pk=upstream_id).update(
            failing_since=Coalesce("failing_since", now), failure_text=text[:500]
        )
