"""An S3-compatible object store on a free port of this machine, in this process: moto's server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import obstore
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from store.blobs import Blobs


@dataclass(frozen=True, slots=True)
class ObjectStorePart:
    endpoint: str

    def bucket(self, name: str) -> None:
        httpx.put(f"{self.endpoint}/{name}").raise_for_status()

    def overwrite(self, bucket: str, key: str, content: bytes) -> None:
        obstore.put(
            S3Store(
                bucket,
                config={
                    "endpoint": self.endpoint,
                    "region": "us-east-1",
                    "access_key_id": "an-access-key",
                    "secret_access_key": "a-secret-key",
                    "virtual_hosted_style_request": False,
                },
                client_options={"allow_http": True},
            ),
            key,
            content,
        )

    def blobs(self, place: str) -> Blobs:
        return Blobs.from_place(
            place,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key="an-access-key",
            secret_key="a-secret-key",
            allow_http=True,
        )


@contextmanager
def object_store() -> Iterator[ObjectStorePart]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield ObjectStorePart(f"http://{host}:{port}")
    finally:
        server.stop()
