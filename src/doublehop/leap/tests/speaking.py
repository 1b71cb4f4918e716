"""How the tests speak to both APIs: like the old clients did, over Django's own test client."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from django.test import Client


@dataclass
class Speaker:
    """One login of each kind. ``source`` is the address that it calls from."""

    username: str
    client_id: str
    password: str
    api_key: str
    pin: str
    source: str = "192.0.2.77"
    client: Client = field(default_factory=Client)

    def document(self, module: str, command: str, **data: Any) -> dict[str, Any]:
        auth = {"key": self.api_key, "user": self.client_id, "password": self.password}
        found: dict[str, Any] = {"auth": auth, "module": {"module": module, "command": command}}
        return {**found, "data": data} if data else found

    def leap(self, module: str, command: str, **data: Any) -> Any:
        """The content of a LEAP answer."""
        return self.raw(json.dumps(self.document(module, command, **data))).json()

    def raw(self, text: str, *, encoded: bool = True, **headers: str) -> HttpResponse:
        sent = quote(text) if encoded else text.replace(" ", "%20")
        return self.client.get(f"/leap/api.php?request={sent}", REMOTE_ADDR=self.source, **headers)

    def dropzone(
        self,
        path: str,
        form: dict[str, Any] | None = None,
        *,
        login: tuple[str, str] | None = None,
        **headers: str,
    ) -> HttpResponse:
        """POST where there is a form, else GET."""
        user, secret = login or (self.username, self.password)
        told = {
            "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode(),
            "REMOTE_ADDR": self.source,
            **headers,
        }
        if form is None:
            return self.client.get(f"/dropzone/{path}", **told)
        return self.client.post(f"/dropzone/{path}", form, **told)
