"""``python -m trunkline.dev``: the same as ``trunkline dev``."""

import sys

from trunkline.dev.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
