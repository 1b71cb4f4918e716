"""What is demanded of every driver folder."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

import doublehop
from doublehop.driver_kit import registry
from doublehop.driver_kit.conformance.suite import Conformance

FOLDER = Path(doublehop.__file__).parent / "drivers"
FOLDERS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith("_"))


def test_folders_and_registry_agree():
    assert list(registry.names()) == FOLDERS
    assert {"memory", "rack"} <= set(FOLDERS)


def test_an_unknown_driver_is_named():
    with pytest.raises(registry.UnknownDriver, match=r"no driver named 'nobody'; known are .*memory"):
        registry.load("nobody")
    for name in ("../memory", "memory.driver", ""):
        with pytest.raises(registry.UnknownDriver):
            registry.load(name)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_driver_folder_is_whole(name):
    driver = registry.load(name)
    assert driver.label
    assert driver.settings
    names = [field.name for field in driver.settings]
    assert len(names) == len(set(names))
    server_names = [field.name for field in driver.server_settings]
    assert len(server_names) == len(set(server_names))
    assert driver.endpoint_field in names
    assert driver.proves
    headings = [
        line for line in (FOLDER / name / "README.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert headings == ["## Can", "## Cannot", "## Strange"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_driver_is_asked_by_the_suite(name):
    module = import_module(f"doublehop.drivers.{name}.test_conformance")
    assert any(
        issubclass(found, Conformance) and found is not Conformance
        for _, found in inspect.getmembers(module, inspect.isclass)
    )
