"""The processes of the service: gunicorn's master, its one gevent worker, and how they start, reload and end.

- :mod:`.application` what gunicorn is told, and the configuration that both processes go by
- :mod:`.master` the main process: signals, systemd, one worker
- :mod:`.worker` the worker: listens, serves, drains, stops
- :mod:`.page` what master and worker tell each other
- :mod:`.listeners` the sockets, made by the master
- :mod:`.http` the HTTP server on the public socket, and :mod:`.metrics` the one for Prometheus
- :mod:`.notify` systemd's protocol
- :mod:`.checks` what is looked at before the start
"""

from porthole.server.application import ConsoleApplication
from porthole.server.checks import check_certificate, sessions_that_fit
from porthole.server.listeners import listeners_of

__all__ = ["ConsoleApplication", "check_certificate", "listeners_of", "sessions_that_fit"]
