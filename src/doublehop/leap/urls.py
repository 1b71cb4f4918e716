"""Mounted at the root: old clients know these addresses by heart."""

from django.urls import path, register_converter

from doublehop.leap.views import dropzone, leap_api


class Rest:
    """Whatever follows, line breaks included: what is no command is answered by the API itself."""

    regex = r"(?s:.+)"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Rest, "rest")

urlpatterns = [
    path("leap/api.php", leap_api),
    # Without its final slash as well: a redirect would tell that there is something.
    path("dropzone", dropzone),
    path("dropzone/", dropzone),
    path("dropzone/<rest:rest>", dropzone),
]
