"""The command line."""

from parity.cli.app import main

__all__ = ["main"]
