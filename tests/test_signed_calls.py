"""The examples of docs/how-to/use-the-api.md, run as they stand there against a server that listens."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.core.cache import cache

from doublehop.organisations import actions
from doublehop.organisations.actions import TokenForm
from doublehop.organisations.models import ApiToken, SignInLink
from tests.cast import a_cast

pytestmark = [pytest.mark.long, pytest.mark.django_db(transaction=True)]
PAPER = Path(__file__).parent.parent / "docs" / "how-to" / "use-the-api.md"
BOUND = "whmcs-5f0c9a41d2"


def example(language: str, host: str, token: str) -> str:
    part = PAPER.read_text(encoding="utf-8").partition("## Signed calls")[2]
    (code,) = re.findall(rf"```{language}\n(.*?)```", part, flags=re.DOTALL)
    told = code.replace("https://panel.example.net", host).replace("dh_…", token)
    assert told.count(host) == told.count(token) == 1
    return told


@pytest.fixture
def shop():
    """A billing system's token, and a client of its house."""
    cache.clear()
    cast = a_cast()
    form = TokenForm("Shop", ["read", "billing"], billing_system="WHMCS", signed_only=True)
    return actions.create_token(cast.rosa, form).shown.reveal(), cast.quillfeather


def judge(read: object, link: object) -> None:
    assert read["billing_system"] == "WHMCS"
    assert link["url"].rpartition("/sign-in/link/")[2].startswith(SignInLink.objects.get().handle)
    assert ApiToken.objects.get().installation == BOUND


def test_the_python_example_reads_and_writes(shop, live_server):
    token, client = shop
    place: dict = {}
    exec(example("python", live_server.url, token), place)  # noqa: S102 (what the paper says is what runs)
    asked = {"client_id": client.pk}
    judge(
        place["call"]("GET", "/api/v1/me?fields=kind%2Cbilling_system"),
        place["call"]("POST", "/api/v1/sign-in-links", asked, "one"),
    )


@pytest.mark.skipif(shutil.which("php") is None, reason="there is no php here")
def test_the_php_example_does_the_same(shop, live_server):
    token, client = shop
    code = example("php", live_server.url, token) + (
        f"echo json_encode([call('GET', '/api/v1/me?fields=kind%2Cbilling_system'),"
        f" call('POST', '/api/v1/sign-in-links', ['client_id' => {client.pk}], 'one')]);"
    )
    done = subprocess.run(["php", "-n", "-r", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    judge(*json.loads(done.stdout))
