"""An organisation's own endpoint may only lead to the internet, the environment's anywhere; TLS is verified."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agents.llm.base import ModelError, ModelRequest
from agents.llm.openai_backend import OpenAIBackend
from halo.outgoing.door import Door, Refused, is_public, resolve
from tests.fake_model import FakeModel

ASKING = ModelRequest(messages=[{"role": "user", "content": "Hi"}], tools=[], question="Hi", excerpts=[])

PRIVATE = """
127.0.0.1 127.1.2.3 0.0.0.0 10.0.0.1 172.16.5.4 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 100.127.255.255
192.0.0.1 192.0.0.9 192.0.0.170 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.1.1.1 240.0.0.1
255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:7f00:1 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1
fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1 2001::1 2001:0:7f00:1::1 2001:2::1 2001:10::1
2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1
localhost example.com 127.1 2130706433
"""
PUBLIC = "1.1.1.1 8.8.8.8 172.15.0.1 172.32.0.1 100.63.255.255 192.0.1.1 2606:4700::1111 2001:4860:4860::8888"


@pytest.mark.parametrize("address", PRIVATE.split())
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_an_address_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_public_ones_shuts_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "1.1.1.1", "127.0.0.1")
    with pytest.raises(Refused):
        Door(public_only=True).connect("mixed.example", 443, tls=tls(), deadline=time.monotonic() + 5)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_an_organisations_endpoint_cannot_be_this_machine(host: str) -> None:
    with FakeModel() as model:
        assert failure(f"https://{host}:{model.port}/v1", Door(public_only=True)).kind in ("rejected", "unavailable")
        assert model.connections == 0


def test_an_organisations_endpoint_must_be_https(monkeypatch: pytest.MonkeyPatch) -> None:
    leads_to(monkeypatch, "1.1.1.1")
    assert failure("http://plain.example/v1", Door(public_only=True)).kind == "rejected"


def test_a_host_that_the_installation_names_is_exempt() -> None:
    with FakeModel() as model:
        address = f"http://LocalHost:{model.port}/v1"
        assert ask(address, Door(public_only=True, exempt=frozenset({"localhost"}))) == "You said: Hi"
        assert failure(address, Door(public_only=True, exempt=frozenset({"other.example"}))).kind == "rejected"


def test_a_guarded_call_does_not_use_a_connection_that_was_made_without_the_guard() -> None:
    with FakeModel() as model:
        assert ask(model.base_url, Door()) == "You said: Hi"
        assert failure(model.base_url, Door(public_only=True)).kind == "rejected"
        assert len(model.requests) == 1


def test_the_name_is_looked_up_once_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeModel() as model:
        asked = leads_to(monkeypatch, "127.0.0.1")
        sock = Door().connect("once.example", model.port, tls=None, deadline=time.monotonic() + 5)
        assert sock.getpeername() == ("127.0.0.1", model.port)
        sock.close()
        assert asked == ["once.example"]


def test_connections_that_are_made_at_once_share_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = leads_to(monkeypatch, "192.0.2.1", seconds=0.2)

    def look_up(_: int) -> str:
        [(_, address)] = resolve("crowd.example", 443, deadline=time.monotonic() + 10)
        return str(address[0])

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(look_up, range(20))) == {"192.0.2.1"}
    assert asked == ["crowd.example"]


def test_a_look_up_that_failed_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "not now")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError):
        resolve("flaky.example", 443, deadline=time.monotonic() + 5)
    leads_to(monkeypatch, "192.0.2.1")
    assert resolve("flaky.example", 443, deadline=time.monotonic() + 5)


def test_the_next_address_is_tried_where_one_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeModel() as model:
        leads_to(monkeypatch, "127.0.0.2", "127.0.0.1")
        Door().connect("two.example", model.port, tls=None, deadline=time.monotonic() + 5).close()


def test_a_name_that_nobody_knows_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert failure("https://nobody.example/v1", Door(public_only=True)).kind == "unavailable"
    monkeypatch.undo()
    assert failure(f"https://{'a' * 64}.example/v1", Door(public_only=True)).kind in ("unavailable", "rejected")


def test_tls_is_spoken_and_the_certificate_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = certificate(tmp_path, "localhost")
    # Doors of their own, as a transport keeps the certificates that it began with.
    trusting, wary = (Door(public_only=True, exempt=frozenset({"localhost", f"{tmp_path}{n}"})) for n in (1, 2))
    with FakeModel(tls=server) as model:
        assert failure(model.base_url, wary).kind == "unavailable"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
        assert ask(model.base_url, trusting) == "You said: Hi"


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = certificate(tmp_path, "elsewhere.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "elsewhere.example.pem"))
    with FakeModel(tls=server) as model:
        assert failure(model.base_url, Door(exempt=frozenset({str(tmp_path)}))).kind == "unavailable"
        assert model.requests == []


def test_the_deadline_holds_against_a_handshake_that_never_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        started = time.monotonic()
        error = failure(f"https://127.0.0.1:{deaf.getsockname()[1]}/v1", Door(), seconds=0.4)
    assert error.kind == "timeout"
    assert time.monotonic() - started < 3


def test_the_deadline_holds_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = certificate(tmp_path, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "localhost.pem"))
    with FakeModel(tls=server) as model:
        model.reply(drip=0.05)
        started = time.monotonic()
        assert failure(model.base_url, Door(exempt=frozenset({str(tmp_path)})), seconds=0.5).kind == "timeout"
        assert time.monotonic() - started < 3


def ask(base_url: str, door: Door, *, seconds: float = 10) -> str:
    backend = OpenAIBackend(base_url=base_url, model="tiny", door=door)
    return backend.stream(ASKING, deadline=time.monotonic() + seconds).text


def failure(base_url: str, door: Door, *, seconds: float = 10) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(base_url, door, seconds=seconds)
    return caught.value


def tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str, seconds: float = 0) -> list[str]:
    """Let every name lead there; the names that were asked for are returned."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        time.sleep(seconds)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate of its own making, which is also written to `<name>.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = folder / f"{name}.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = folder / f"{name}.key"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context
