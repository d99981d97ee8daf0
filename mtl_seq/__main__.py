"""Entry point of `python -m mtl_seq`, the same as `mtl-seq`."""

import sys

from mtl_seq.cli import main

if __name__ == "__main__":
    sys.exit(main())
