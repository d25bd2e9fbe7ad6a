"""`python -m parity` is the `parity` command."""

from parity.cli.app import main

# The processes of a search import this module anew, under another name.
if __name__ == "__main__":
    main()
