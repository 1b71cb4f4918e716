"""The client panel's addresses. They name nothing beyond the brand."""

from django.urls import path

from doublehop.panels.client import help as help_views
from doublehop.panels.client import views

urlpatterns = [
    path("servers/", views.servers, name="client-servers"),
    path("servers/<int:service_id>/", views.server, name="client-server"),
    path("servers/<int:service_id>/live/", views.live, name="client-live"),
    path("servers/<int:service_id>/do/", views.act, name="client-act"),
    path("servers/<int:service_id>/take-back/", views.take_back, name="client-take-back"),
    path("servers/<int:service_id>/read-again/", views.read_again, name="client-read-again"),
    path("servers/<int:service_id>/bandwidth.json", views.bandwidth, name="client-bandwidth"),
    path("servers/<int:service_id>/bandwidth.csv", views.bandwidth_csv, name="client-bandwidth-csv"),
    path("help/", help_views.help_page, name="client-help"),
]
