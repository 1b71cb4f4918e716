"""The file that is put into a WHMCS."""

import importlib.util
import zipfile
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]


def packed(target: Path) -> bytes:
    found = importlib.util.spec_from_file_location("whmcs_module", HOME / "bin" / "whmcs_module.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    module.write(target)
    return target.read_bytes()


def test_it_is_the_same_whenever_it_is_made_and_complete_by_itself(tmp_path):
    first = packed(tmp_path / "a.zip")
    assert first == packed(tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
        sources = {name: archive.read(name).decode() for name in names if name.endswith(".php")}
    assert {
        "README.md",
        "modules/servers/singlehop/singlehop.php",
        "modules/servers/singlehop/hooks.php",
    } <= set(names)
    assert "modules/servers/singlehop/address.php" not in names
    assert "modules/servers/singlehop/lib/client/Leap.php" in names
    for name, source in sources.items():
        assert "Doublehop\\Billing" not in source, name
        assert "defined('WHMCS')" in source or "/lib/" in name or name.endswith("address.sample.php")


def test_the_clients_page_names_nothing_of_the_hop_and_escapes_everything():
    page = (HOME / "billing/whmcs/modules/servers/singlehop/templates/clientarea.tpl").read_text()
    assert not [
        word for word in ("leap", "tandem", "singlehop", "upstream", "provider") if word in page.lower()
    ]
    shown = [part.split("}")[0] for part in page.split("{$")[1:]]
    assert shown
    assert all("|escape:'html':'UTF-8'" in one for one in shown)
