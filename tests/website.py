"""A website with TLS on a loopback port: what a client publishes is fetched from it."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flask_pkce_server.wire.fetch import Fetcher

PUBLIC = "93.184.215.14"


def answer(body: bytes = b'{"keys": []}', *, status: str = "200 OK", **headers: str) -> bytes:
    lines = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


class Website:
    """`keys.example` with TLS on a loopback port; it sends `pieces`, `pause` seconds apart."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keys.example")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("keys.example")]), False)
            .sign(key, hashes.SHA256())
        )
        self.certificate, secret = folder / "certificate.pem", folder / "key.pem"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.certificate, secret)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.pieces, self.pause = [answer()], 0.0
        self.requests: list[str] = []
        self.dialled: list[tuple[str, int]] = []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            plain, _ = self.listening.accept()
            plain.settimeout(5)
            try:
                with self.context.wrap_socket(plain, server_side=True) as connection:
                    self.requests.append(connection.recv(65536).decode())
                    for piece in self.pieces:
                        connection.sendall(piece)
                        time.sleep(self.pause)
            except OSError:
                if self.pieces == []:
                    return
            finally:
                plain.close()

    def close(self) -> None:
        self.pieces = []
        socket.create_connection(self.listening.getsockname()).close()
        self.thread.join(10)
        self.listening.close()

    def dial(self, address: str, port: int, seconds: float) -> socket.socket:
        self.dialled.append((address, port))
        return socket.create_connection(self.listening.getsockname(), seconds)

    def trusted(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def fetcher(self, *addresses: str, seconds: float = 5) -> Fetcher:
        return Fetcher(
            resolve=lambda host, port: addresses or (PUBLIC,),
            dial=self.dial,
            tls=self.trusted,
            seconds=seconds,
        )
