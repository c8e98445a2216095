"""``python -m c3dhub``: the same as the command ``c3dhub``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
