"""A program that calls the API with a token."""

import json
from uuid import uuid4

from django.test import Client

from doublehop.organisations import actions as organisations
from doublehop.organisations.actions import TokenForm

EVERYTHING = ("read", "operate", "billing")


class Program:
    """Each write has a key of its own unless one is given."""

    def __init__(self, staff, *scopes, client_id=None, billing_system=""):
        form = TokenForm("Shop", scopes or EVERYTHING, client_id=client_id, billing_system=billing_system)
        self.row = organisations.create_token(staff, form)
        self.text = self.row.shown.reveal()
        self.http = Client(headers={"Authorization": f"Bearer {self.text}"})

    def get(self, path, **headers):
        return self.http.get(f"/api/v1{path}", headers=headers)

    def send(self, method, path, body=None, *, key=None, **headers):
        headers["Idempotency-Key"] = str(uuid4()) if key is None else key
        return self.http.generic(
            method, f"/api/v1{path}", json.dumps(body or {}), "application/json", headers=headers
        )

    def post(self, path, body=None, **more):
        return self.send("POST", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.send("PATCH", path, body, **more)
