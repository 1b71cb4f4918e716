"""Typed text becomes settings, or one clear sentence."""

import pytest

from doublehop.driver_kit import fingerprints, forms
from doublehop.driver_kit.contract import FieldKind, SettingField
from doublehop.driver_kit.redaction import Redactor, without_userinfo
from doublehop.driver_kit.secret import Secret

PIN = ":".join(["AB"] * 32)


def parse_one(kind, text, **options):
    values, errors = forms.parse([SettingField("it", "It", kind, **options)], {"it": text})
    return errors.get("it") or values.get("it")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (FieldKind.TEXT, "  a b ", "a b"),
        (FieldKind.INTEGER, "-12", -12),
        (FieldKind.BOOLEAN, "on", True),
        (FieldKind.BOOLEAN, "", False),
        (FieldKind.SECRET, " keep spaces ", Secret(" keep spaces ")),
        (FieldKind.LINES, " a \r\n\n b\n", ["a", "b"]),
        (FieldKind.HOST, "switch1.example.org:1161", "switch1.example.org:1161"),
        (FieldKind.HOST, "[2001:db8::1]:161", "[2001:db8::1]:161"),
        (FieldKind.HOST, "2001:db8::1", "2001:db8::1"),
        (FieldKind.URL, "https://192.0.2.7/", "https://192.0.2.7"),
        (FieldKind.URL, "http://127.0.0.1:8001", "http://127.0.0.1:8001"),
        (FieldKind.URL, "http://localhost", "http://localhost"),
        (FieldKind.URL, "http://[::1]:8001", "http://[::1]:8001"),
        (FieldKind.FINGERPRINT, "sha256:" + "ab" * 32, PIN),
        (FieldKind.FINGERPRINT, "SHA256 Fingerprint=" + PIN.lower(), PIN),
    ],
)
def test_what_is_understood(kind, text, value):
    assert parse_one(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FieldKind.TEXT, "   "),
        (FieldKind.TEXT, "a\x00b"),
        (FieldKind.TEXT, "x" * 5000),
        (FieldKind.INTEGER, "1.5"),
        (FieldKind.INTEGER, "9" * 40),
        (FieldKind.BOOLEAN, "maybe"),
        (FieldKind.SECRET, ""),
        (FieldKind.SECRET, "two\r\nlines"),
        (FieldKind.LINES, " \n "),
        (FieldKind.HOST, "a b"),
        (FieldKind.HOST, "host:0"),
        (FieldKind.HOST, "host:99999"),
        (FieldKind.HOST, "<script>"),
        (FieldKind.URL, "http://192.0.2.7"),
        (FieldKind.URL, "http://localhost.evil.example"),
        (FieldKind.URL, "ftp://192.0.2.7"),
        (FieldKind.URL, "https://user:word@host.example"),
        (FieldKind.URL, "https://host.example/?a=b"),
        (FieldKind.URL, "https://host.example:port"),
        (FieldKind.URL, "javascript:alert(1)"),
        (FieldKind.FINGERPRINT, "ab" * 20),
    ],
)
def test_what_is_not_gets_one_sentence(kind, text):
    values, errors = forms.parse([SettingField("it", "It", kind)], {"it": text})
    assert values == {}
    assert errors["it"].startswith("It")
    assert errors["it"].endswith(".")


def test_an_empty_secret_keeps_the_old_one_and_a_new_one_replaces_it():
    fields = [SettingField("key", "Key", FieldKind.SECRET)]
    kept = {"key": Secret("old")}
    assert forms.parse(fields, {"key": ""}, kept=kept) == ({"key": Secret("old")}, {})
    assert forms.parse(fields, {"key": "new"}, kept=kept) == ({"key": Secret("new")}, {})
    assert forms.parse(fields, {"key": ""})[1]


def test_optional_and_unmentioned_fields():
    fields = [
        SettingField("a", "A", required=False),
        SettingField("b", "B", FieldKind.LINES, required=False),
        SettingField("c", "C", FieldKind.INTEGER, required=False),
        SettingField("d", "D", default="x"),
        SettingField("e", "E", FieldKind.SECRET, required=False),
    ]
    assert forms.parse(fields, {"a": "", "c": ""}) == ({"a": "", "b": [], "d": "x", "e": Secret("")}, {})


def test_no_spelling_of_a_secret_survives():
    redactor = Redactor([Secret("a b+c/d")], [("me", Secret("word"))])
    for spelling in ("a b+c/d", "a%20b%2Bc%2Fd", "a+b%2Bc%2Fd", "YSBiK2MvZA==", "bWU6d29yZA=="):
        assert redactor.clean(f"<{spelling}>") == "<[hidden]>"
    assert without_userinfo("see https://u:p@h/x") == "see https://h/x"


def test_fingerprints_that_are_none():
    assert fingerprints.spell("") == ""
    assert fingerprints.spell("zz" * 32) == ""
