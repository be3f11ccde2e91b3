"""The processes of the service: gunicorn's master, its gevent workers, and how they start, reload and end.

- :mod:`.application` what gunicorn is told, and the configuration that the first workers go by
- :mod:`.master` the main process: signals, systemd, workers
- :mod:`.sets` workers that were started with one configuration, and :mod:`.reload` how one set follows another
- :mod:`.worker` a worker: serves, drains, stops, and :mod:`.serving` its servers
- :mod:`.board` what master and workers tell each other: :mod:`.places` for sessions, :mod:`.evenness` of the workers
- :mod:`.remembered` where limits of requests count, for all workers together
- :mod:`.metrics_folder` where the workers count
- :mod:`.status` what ``systemctl status`` shows
- :mod:`.listeners` the sockets, made by the master
- :mod:`.http` the HTTP server on the public socket, and :mod:`.metrics` the one for Prometheus
- :mod:`.notify` systemd's protocol
- :mod:`.checks` what is looked at before the start
"""

from porthole.server.application import ConsoleApplication
from porthole.server.checks import check_certificate, sessions_that_fit
from porthole.server.listeners import listeners_of

__all__ = ["ConsoleApplication", "check_certificate", "listeners_of", "sessions_that_fit"]
