"""How a machine asks: the address of a LEAP call, the header of Dropzone."""

import base64
import json
from urllib.parse import quote


def leap(login: dict[str, str], command: str, **data: object) -> str:
    """The address of one LEAP call."""
    auth = {"key": login["api_key"], "user": login["user"], "password": login["password"]}
    document = {"auth": auth, "module": {"module": "server", "command": command}, "data": data}
    return "/leap/api.php?request=" + quote(json.dumps(document))


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
