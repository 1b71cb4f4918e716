"""The admin panel's addresses. ``page`` puts the gate before each, so that no view can be reached by anybody else."""

from collections.abc import Callable

from django.http import HttpResponseBase
from django.urls import URLPattern, path

from doublehop.panels.admin import (
    bandwidth,
    billing,
    bulk,
    clients,
    dashboard,
    endings,
    groups,
    journal,
    module_settings,
    operations,
    orders,
    product_tabs,
    products,
    server_forms,
    servers,
    services,
    staff,
    upstreams,
)
from doublehop.panels.gates import staff_only

View = Callable[..., HttpResponseBase]


def page(route: str, view: View, name: str) -> URLPattern:
    return path(route, staff_only(view), name=f"admin-{name}")


urlpatterns = [
    page("", dashboard.dashboard, "dashboard"),
    page("search/", dashboard.search, "search"),
    page("journal/", journal.journal, "journal"),
    # clients
    page("clients/", clients.clients, "clients"),
    page("clients/new/", clients.new, "client-new"),
    page("clients/<int:client_id>/", clients.summary, "client"),
    page("clients/<int:client_id>/profile/", clients.profile, "client-profile"),
    page("clients/<int:client_id>/services/", services.of_client, "client-services"),
    page("clients/<int:client_id>/services/<int:service_id>/", services.service, "client-service"),
    page("clients/<int:client_id>/people/", clients.people, "client-people"),
    page("clients/<int:client_id>/journal/", clients.client_journal, "client-journal"),
    # services
    page("services/", orders.services, "services"),
    page("services/new/", orders.new, "service-new"),
    page("services/bulk/", bulk.bulk, "services-bulk"),
    page("services/<int:service_id>/", services.open_service, "service"),
    page("services/<int:service_id>/save/", services.save, "service-save"),
    page("services/<int:service_id>/do/", services.act, "service-act"),
    page("services/<int:service_id>/live/", services.live, "service-live"),
    page("services/<int:service_id>/refresh/", services.refresh, "service-refresh"),
    page("services/<int:service_id>/terminate/", endings.terminate, "service-terminate"),
    page("services/<int:service_id>/cancel/", endings.cancel, "service-cancel"),
    page("services/<int:service_id>/payments/", billing.record_payment, "service-payment"),
    page("services/<int:service_id>/due/", billing.set_due_date, "service-due"),
    # servers
    page("servers/", servers.servers, "servers"),
    page("servers/new/", server_forms.new, "server-new"),
    page("servers/<int:server_id>/", servers.overview, "server"),
    page("servers/<int:server_id>/addresses/", servers.addresses, "server-addresses"),
    page("servers/<int:server_id>/permissions/", servers.permissions, "server-permissions"),
    page("servers/<int:server_id>/operations/", servers.server_operations, "server-operations"),
    page("servers/<int:server_id>/journal/", servers.server_journal, "server-journal"),
    page("servers/<int:server_id>/live/", servers.live, "server-live"),
    page("servers/<int:server_id>/do/", servers.act, "server-act"),
    page("servers/<int:server_id>/edit/", server_forms.edit, "server-edit"),
    page("servers/<int:server_id>/refresh/", server_forms.refresh, "server-refresh"),
    page("servers/<int:server_id>/protect/", server_forms.protect, "server-protect"),
    page("servers/<int:server_id>/unprotect/", server_forms.unprotect, "server-unprotect"),
    page("servers/<int:server_id>/same-machine/", server_forms.same_machine, "server-same-machine"),
    page("servers/<int:server_id>/allocate/", server_forms.allocate, "server-allocate"),
    page("allocations/<int:allocation_id>/end/", server_forms.end_allocation, "allocation-end"),
    page("servers/<int:server_id>/bandwidth/", bandwidth.bandwidth, "server-bandwidth"),
    page("servers/<int:server_id>/bandwidth.json", bandwidth.values, "server-bandwidth-data"),
    page("servers/<int:server_id>/bandwidth.csv", bandwidth.as_csv, "server-bandwidth-csv"),
    # operations
    page("operations/", operations.operations, "operations"),
    page("operations/<str:reference>/", operations.operation, "operation"),
    page("operations/<str:reference>/live/", operations.live, "operation-live"),
    page("operations/<str:reference>/decide/", operations.decide, "operation-decide"),
    page("operations/<str:reference>/cancel/", operations.cancel, "operation-cancel"),
    # setup
    page("setup/upstreams/", upstreams.upstreams, "upstreams"),
    page("setup/upstreams/new/", upstreams.new, "upstream-new"),
    page("setup/upstreams/<int:upstream_id>/", upstreams.upstream, "upstream"),
    page("setup/upstreams/<int:upstream_id>/edit/", upstreams.edit, "upstream-edit"),
    page("setup/upstreams/<int:upstream_id>/live/", upstreams.live, "upstream-live"),
    page("setup/upstreams/<int:upstream_id>/do/<str:verb>/", upstreams.act, "upstream-act"),
    page("setup/products/", products.products, "products"),
    page("setup/products/new/", products.new, "product-new"),
    page("setup/products/<int:product_id>/", product_tabs.details, "product"),
    page("setup/products/<int:product_id>/pricing/", product_tabs.pricing, "product-pricing"),
    page("setup/products/<int:product_id>/module/", module_settings.module, "product-module"),
    page("setup/products/<int:product_id>/module/live/", module_settings.live, "product-module-live"),
    page("setup/products/<int:product_id>/module/test/", module_settings.test, "product-module-test"),
    page("setup/products/<int:product_id>/custom-fields/", product_tabs.custom_fields, "product-custom"),
    page("setup/product-groups/", products.new_group, "product-group-new"),
    page("setup/server-groups/", groups.server_groups, "server-groups"),
    page("setup/server-groups/<int:group_id>/", groups.server_group, "server-group"),
    page("setup/server-groups/<int:group_id>/delete/", groups.delete, "server-group-delete"),
    page("setup/suspend-policies/", groups.policies, "policies"),
    page("setup/staff/", staff.staff, "staff"),
    page("setup/staff/brand/", staff.brand, "brand"),
    page("setup/staff/organisations/", staff.organisations, "organisations"),
]
