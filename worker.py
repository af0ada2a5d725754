"""``python worker.py`` runs jobs; ``python worker.py clock`` looks once a second for what is due.

The same as ``flowserver worker`` and ``flowserver clock``, for those who start processes by file name.
"""

import sys

from flowserver.cli import main

if __name__ == "__main__":
    main(sys.argv[1:] if sys.argv[1:2] == ["clock"] else ["worker", *sys.argv[1:]])
