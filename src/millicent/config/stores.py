"""Files of the lake as such: listed, read and written the same way in a folder and in an object store."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector, FileSystem, FileType, PyFileSystem

from millicent.config.settings import Settings


def lake_files(settings: Settings) -> FileSystem:
    """The lake's root as a file system; a local root is made when it is missing."""
    root = settings.lake_root
    local = local_lake_folder(settings)
    if local is not None:
        local.mkdir(parents=True, exist_ok=True)
        root = str(local)
    return PyFileSystem(_StorageHandler(root, settings.storage_options))


class _StorageHandler(DeltaStorageHandler):
    """Writes what pyarrow hands it: deltalake 1.6 wants bytes, pyarrow 26 brings buffers."""

    def open_output_stream(self, path: str, metadata: dict[str, str] | None = None) -> pa.PythonFile:
        return pa.PythonFile(_TakesBuffers(self._handler.open_output_stream(path, metadata)), mode="w")


class _TakesBuffers:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, piece: pa.Buffer | bytes) -> int:
        whole = bytes(piece)
        self._stream.write(whole)
        return len(whole)

    def close(self) -> None:
        self._stream.close()

    def flush(self) -> None:
        self._stream.flush()

    @property
    def closed(self) -> bool:
        return bool(self._stream.closed() if callable(self._stream.closed) else self._stream.closed)


def local_lake_folder(settings: Settings) -> Path | None:
    """The folder of a local lake, None when it is in an object store."""
    parts = urlsplit(settings.lake_root)
    if parts.scheme in ("", "file"):
        return Path(parts.path)
    return None


def lake_state(settings: Settings) -> str:
    """ "ok" when the lake's root can be listed (and written to, when it is a folder), else what is wrong."""
    try:
        lake_files(settings).get_file_info(FileSelector("", recursive=False, allow_not_found=True))
    except Exception as fault:  # the object store's library has errors of every kind
        return f"silent: {type(fault).__name__}"
    local = local_lake_folder(settings)
    return "ok" if local is None or os.access(local, os.W_OK) else "not writable"


def lake_tables(files: FileSystem, folder: str = "") -> Iterator[str]:
    """Paths under the root that hold a Delta table, in order."""
    found = files.get_file_info(FileSelector(folder, recursive=False, allow_not_found=True))
    folders = sorted(each.path.strip("/") for each in found if each.type == FileType.Directory)
    if any(path.rpartition("/")[2] == "_delta_log" for path in folders):
        yield folder
        return
    for path in folders:
        yield from lake_tables(files, path)
