"""Files from anywhere, as local files: a digest is taken and raw records are read at random, so a copy is needed."""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import fsspec

from millicent.kit.errors import BadInput, MillicentError
from millicent.mediation.errors import SourceSilent

_BLOCK = 1 << 22
_SERVERS = ("sftp", "ssh", "ftp")
for _scheme in ("sftp", "ssh"):
    fsspec.register_implementation(
        _scheme,
        "millicent.mediation.sftp_store.KnownHostsSftp",
        clobber=True,
        errtxt="sftp:// needs paramiko: pip install 'millicent[sftp]'",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """One file to collect: its name as the operator knows it, and what it holds."""

    name: str
    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One file of a folder, not read yet."""

    url: str
    name: str
    size_bytes: int
    changed_at_seconds: int | None  # None where the store does not say


def storage_options_of(declared: Mapping[str, str], *, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a source's store wants to know (key, secret, password ...), read from the variables that it declares."""
    for option, variable in declared.items():
        if variable not in environment:
            raise BadInput(f"{variable} is not set", where=f"storage option {option}", cure="Set it for this process.")
    return {option: environment[variable] for option, variable in declared.items()}


def is_local(url: str) -> bool:
    return urlsplit(url).scheme in ("", "file")


def local_path(url: str) -> Path:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else Path(url)


@contextmanager
def local_file(url: str, *, folder: Path, storage_options: Mapping[str, str]) -> Iterator[LocalFile]:
    """The file itself when it is local; else a copy under `folder` that is deleted afterwards."""
    name = url.rsplit("/", 1)[-1]
    if is_local(url):
        path = local_path(url)
        if not path.is_file():
            raise BadInput("there is no such file", where=str(path), cure="Check the path.")
        yield _described(path, name=name)
        return
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / secrets.token_hex(8)
    try:
        _fetch(url, copy=copy, storage_options=storage_options)
        yield _described(copy, name=name)
    finally:
        copy.unlink(missing_ok=True)


def files_at(url: str, *, pattern: str, storage_options: Mapping[str, str]) -> list[FoundFile]:
    """The files of a folder, or the one file that the URL names, by name."""
    with _answering(url):
        files, path = fsspec.core.url_to_fs(url, **storage_options)
        if not files.exists(path):
            raise BadInput("there is no such file or folder", where=url, cure="Check the source's url.")
        if files.isfile(path):
            found = [files.info(path)]
        else:
            found = list(files.glob(f"{path.rstrip('/')}/{pattern}", detail=True).values())
    local = is_local(url)
    return sorted(
        (
            FoundFile(
                url=each["name"] if local else _url_of(each["name"], beside=url, files=files),
                name=each["name"].rsplit("/", 1)[-1],
                size_bytes=each["size"] or 0,
                changed_at_seconds=_changed_at(each),
            )
            for each in found
            if each["type"] == "file" and not each["name"].rsplit("/", 1)[-1].startswith(".")
        ),
        key=lambda each: each.name,
    )


def _url_of(name: str, *, beside: str, files: fsspec.AbstractFileSystem) -> str:
    """A file's own URL; login and host of a server are those of its folder, for the path alone does not name them."""
    folder = urlsplit(beside)
    if folder.scheme in _SERVERS:
        return f"{folder.scheme}://{folder.netloc}{name}"
    return str(files.unstrip_protocol(name))


def _changed_at(described: Mapping[str, object]) -> int | None:
    """Stores say it as a number or as a time, under one of several names."""
    for name in ("mtime", "LastModified", "last_modified", "modified"):
        value = described.get(name)
        if value is None:
            continue
        timestamp = getattr(value, "timestamp", None)
        return int(timestamp()) if timestamp is not None else int(str(value).partition(".")[0])
    return None


def _fetch(url: str, *, copy: Path, storage_options: Mapping[str, str]) -> None:
    with _answering(url), fsspec.open(url, "rb", **storage_options) as distant, copy.open("wb") as near:
        while block := distant.read(_BLOCK):
            near.write(block)


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Each store's library raises errors of its own, with no common root: whatever it is, the store did not answer."""
    try:
        yield
    except MillicentError:
        raise
    except FileNotFoundError:
        raise BadInput("there is no such file", where=url, cure="Check the URL.") from None
    except Exception as fault:
        raise SourceSilent(f"{url} does not answer: {fault}", url=url) from fault


def _described(path: Path, *, name: str) -> LocalFile:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
        size = os.fstat(file.fileno()).st_size
    return LocalFile(name=name, path=path, size_bytes=size, sha256=digest.hexdigest())
