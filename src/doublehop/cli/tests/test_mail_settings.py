"""DOUBLEHOP_MAIL_URL: where mails go."""

import pytest

from doublehop.site.environment import BadEnvironment, read_environment
from doublehop.site.settings import _mail

KEYS = {"DOUBLEHOP_SECRET_KEY": "x" * 40, "DOUBLEHOP_VAULT_KEYS": "k" * 44}


def settings_for(url):
    return _mail(read_environment({**KEYS, "DOUBLEHOP_MAIL_URL": url}))


def test_nobody_is_written_to_without_one():
    environment = read_environment(KEYS)
    assert (environment.mail_url, environment.mail_from) == ("", "no-reply@localhost")
    assert settings_for("")["EMAIL_BACKEND"].endswith("dummy.EmailBackend")


def test_a_mail_server_is_spoken_to_over_tls():
    found = settings_for("smtp://post%40example.net:p%3Aw%2F@mail.example.net")
    assert (found["EMAIL_HOST"], found["EMAIL_PORT"]) == ("mail.example.net", 587)
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"]) == ("post@example.net", "p:w/")
    assert (found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (True, False)
    found = settings_for("smtps://mail.example.net")
    assert (found["EMAIL_PORT"], found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (465, False, True)


def test_one_on_this_machine_without():
    found = settings_for("smtp://127.0.0.1:2525")
    assert (found["EMAIL_PORT"], found["EMAIL_USE_TLS"]) == (2525, False)


def test_a_folder():
    assert settings_for("file:///srv/out%20box")["EMAIL_FILE_PATH"] == "/srv/out box"


@pytest.mark.parametrize(
    "url",
    ["mail.example.net", "smtp://", "http://mail.example.net", "file://host/x", "smtp://h:99999", "file:x"],
)
def test_what_is_none_of_these(url):
    with pytest.raises(BadEnvironment, match="DOUBLEHOP_MAIL_URL"):
        read_environment({**KEYS, "DOUBLEHOP_MAIL_URL": url})


@pytest.mark.parametrize("address", ["nobody", "A <a@b.example>", "a@b\nBcc: c@d", "a@b@c"])
def test_a_sender_that_is_none(address):
    with pytest.raises(BadEnvironment, match="DOUBLEHOP_MAIL_FROM"):
        read_environment({**KEYS, "DOUBLEHOP_MAIL_FROM": address})


def test_the_sender_is_named_after_the_panel():
    source = {**KEYS, "DOUBLEHOP_BASE_URL": "https://panel.example.net"}
    assert read_environment(source).mail_from == "no-reply@panel.example.net"
    assert read_environment({**source, "DOUBLEHOP_MAIL_FROM": "a@b.example"}).mail_from == "a@b.example"
