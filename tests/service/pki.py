"""Certificates for TLS between the appliance and QEMU's VNC servers."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.certificates import Authority


class Pki:
    """An authority, the appliance's certificate, and folders of computes' certificates as QEMU wants them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = Authority(folder / "ca")
        self.stranger = Authority(folder / "stranger", "Stranger")
        self.client = self.authority.issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        self.stranger_client = self.stranger.issue("client", usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def compute(
        self,
        kind: str,
        *names: str,
        good_for: datetime.timedelta = datetime.timedelta(days=1),
        issuer: Authority | None = None,
    ) -> Path:
        """The folder of a compute. QEMU starts with a certificate of its own authority alone."""
        folder = self._folder / kind
        folder.mkdir(exist_ok=True)
        issuer = issuer or self.authority
        cert, key = issuer.issue(kind, *names, good_for=good_for)
        shutil.copy(issuer.certificate, folder / "ca-cert.pem")
        shutil.copy(cert, folder / "server-cert.pem")
        shutil.copy(key, folder / "server-key.pem")
        return folder

    def options(self, schemes: str = "vencrypt", client: tuple[Path, Path] | None = None) -> dict[str, object]:
        """The appliance's ``[vnc]``."""
        cert, key = client or self.client
        return {
            "auth_schemes": schemes,
            "vencrypt_ca_certs": self.authority.certificate,
            "vencrypt_client_cert": cert,
            "vencrypt_client_key": key,
        }
