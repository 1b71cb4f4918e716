"""Where the faces are mounted."""

from django.urls import URLPattern, URLResolver, include, path

from doublehop.api.routes import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),
    path("", include("doublehop.leap.urls")),
    path("", include("doublehop.panels.urls")),
    path("", include("doublehop.organisations.urls")),
    path("", include("doublehop.panels.client.urls")),
    path("admin/", include("doublehop.panels.admin.urls")),
]
handler400 = "doublehop.panels.errors.bad_request"
handler403 = "doublehop.panels.errors.forbidden"
handler404 = "doublehop.panels.errors.not_found"
handler500 = "doublehop.panels.errors.server_error"
