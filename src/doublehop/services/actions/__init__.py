"""All writes of services, split by noun."""

from doublehop.services.actions.batches import approve, refuse, undo
from doublehop.services.actions.catalogue import (
    create_product,
    create_product_group,
    create_suspend_policy,
    update_product,
)
from doublehop.services.actions.changing import change_service
from doublehop.services.actions.contracts import ContractForm, save_contract
from doublehop.services.actions.deciding import ask_look_again, cancel, settle
from doublehop.services.actions.modules import ModuleForm, save_module_settings
from doublehop.services.actions.operations import request
from doublehop.services.actions.orders import create_service, order
from doublehop.services.actions.readoption import readopt
from doublehop.services.actions.services import (
    attach,
    cancel_service,
    detach,
    save_service,
    swap,
)
from doublehop.services.actions.termination import restore, terminate
from doublehop.services.guards import AlreadyOpen

__all__ = [
    "AlreadyOpen",
    "ContractForm",
    "ModuleForm",
    "approve",
    "ask_look_again",
    "attach",
    "cancel",
    "cancel_service",
    "change_service",
    "create_product",
    "create_product_group",
    "create_service",
    "create_suspend_policy",
    "detach",
    "order",
    "readopt",
    "refuse",
    "request",
    "restore",
    "save_contract",
    "save_module_settings",
    "save_service",
    "settle",
    "swap",
    "terminate",
    "undo",
    "update_product",
]
