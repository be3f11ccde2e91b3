"""``porthole`` and ``python -m porthole``.

gevent replaces the blocking calls of the standard library, before anything else is
imported: later it would miss what other modules have already taken a copy of.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - after the patch, as everything

from porthole.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
