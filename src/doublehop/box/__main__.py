"""``python -m doublehop.box``: the data centre in a box with its installation, in the foreground. PORT moves it."""

import sys

from doublehop.box.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
