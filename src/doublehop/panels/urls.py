"""Addresses that both panels share."""

from django.urls import path

from doublehop.panels import brands, shared

urlpatterns = [
    path("", shared.start, name="start"),
    path("brand/colours.css", brands.colours, name="brand-colours"),
    path("brand/logo", brands.logo, name="brand-logo"),
    path("colours/", shared.set_colours, name="set-colours"),
]
