"""Addresses that both panels share."""

from django.urls import path

from doublehop.panels import brands, shared, sign_in_links

urlpatterns = [
    path("", shared.start, name="start"),
    path("brand/colours.css", brands.colours, name="brand-colours"),
    path("brand/logo", brands.logo, name="brand-logo"),
    path("colours/", shared.set_colours, name="set-colours"),
    path("sign-in/link/<str:text>/", sign_in_links.open_link, name="sign-in-link"),
]
