"""``porthole clouds-yaml``: how OpenStack's clients find this service.

A clouds.yaml names a cloud (openstacksdk, "Configuring OpenStack SDK Applications"). There is no catalogue of services
here, so it says two addresses itself: ``auth.endpoint`` is what keystoneauth's plugin ``http_basic`` takes for every
service, and has to look like Keystone's for clients to start at all; ``compute_endpoint_override`` is the one that
counts.

With ``[api] auth_strategy = keystone`` clients sign in there, with keystoneauth's plugin ``v3password``, and the file
spares them the catalogue, but for one thing: to list and show servers python-openstackclient makes a client of the
image service first (openstackclient/compute/v2/server.py), and gives up when the catalogue has none. With
``has_image: false`` openstacksdk makes an empty one (openstack/service_description.py).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from porthole import config

CLOUD = "porthole"
"""The cloud's name when none is given: the value of ``OS_CLOUD``."""

HEADER = """\
# For ~/.config/openstack/clouds.yaml, or a file that OS_CLIENT_CONFIG_FILE names. Use it with OS_CLOUD={cloud}.
# The password is not here: put it into OS_PASSWORD, or into secure.yaml beside this file.
"""
_CLOUD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_MAX_FILE = 1 << 20


class CloudsError(Exception):
    """It cannot be made; the message says why and what would be right."""


def add_command(
    add_parser: Callable[..., argparse.ArgumentParser],
    config_arguments: Callable[[argparse.ArgumentParser], None],
    load: Callable[[argparse.Namespace], config.Settings],
) -> None:
    """Add the command.

    :param add_parser: makes a command's parser
    :param config_arguments: adds the options that name the configuration
    :param load: reads it
    """
    parser = add_parser("clouds-yaml", help="print a clouds.yaml, with which OpenStack's clients use this service")
    parser.add_argument("user", help="the user's name; its password is not printed and not asked for")
    parser.add_argument(
        "--cloud", type=_cloud, default=CLOUD, metavar="NAME", help="the cloud's name in it (default: %(default)s)"
    )
    parser.add_argument(
        "--cacert", type=Path, metavar="FILE",
        help="the authorities of the certificate, as the clients' machine has them; default: the file of option cert, "
        "when that is its own authority or brings it along",
    )  # fmt: skip
    parser.add_argument("--project", metavar="NAME", help="with Keystone, where it is needed: the project to work in")
    parser.add_argument(
        "--domain", metavar="NAME", help="with Keystone: the domain of user and project (default: Default)"
    )
    parser.add_argument(
        "--no-image-service", action="store_true",
        help="with Keystone, when its catalogue has no image service (Glance): else the client neither lists nor shows "
        "servers",
    )  # fmt: skip
    config_arguments(parser)
    parser.set_defaults(run=lambda options: _print(load(options), options))


def _cloud(text: str) -> str:
    if not _CLOUD_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of letters, digits, dots, hyphens and underscores")
    return text


def _print(settings: config.Settings, options: argparse.Namespace) -> None:
    cacert = options.cacert
    if cacert is None and settings.novncproxy_base_url.startswith("https:"):
        cacert = own_authority(settings.cert)
    base_url, auth = settings.novncproxy_base_url, None
    if settings.keystone is not None:
        auth = _keystones(settings.keystone, options)
    elif options.project or options.domain or options.no_image_service:
        raise CloudsError(
            "--project, --domain and --no-image-service are for [api] auth_strategy = keystone, which is not set here."
        )
    has_image = not options.no_image_service
    print(text(base_url, options.user, options.cloud, cacert, auth, has_image), end="")


def _keystones(keystone: config.KeystoneSettings, options: argparse.Namespace) -> dict[str, str]:
    """``auth`` of keystoneauth's plugin ``v3password``, all but the user.

    :raises CloudsError: no project is named
    """
    if not options.project:
        raise CloudsError(
            "With [api] auth_strategy = keystone a token is for one project. Name the one to work in with --project."
        )
    domain = options.domain or "Default"
    return {
        "auth_url": keystone.www_authenticate_uri,
        "project_name": options.project,
        "user_domain_name": domain,
        "project_domain_name": domain,
    }


def text(
    base_url: str, user: str, cloud: str = CLOUD, cacert: Path | None = None, auth: dict[str, str] | None = None,
    has_image: bool = True,
) -> str:  # fmt: skip
    """The file.

    :param base_url: ``[vnc] novncproxy_base_url``; what stands before its last slash is the service's address
    :param cacert: a file of authorities on the clients' machine; None for those that the machine has
    :param auth: where Keystone is and what a token of it is to be for; None where the service has users of its own
    :param has_image: whether clients may look for an image service
    """
    import yaml  # noqa: PLC0415 - not every command needs it

    address = base_url.rpartition("/")[0]
    described: dict[str, Any] = {
        "auth_type": "v3password" if auth else "http_basic",
        "auth": {**(auth or {"endpoint": f"{address}/v3"}), "username": user},
        "compute_endpoint_override": f"{address}/v2.1",
    }
    if not has_image:
        described["has_image"] = False
    if cacert is not None:
        described["cacert"] = str(cacert)
    made: str = yaml.safe_dump({"clouds": {cloud: described}}, sort_keys=False, allow_unicode=True)
    return HEADER.format(cloud=cloud) + made


def own_authority(cert: Path | None) -> Path | None:
    """The service's own certificate file, when it has an authority in it: then clients can be told to trust that.

    :raises CloudsError: it cannot be read, or it would be named and holds the private key, which clients must not have
    """
    if cert is None:
        return None
    from cryptography import x509  # noqa: PLC0415 - not every command needs it

    try:
        with cert.open("rb") as file:
            content = file.read(_MAX_FILE)
        certificates = [x509.load_pem_x509_certificate(block) for block in _CERTIFICATE.findall(content)]
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no certificate"
        raise CloudsError(
            f"option cert in [DEFAULT] is {cert}, which cannot be read: {why}. "
            "Name a file of authorities with --cacert."
        ) from None
    if not any(one.issuer == one.subject for one in certificates):
        return None
    if b"PRIVATE KEY-----" in content:
        raise CloudsError(
            f"option cert in [DEFAULT] is {cert}, which holds the private key too. That is not for clients: copy the "
            "certificates alone to a file, and name that with --cacert."
        )
    return cert
