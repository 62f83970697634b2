"""The file systems of fsspec, made to take every character of a name as a part of the name.

Google's driver reads ``#12`` and ``?generation=12`` at the end of a name as a version of the object
before it, and the one for S3 reads ``?versionId=`` so. With them ``b.png?versionId=`` would be
another name for ``b.png``, and whoever names a file would give instructions to the store.
"""

import functools
from typing import Any

import fsspec
from fsspec.registry import get_filesystem_class


def driver(scheme: str) -> Any:
    """The file system of a scheme, with the storage options for it.

    Raises an ImportError if the driver is not installed.
    """
    kind = get_filesystem_class(scheme)
    if scheme in ("gs", "gcs"):
        return _google(kind)()
    if scheme in ("s3", "s3a"):
        return _amazon(kind)()
    return fsspec.filesystem(scheme)


@functools.cache
def _google(kind: Any) -> Any:
    class Literal(kind):  # type: ignore[misc]  # the driver has no types
        @classmethod
        def _split_path(cls, path: Any, version_aware: bool = False) -> Any:
            del version_aware
            return super()._split_path(path, version_aware=False)

    return Literal


@functools.cache
def _amazon(kind: Any) -> Any:
    class Literal(kind):  # type: ignore[misc]  # the driver has no types
        def split_path(self, path: str) -> tuple[str, str, None]:
            slashes = path[len(path.rstrip("/")) :]
            path = self._strip_protocol(path).lstrip("/")
            if "/" not in path:
                return path, "", None
            bucket, key = self._find_bucket_key(path)
            return bucket, key + slashes, None

        async def _call_s3(self, method: str, *arguments: Any, **named: Any) -> Any:
            # botocore looks for a version in a text, but not in the parts of an address.
            if isinstance(source := named.get("CopySource"), str):
                bucket, key, _ = self.split_path(source)
                named["CopySource"] = {"Bucket": bucket, "Key": key}
            return await super()._call_s3(method, *arguments, **named)

    return Literal
