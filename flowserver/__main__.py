"""``python -m flowserver``: the same as the ``flowserver`` command."""

from flowserver.cli import main

if __name__ == "__main__":
    main()
