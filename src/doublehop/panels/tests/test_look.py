"""Rules that every template and stylesheet of the panels keeps."""

import re
from pathlib import Path

import pytest

from doublehop.panels import build

PANELS = Path(build.PANELS)
TEMPLATES = sorted((PANELS / "templates").rglob("*.html"))
SHEETS = sorted((PANELS / "static" / "panel").glob("*.css"))
CLIENT_SEES = [path for path in TEMPLATES if "admin" not in str(path.relative_to(PANELS))] + sorted(
    (PANELS / "static" / "panel").iterdir()
)


def test_there_are_templates():
    assert len(TEMPLATES) > 20


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_inline_script_or_style(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+\s*=\s*[\"']|javascript:|hx-on|hx-vals=.js:", text)
    for tag in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL):
        assert tag == ""
    assert not re.search(r"(src|href)=[\"'](https?:)?//", text)


@pytest.mark.parametrize("path", CLIENT_SEES, ids=lambda path: path.name)
def test_what_a_client_gets_names_nothing_beyond_the_brand(path):
    assert not re.search(
        r"leap|tandem|singlehop|doublehop\.|upstream|reseller",
        path.read_text(encoding="utf-8"),
        re.IGNORECASE,
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_our_classes_begin_with_dh(path):
    known = {
        "btn",
        "btn-sm",
        "btn-primary",
        "btn-danger",
        "btn-link",
        "form-control",
        "form-select",
        "icon",
        "card",
    }
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for classes in re.findall(r'\bclass="([^"]*)"', text):
        for name in classes.split():
            assert name in known or name.startswith("dh-"), f"{name} in {path.name}"


def test_classes_used_are_styled():
    css = "".join(sheet.read_text(encoding="utf-8") for sheet in SHEETS)
    styled = set(re.findall(r"\.(dh-[\w-]+)", css))
    hooks = {"dh-admin", "dh-client", "dh-chev"}
    for path in TEMPLATES:
        text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for classes in re.findall(r'\bclass="([^"]*)"', text):
            for name in classes.split():
                if name.startswith("dh-") and not name.endswith("-"):
                    assert name in styled | hooks, f"{name} in {path.name} has no rule"


def test_values_used_are_defined():
    css = "".join(sheet.read_text(encoding="utf-8") for sheet in SHEETS)
    defined = set(re.findall(r"(--[\w-]+)\s*:", css))
    used = {name for name in re.findall(r"var\((--[\w-]+)", css) if name.startswith("--dh-")}
    assert used <= defined, used - defined


def test_sheets_and_scripts_ask_nobody_else():
    for path in (PANELS / "static" / "panel").iterdir():
        assert not re.search(r"https?://", path.read_text(encoding="utf-8")), path.name


def test_icons_that_are_named_exist():
    folder = build.FRONTEND / "node_modules/@tabler/icons/icons/outline"
    if not folder.exists():
        pytest.skip("the front-end packages are not fetched: python -m doublehop.panels.build")
    named = build.icon_names(build.own_sources())
    assert {"refresh", "power", "circle-check", "question-mark"} <= named
    assert [name for name in sorted(named) if not (folder / f"{name}.svg").exists()] == []


def test_the_sprite_holds_what_is_named_when_it_is_up_to_date():
    if not build.is_up_to_date():
        pytest.skip("the front-end files are not gathered: python -m doublehop.panels.build")
    sprite = (build.VENDOR / "icons.svg").read_text(encoding="utf-8")
    assert build.icon_names(build.own_sources()) == set(re.findall(r'<symbol id="([^"]+)"', sprite))


def test_the_lock_names_no_registry_and_keeps_hashes():
    lock = (build.FRONTEND / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    packages = lock.count('"node_modules/')
    assert lock.count('"integrity": "sha512-') == packages > 3


def test_pruning_keeps_what_may_match_and_drops_the_rest():
    css = (
        "@charset 'utf-8';a{color:red}.btn,.nav .x{a:b}.nav{c:d}"
        "@media print{.btn{e:f}.nav{g:h}}@media (x){.nav{i:j}}.btn:not(.nav){k:l}@keyframes s{to{m:n}}"
    )
    assert build.prune(css, {"btn", "a"}) == (
        "@charset 'utf-8';a{color:red}.btn{a:b}@media print{.btn{e:f}}.btn:not(.nav){k:l}@keyframes s{to{m:n}}"
    )
