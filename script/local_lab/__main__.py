"""Entry: the first half by default; ``python -m local_lab.session`` is the second."""

from __future__ import annotations

import sys

from local_lab.options import parse
from local_lab.prepare import prepare_and_run

if __name__ == "__main__":
    sys.exit(prepare_and_run(parse(sys.argv[1:])))
