"""``python -m beam_mat`` is the same as ``beam-mat``."""

import sys

from beam_mat.cli import main

if __name__ == "__main__":
    sys.exit(main())
