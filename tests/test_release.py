"""What tools/release.py says of a version before it is published."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def release():
    path = Path(__file__).parents[1] / "tools" / "release.py"
    specification = importlib.util.spec_from_file_location("release", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


CHANGELOG = """\
# Changelog

## [Unreleased]

## [1.1.0] - 2020-02-02

### Added

- A thing.

## [1.0.0] - 2020-01-01

- All.
"""


@pytest.mark.parametrize(
    ("version", "notes"),
    [("1.1.0", "### Added\n\n- A thing."), ("1.0.0", "- All."), ("Unreleased", ""), ("2.0.0", "")],
)
def test_notes_are_the_section_of_that_version(release, version, notes):
    assert release.notes_of(version, CHANGELOG) == notes


def locked(version):
    return f'[[package]]\nname = "tokio"\nversion = "{version}"\nsource = "registry"\n'


LICENCES = "- package_name: tokio\n  package_version: 1.2.3\n  license: MIT\n"


@pytest.mark.parametrize(("version", "stale"), [("1.2.3", []), ("1.2.4", ["tokio 1.2.3"])])
def test_licence_of_another_version_is_stale(release, version, stale):
    assert release.stale_licences(locked(version), LICENCES) == stale


def test_licences_are_those_of_the_crates(release):
    root = Path(__file__).parents[1]
    lock, licences = (root / "Cargo.lock").read_text(), (root / "THIRD_PARTY_LICENSES").read_text()
    assert release.stale_licences(lock, licences) == []
