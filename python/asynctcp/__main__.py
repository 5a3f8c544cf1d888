"""``python -m asynctcp``: small programs to try the library with. ``--help`` lists them."""

import sys

from asynctcp._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
