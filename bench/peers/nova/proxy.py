"""nova-novncproxy as it is, save for two calls that need the rest of a cloud.

``ConsoleAuthToken.validate`` asks Nova's database, through nova-conductor, what a token stands for: here every token
stands for the one VNC server. ``_check_console_port`` looks the instance up in the database and asks nova-compute, by
``ComputeAPI.validate_console_port``, whether it still has that port: here it always has.
"""

from nova import monkey_patch

monkey_patch.patch()  # as nova.cmd.novncproxy does, before anything else is imported

import os  # noqa: E402 - see above
import sys  # noqa: E402

from nova import objects  # noqa: E402
from nova.cmd import novncproxy  # noqa: E402
from nova.console import websocketproxy  # noqa: E402

INSTANCE = "0a000000-0000-4000-8000-00000000000a"


def _validate(_context: object, token: str) -> objects.ConsoleAuthToken:
    host, _, port = os.environ["BENCH_TARGET"].rpartition(":")
    return objects.ConsoleAuthToken(
        token=token,
        instance_uuid=INSTANCE,
        host=host,
        port=int(port),
        console_type="novnc",
        internal_access_path=None,
        access_url_base="http://127.0.0.1/vnc_auto.html",
    )


objects.ConsoleAuthToken.validate = _validate
websocketproxy.NovaProxyRequestHandler._check_console_port = lambda *_: True
sys.exit(novncproxy.main())
