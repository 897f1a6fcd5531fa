"""The command line: thin over the library, JSON on stdout, words on stderr."""

from isoloss.cli.main import main

__all__ = ["main"]
