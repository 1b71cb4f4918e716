"""How a billing system signs its calls, written from docs/how-to/use-the-api.md and not from our own code."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from django.http import HttpResponse
from django.test import Client

HERE = "whmcs-" + "a" * 32
COPY = "whmcs-" + "b" * 32


def headers(
    text: str, method: str, path: str, body: bytes = b"", *, installation: str = HERE, **changed: str
) -> dict[str, str]:
    """``changed``: what is sent otherwise than signed (``sent_…``), or signed otherwise than now."""
    _, handle, secret = text.split("_")
    timestamp = changed.get("timestamp") or str(int(time.time()))
    nonce = changed.get("nonce") or secrets.token_hex(16)
    digest = hashlib.sha256(body).hexdigest()
    lines = ["DOUBLEHOP-HMAC-SHA256", method, path, timestamp, nonce, digest, installation]
    seal = hmac.new(secret.encode(), "\n".join(lines).encode(), hashlib.sha256).digest()
    fields = {
        "handle": changed.get("sent_handle", handle),
        "timestamp": changed.get("sent_timestamp", timestamp),
        "nonce": changed.get("sent_nonce", nonce),
        "signature": changed.get("sent_signature", base64.b64encode(seal).decode()),
    }
    value = ", ".join(f"{name}={field}" for name, field in fields.items())
    return {
        "Authorization": f"Doublehop-HMAC-SHA256 {value}",
        "Doublehop-Installation": changed.get("sent_installation", installation),
    }


def signed_get(text: str, path: str, **more: str) -> HttpResponse:
    return Client().get(path, headers=headers(text, "GET", path, **more))


def signed_post(text: str, path: str, sent: Any, *, key: str = "", **more: str) -> HttpResponse:
    body = json.dumps(sent).encode()
    given = {**headers(text, "POST", path, body, **more), **({"Idempotency-Key": key} if key else {})}
    return Client().post(path, body, content_type="application/json", headers=given)
