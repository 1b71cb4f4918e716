"""All reads of services, split by noun. Each begins with the actor; what is not theirs is not there."""

from doublehop.services.queries.attention import Need, needs_a_person
from doublehop.services.queries.batches import batch_of, batches_visible_to, held_count, operations_of
from doublehop.services.queries.catalogue import (
    product,
    product_groups_visible_to,
    products_visible_to,
    suspend_policies_visible_to,
)
from doublehop.services.queries.operations import (
    HistoryLine,
    addresses_shown,
    can_be_cancelled,
    can_be_read_back,
    history,
    history_of_server,
    last_operation,
    operation,
    operations_of_key,
    operations_visible_to,
    steps_of,
)
from doublehop.services.queries.preview import Preview, PreviewLine, preview
from doublehop.services.queries.restored import Waiting, waiting_in_copy
from doublehop.services.queries.search import Hit, search, services_like
from doublehop.services.queries.services import (
    Button,
    buttons,
    naming_button,
    null_route_button,
    server_buttons,
    service,
    service_of_reference,
    service_of_server,
    services_of_servers,
    services_visible_to,
    suspension_of,
    suspensions_of_servers,
)

__all__ = [
    "Button",
    "HistoryLine",
    "Hit",
    "Need",
    "Preview",
    "PreviewLine",
    "Waiting",
    "addresses_shown",
    "batch_of",
    "batches_visible_to",
    "buttons",
    "can_be_cancelled",
    "can_be_read_back",
    "held_count",
    "history",
    "history_of_server",
    "last_operation",
    "naming_button",
    "needs_a_person",
    "null_route_button",
    "operation",
    "operations_of",
    "operations_of_key",
    "operations_visible_to",
    "preview",
    "product",
    "product_groups_visible_to",
    "products_visible_to",
    "search",
    "server_buttons",
    "service",
    "service_of_reference",
    "service_of_server",
    "services_like",
    "services_of_servers",
    "services_visible_to",
    "steps_of",
    "suspend_policies_visible_to",
    "suspension_of",
    "suspensions_of_servers",
    "waiting_in_copy",
]
