#!/usr/bin/env python3
"""Says whether what is in dist/ can be published, and what is new in it.

usage: release.py check            ``make check-release``: what stands against it; status 1 if anything does
       release.py notes [VERSION]  the changelog's section of a version, for the release's page
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"


def version_of(cargo: str) -> str:
    return tomllib.loads(cargo)["package"]["version"]


def notes_of(version: str, changelog: str) -> str:
    """Return the section of that version, or ''."""
    sections = re.split(r"^## \[([^]]+)\].*\n", changelog, flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2], strict=True)).get(version, "").strip()


def stale_licences(lock: str, licences: str) -> list[str]:
    """Return the crates whose text of the licence is another version's."""
    locked: dict[str, set[str]] = {}
    for package in tomllib.loads(lock)["package"]:
        if "source" in package:
            locked.setdefault(package["name"], set()).add(package["version"])
    texts = re.findall(r"package_name: (\S+)\n  package_version: (\S+)", licences)
    return [f"{name} {version}" for name, version in texts if version not in locked.get(name, {version})]


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def against_sources(version: str) -> Iterator[str]:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    if not notes_of(version, changelog):
        yield f"CHANGELOG.md has no section [{version}]"
    if notes_of("Unreleased", changelog):
        yield "CHANGELOG.md still has unreleased changes"
    if git("status", "--porcelain"):
        yield "there are changes that are not committed"
    tags = git("tag", "--points-at", "HEAD").split()
    if tags != [f"v{version}"]:
        yield f"the commit's tag is {' '.join(tags) or 'missing'}, and not v{version}"
    licences = (ROOT / "THIRD_PARTY_LICENSES").read_text()
    for crate in stale_licences((ROOT / "Cargo.lock").read_text(), licences):
        yield f"THIRD_PARTY_LICENSES has {crate}, which is not what Cargo.lock has: make licenses"


def against_files(version: str) -> Iterator[str]:
    files = sorted(DIST.glob("*"))
    if not any(file.name == f"asynctcp-{version}.tar.gz" for file in files):
        yield f"dist/ has no sdist of {version}: make wheels"
    if not any(file.name.startswith(f"asynctcp-{version}-") for file in files):
        yield f"dist/ has no wheel of {version}: make wheels"
    yield from (f"dist/{file.name} is not of {version}" for file in files if f"-{version}" not in file.name)
    if files:
        twine = subprocess.run(
            [sys.executable, "-m", "twine", "check", "--strict", *files],
            capture_output=True,
            text=True,
            check=False,
        )
        if twine.returncode:
            yield twine.stdout.strip() or twine.stderr.strip()


def main(command: str = "", version: str = "") -> int:
    version = version or version_of((ROOT / "Cargo.toml").read_text())
    if command == "notes":
        notes = notes_of(version, (ROOT / "CHANGELOG.md").read_text())
        print(notes)
        return 0 if notes else 1
    if command != "check":
        print(__doc__, file=sys.stderr)
        return 2
    against = [*against_sources(version), *against_files(version)]
    for reason in against:
        print("-", reason)
    print(f"{version} cannot be published yet" if against else f"{version} can be published")
    return bool(against)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
