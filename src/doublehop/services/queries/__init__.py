"""All reads of services, split by noun. Each begins with the actor; what is not theirs is not there."""

from doublehop.services.queries.attention import Need, needs_a_person
from doublehop.services.queries.catalogue import (
    product,
    product_groups_visible_to,
    products_visible_to,
    suspend_policies_visible_to,
)
from doublehop.services.queries.operations import (
    HistoryLine,
    history,
    history_of_server,
    last_operation,
    operation,
    operations_visible_to,
    steps_of,
)
from doublehop.services.queries.preview import Preview, PreviewLine, preview
from doublehop.services.queries.search import Hit, search
from doublehop.services.queries.services import (
    Button,
    buttons,
    naming_button,
    server_buttons,
    service,
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
    "buttons",
    "history",
    "history_of_server",
    "last_operation",
    "naming_button",
    "needs_a_person",
    "operation",
    "operations_visible_to",
    "preview",
    "product",
    "product_groups_visible_to",
    "products_visible_to",
    "search",
    "server_buttons",
    "service",
    "service_of_server",
    "services_of_servers",
    "services_visible_to",
    "steps_of",
    "suspend_policies_visible_to",
    "suspension_of",
    "suspensions_of_servers",
]
