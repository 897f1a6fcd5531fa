"""The version of the package, without importing it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """Return the installed version; "not installed" where the source is used as it lies."""
    try:
        return version("isoloss")
    except PackageNotFoundError:
        return "not installed"
