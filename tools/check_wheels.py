#!/usr/bin/env python3
"""Builds the sdist and a wheel for each Python into dist/, and checks them: ``make wheels``.

Each wheel is installed into a fresh virtual environment, where the Python tests pass without a Rust toolchain
on the path. The sdist is built by pip in one. What wheels and sdist must hold is checked first.

usage: check_wheels.py [--zig] PYTHON...      (run by a Python that has maturin; PYTHON: a path, or 3.12)
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
TEST_TOOLS = ["hypothesis", "psutil", "pytest", "pytest-timeout", "rich", "trustme"]
#: Ends of the names that a wheel must hold.
IN_WHEEL = [
    "asynctcp/__init__.py",
    "asynctcp/_core.pyi",
    "asynctcp/py.typed",
    ".dist-info/METADATA",
    ".dist-info/entry_points.txt",
    ".dist-info/licenses/LICENSE",
    ".dist-info/licenses/THIRD_PARTY_LICENSES",
    ".cyclonedx.json",
]
IN_SDIST = ["Cargo.lock", "Cargo.toml", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml", "src/lib.rs"]


#: Where sources lie on this machine, and what the binary says instead: panics and assertions name their file.
CRATES = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo")) / "registry" / "src"
PREFIXES = {str(CRATES): "crates", str(ROOT): "asynctcp"}
#: Maturin finds Zig by the first python on the path.
OURS = {
    **os.environ,
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    # The unit separator is what Cargo divides these by.
    "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(
        f"--remap-path-prefix={old}={new}" for old, new in PREFIXES.items()
    ),
    "CFLAGS": " ".join(f"-ffile-prefix-map={old}={new}" for old, new in PREFIXES.items()),
}


def run(*command: str | Path, **keywords):
    print("+", *command, flush=True)
    return subprocess.run([str(part) for part in command], check=True, cwd=ROOT, **keywords)


def find_python(name: str) -> Path:
    """Return the interpreter that ``name`` names: a path, a command, or a version (also pyenv's)."""
    for command in (name, f"python{name}"):
        found = shutil.which(command)
        # A shim of pyenv's may be there for a version that is not selected.
        if found and subprocess.run([found, "-V"], capture_output=True, check=False).returncode == 0:
            return Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for found in sorted(pyenv.glob(f"versions/{name}*/bin/python"), reverse=True):
        return found
    sys.exit(f"no Python {name} found: name a path, or the versions that are there (PYTHONS='3.11 3.12')")


def without_rust() -> dict[str, str]:
    """Return the environment with no directory on the path that holds cargo or rustc."""
    kept = [
        place
        for place in os.environ["PATH"].split(os.pathsep)
        if not any((Path(place) / tool).exists() for tool in ("cargo", "rustc"))
    ]
    environment = {**os.environ, "PATH": os.pathsep.join(kept)}
    for name in ("PYTHONPATH", "CARGO_HOME", "RUSTUP_HOME", "VIRTUAL_ENV"):
        environment.pop(name, None)
    assert not shutil.which("cargo", path=environment["PATH"])
    return environment


def build(pythons: list[Path], *, zig: bool) -> tuple[list[Path], Path]:
    """Build everything into an empty dist/. Maturin refuses a wheel whose libraries do not fit its tag."""
    shutil.rmtree(DIST, ignore_errors=True)
    maturin = [sys.executable, "-m", "maturin"]
    run(*maturin, "sdist", "--out", DIST)
    wheels = []
    for python in pythons:
        before = set(DIST.glob("*.whl"))
        options = ["--zig", "--compatibility", "manylinux_2_17"] if zig else []
        run(
            *maturin,
            "build",
            "--release",
            "--locked",
            "--out",
            DIST,
            "--interpreter",
            python,
            *options,
            env=OURS,
        )
        wheels += set(DIST.glob("*.whl")) - before
    (sdist,) = DIST.glob("*.tar.gz")
    return wheels, sdist


def check_holds(archive: Path, names: list[str], wanted: list[str]) -> None:
    missing = [end for end in wanted if not any(name.endswith(end) for name in names)]
    if missing:
        sys.exit(f"{archive.name} does not hold {', '.join(missing)}")


def check_paths(wheel: Path) -> None:
    """Check that the binary names no place of this machine, and tell its size."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(".so"):
                continue
            binary = archive.read(entry)
            if places := places_in(binary):
                sys.exit(f"{entry.filename} names places of this machine: {', '.join(places[:5])}")
            sizes = f"{wheel.stat().st_size / 2**20:.1f} MiB, its binary {len(binary) / 2**20:.1f} MiB"
            print(f"{wheel.name}: {sizes}", flush=True)


def places_in(binary: bytes) -> list[str]:
    """Return the paths in it that begin as the home directory or the checkout do."""
    begins = b"|".join(re.escape(os.fsencode(place)) for place in (Path.home(), ROOT))
    return sorted(
        {found.decode(errors="replace") for found in re.findall(rb"(?:%b)/[\w./+-]+" % begins, binary)}
    )


def check_licenses(wheel: Path) -> None:
    """Check that each crate that the wheel's bill of materials names has its licence in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name.rpartition("/")[2]: name for name in archive.namelist()}
        bill = json.loads(archive.read(names["asynctcp.cyclonedx.json"]))
        licenses = archive.read(names["THIRD_PARTY_LICENSES"]).decode()
    named = set(re.findall(r"package_name: (\S+)\n  package_version: (\S+)", licenses))
    # What only the build needed is not in the wheel.
    crates = {
        (each["name"], each["version"]) for each in bill["components"] if each.get("scope") != "excluded"
    }
    if missing := sorted(crates - named):
        sys.exit(f"THIRD_PARTY_LICENSES lacks {missing}: make licenses")


def fresh_environment(python: Path, place: Path) -> Path:
    """Make a virtual environment; return its interpreter."""
    run(python, "-m", "venv", "--clear", place)
    return place / "bin" / "python"


def check_wheel(python: Path, wheel: Path, pytest_options: list[str]) -> bool:
    """Install the wheel into a fresh environment; return whether the tests pass there."""
    check_holds(wheel, zipfile.ZipFile(wheel).namelist(), IN_WHEEL)
    check_licenses(wheel)
    check_paths(wheel)
    with tempfile.TemporaryDirectory() as place:
        inside, environment = fresh_environment(python, Path(place)), without_rust()
        pip = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--no-index", wheel, env=environment)
        run(*pip, "--constraint", "requirements-dev.txt", *TEST_TOOLS, env=environment)
        command = [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", *pytest_options]
        print("+", *command, flush=True)
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def check_sdist(python: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        check_holds(sdist, archive.getnames(), IN_SDIST)
    with tempfile.TemporaryDirectory() as place:
        inside = fresh_environment(python, Path(place))
        run(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", sdist)
        run(inside, "-m", "asynctcp", "--version")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--zig", action="store_true", help="link with ziglang for glibc 2.17 (manylinux_2_17)"
    )
    parser.add_argument("--pytest", default="", help="further options of pytest, as one word")
    parser.add_argument("python", nargs="+", help="an interpreter's path or version")
    options = parser.parse_args()
    pythons = [find_python(name) for name in options.python]
    wheels, sdist = build(pythons, zig=options.zig)
    check_sdist(pythons[0], sdist)
    failed = [
        wheel.name
        for python, wheel in zip(pythons, wheels, strict=True)
        if not check_wheel(python, wheel, options.pytest.split())
    ]
    if failed:
        sys.exit(f"the tests failed with {', '.join(failed)}")
    print("checked:", *(path.name for path in [sdist, *wheels]), sep="\n  ")


if __name__ == "__main__":
    main()
