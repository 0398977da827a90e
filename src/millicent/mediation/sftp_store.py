"""SFTP for sources, with one difference from fsspec's own: a server whose host key is not known is refused.

fsspec trusts whatever key a server shows. Whoever stands between could then hand in records of their own and be given
the password. Loaded only when an `sftp://` or `ssh://` source is read: paramiko is an extra.
"""

from collections.abc import Mapping
from pathlib import Path

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem


class KnownHostsSftp(SFTPFileSystem):  # type: ignore[misc] # fsspec is not typed
    """`known_hosts` names a file as ssh keeps it (ssh-keyscan writes one); left out, ~/.ssh/known_hosts."""

    def __init__(self, host: str, *, known_hosts: str = "", **login: object) -> None:
        self.known_hosts = known_hosts
        super().__init__(host, host_key_policy=paramiko.RejectPolicy(), **login)

    def _connect(self) -> None:
        """What paramiko says in errors of its own is said as an OSError, as every other store does."""
        self.client = paramiko.SSHClient()
        self.client.set_missing_host_key_policy(self.host_key_policy)
        self.client.load_host_keys(str(Path(self.known_hosts or "~/.ssh/known_hosts").expanduser()))
        login: Mapping[str, object] = {"timeout": 30, "banner_timeout": 30, "auth_timeout": 30, **self.ssh_kwargs}
        try:
            self.client.connect(self.host, **login)
            self.ftp = self.client.open_sftp()
        except paramiko.SSHException as fault:
            self.client.close()
            raise OSError(f"{type(fault).__name__}: {fault}") from fault
