"""All writes of services, split by noun."""

from doublehop.services.actions.catalogue import (
    create_product,
    create_product_group,
    create_suspend_policy,
    update_product,
)
from doublehop.services.actions.modules import ModuleForm, save_module_settings
from doublehop.services.actions.operations import AlreadyOpen, cancel, request, settle
from doublehop.services.actions.orders import create_service, order
from doublehop.services.actions.services import (
    attach,
    cancel_service,
    detach,
    save_service,
    swap,
    terminate,
)

__all__ = [
    "AlreadyOpen",
    "ModuleForm",
    "attach",
    "cancel",
    "cancel_service",
    "create_product",
    "create_product_group",
    "create_service",
    "create_suspend_policy",
    "detach",
    "order",
    "request",
    "save_module_settings",
    "save_service",
    "settle",
    "swap",
    "terminate",
    "update_product",
]
