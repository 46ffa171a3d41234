"""`python -m edgenas` is the command `edgenas`."""

from edgenas.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
