"""Snapshots that the nodes of a scope share, in a JetStream object store.

Role: put a proven snapshot where a new node finds it, and fetch one. In: files. Out: files. Always: bounded (how many,
and the bucket's bytes); parts are uploaded one at a time, with pauses, because the log has priority; what is fetched
has the SHA-256 that was put, under a code of the scope (docs/log.md, "MACs"), and is proven by a restore like any
other before it is used.
"""

import asyncio
import contextlib
import hashlib
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nats.errors
import structlog
from nats.js.api import ObjectMeta, ObjectMetaOptions, ObjectStoreConfig, StorageType
from nats.js.errors import BucketNotFoundError, Error, NotFoundError
from nats.js.object_store import ObjectStore

from holdfast.errors import SnapshotStoreError
from holdfast.macs import Macs
from holdfast.nats.connection import Connection
from holdfast.nats.streams import Names
from holdfast.settings import LogSettings, SnapshotSettings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

log = structlog.get_logger(__name__)


async def _hashed(path: Path) -> bytes:
    def hashed() -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    return await asyncio.to_thread(hashed)


_FAULTS = (Error, nats.errors.Error, TimeoutError, OSError)


class _Paced(io.BufferedReader):
    """A file that is read with a pause before each part. Read in a thread."""

    pause_s = 0.0

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        time.sleep(self.pause_s)
        return super().readinto(buffer)


class SharedSnapshots:
    """The bucket HF_<scope>_SNAP; an object is named as the file is."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        settings: SnapshotSettings,
        log_settings: LogSettings,
        macs: Macs | None = None,
    ) -> None:
        self._macs = macs or Macs()
        self._connection = connection
        self._bucket_name = names.snapshots
        self._settings = settings
        self._replicas = log_settings.replicas

    async def names(self) -> list[str]:
        """The shared snapshots, the newest first. Raises SnapshotStoreError."""
        try:
            bucket = await self._bucket(create=False)
            return await self._names(bucket) if bucket is not None else []
        except _FAULTS as fault:
            raise self._failed("could not be listed", fault) from fault

    async def put(self, path: Path) -> None:
        """Share a proven snapshot, and delete the oldest beyond the number to keep. Raises SnapshotStoreError."""
        try:
            async with asyncio.timeout(self._settings.shared_timeout_ms / 1000):
                bucket = await self._bucket(create=True)
                assert bucket is not None, "Invariant: made"
                if path.name in await self._names(bucket):
                    return
                options = ObjectMetaOptions(max_chunk_size=self._settings.shared_part_bytes)
                with _Paced(io.FileIO(path)) as file:
                    file.pause_s = self._settings.shared_part_pause_ms / 1000
                    meta = ObjectMeta(name=path.name, description=await self._proof(path.name, path), options=options)
                    await bucket.put(path.name, file, meta)
                for old in (await self._names(bucket))[self._settings.shared_retained :]:
                    await bucket.delete(old)
        except _FAULTS as fault:
            raise self._failed("could not be put", fault) from fault

    async def fetch(self, name: str, into: Path) -> None:
        """Write a shared snapshot to a new file. Raises SnapshotStoreError."""
        try:
            async with asyncio.timeout(self._settings.shared_timeout_ms / 1000):
                bucket = await self._bucket(create=False)
                if bucket is None:
                    raise SnapshotStoreError(f"{self._bucket_name} does not exist")
                with into.open("xb") as file:
                    found = await bucket.get(name, file)
            if self._macs.keys is not None and not self._is_proven(name, found.info.description, await _hashed(into)):
                await asyncio.to_thread(into.unlink)
                raise SnapshotStoreError(f"{name} in {self._bucket_name} was not put there by a gateway of this scope")
        except _FAULTS as fault:
            raise self._failed(f"gave no whole {name}", fault) from fault

    async def _proof(self, name: str, path: Path) -> str:
        """What proves that a gateway put it: a code over its name and content."""
        if self._macs.keys is None:
            return ""
        return self._macs.sign("snapshot", name.encode(), await _hashed(path)).hex()

    def _is_proven(self, name: str, proof: str | None, content: bytes) -> bool:
        with contextlib.suppress(ValueError):
            return self._macs.open("snapshot", name.encode(), bytes.fromhex(proof or "")) == content
        return False

    async def _bucket(self, *, create: bool) -> ObjectStore | None:
        stream = self._connection.jetstream()
        try:
            return await stream.object_store(self._bucket_name)
        except (BucketNotFoundError, NotFoundError):
            if not create:
                return None
        config = ObjectStoreConfig(
            bucket=self._bucket_name,
            description="holdfast: snapshots that a new node starts from",
            max_bytes=self._settings.shared_bytes_max,
            storage=StorageType.FILE,
            replicas=self._replicas,
        )
        return await stream.create_object_store(self._bucket_name, config)

    async def _names(self, bucket: ObjectStore) -> list[str]:
        try:
            listed = await bucket.list()
        except NotFoundError:  # the library raises this for an empty one
            return []
        return sorted((entry.name for entry in listed if entry.name and not entry.deleted), reverse=True)

    def _failed(self, what: str, fault: BaseException) -> SnapshotStoreError:
        return SnapshotStoreError(f"shared snapshots in {self._bucket_name} {what}: {type(fault).__name__}: {fault}")
