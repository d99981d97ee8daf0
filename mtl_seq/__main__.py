"""`python -m mtl_seq` is `mtl-seq`."""

import sys

from mtl_seq.cli import main

if __name__ == "__main__":
    sys.exit(main())
