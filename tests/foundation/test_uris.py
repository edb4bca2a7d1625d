"""URIs: what is one, what is shown of it, and reading, listing and writing with faults."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import pickle
import ssl
import sys
import threading
import traceback
from pathlib import Path

import pytest

from emocatcher.foundation import uris
from emocatcher.foundation.errors import SettingError, UriError
from emocatcher.foundation.uris import attempts
from emocatcher.foundation.uris.parts import BLOCK
from remote_places import WebServer

SECRET = "hush"  # whose text is in no line of a traceback
LARGE = os.urandom(BLOCK + 1000)
ODD_NAMES = ("a b.wav", "a#1.wav", "a?b.wav", "100%.wav", "a%20b.wav", "é漢.wav", "a+b&c=d.wav")
S3 = pytest.param("s3://calls", marks=pytest.mark.slow)
STORES = pytest.mark.parametrize("store", ["memory://", S3], indirect=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(attempts, "_FIRST_PAUSE_S", 0.001)


def content_of(uri: str) -> bytes:
    with uris.RemoteFile(uri) as file, file.open() as opened:
        return opened.read()


def failure_of(call) -> UriError:
    with pytest.raises(UriError) as found:
        call()
    return found.value


@pytest.mark.parametrize(
    "name",
    [
        "a.wav",
        "/a.wav",
        "a:b.wav",
        r"C:\x.wav",
        "C:/x.wav",
        "C://x.wav",
        r"\\host\a.wav",
        "s3:/b/a.wav",
        "ftp://h/a",
        "",
        "://",
    ],
)
def test_other_names_are_paths(name):
    assert not uris.is_uri(name)
    assert uris.redacted(name) == name


@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs", "https", "http", "memory", "file", "S3", "HTTPS"])
def test_every_scheme_is_a_uri(scheme):
    assert uris.is_uri(f"{scheme}://a/b.wav")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:hush@host/a.wav", "https://host/a.wav"),
        ("https://hush@host:8080/a@b.wav", "https://host:8080/a@b.wav"),
        ("https://me:hu/sh@host/a.wav", "https://host/a.wav"),
        ("https://host/a.wav?X-Amz-Signature=hush&a=/b", "https://host/a.wav?…"),
        ("https://host?token=hush", "https://host?…"),
        ("https://host/a.wav#token=hush", "https://host/a.wav"),
        ("HTTPS://me:hush@host/a.wav", "HTTPS://host/a.wav"),
        ("s3://KEY:hu/sh+x=@bucket/a.wav", "s3://bucket/a.wav"),
        ("s3://hush@bucket/a.wav", "s3://bucket/a.wav"),
        ("s3://bucket/a:b@c.wav", "s3://bucket/a:b@c.wav"),
        ("s3://bucket/a.wav?access_key=hush", "s3://bucket/a.wav?…"),
        ("s3://bucket/what?.wav", "s3://bucket/what?.wav"),
        ("abfs://container@account.dfs.core.windows.net/a.wav?sig=hush", "abfs://container@account.dfs.core.windows.net/a.wav?…"),
        ("abfs://me:hush@account/a.wav", "abfs://account/a.wav"),
        ("http://[::1]:8000/a.wav", "http://[::1]:8000/a.wav"),
        ("file:///me:you@home.wav", "file:///me:you@home.wav"),
        ("ftp://me:hush@host/a.wav", "ftp://host/a.wav"),
        ("postgresql+psycopg2://me:hu/sh@host/runs?password=hush", "postgresql+psycopg2://host/runs?…"),
        ("mssql:///?odbc_connect=PWD%3Dhush", "mssql:///?…"),
        ("sqlite:///folder/me@home.db", "sqlite:///folder/me@home.db"),
    ],
)  # fmt: skip
def test_nothing_secret_is_shown(uri, shown):
    assert uris.redacted(uri) == shown


@pytest.mark.parametrize("uri", ["https://me:hush@127.0.0.1:1/a.wav", "s3://KEY:hush@bucket/a.wav"])
def test_a_password_in_a_uri_is_refused_and_not_shown(uri):
    calls = [
        lambda: content_of(uri),
        lambda: uris.write(uri, Path("a")),
        lambda: uris.names_in(uri),
        lambda: uris.kind_of(uri),
    ]
    for call in calls:
        error = failure_of(call)
        assert "password" in error.reason
        assert "hush" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("size", [0, 1, 1000, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("fault", ["", "no-ranges", "no-length"])
def test_a_web_server_is_read_to_its_end(web, size, fault):
    assert content_of(web.add("/a.wav", LARGE[:size] + b"x" * max(size - len(LARGE), 0), fault)) == LARGE[:size]


@pytest.fixture
def store(request):
    """A place in a store; S3's server takes a second to start."""
    if request.param.startswith("s3"):
        request.getfixturevalue("s3_server")
    return f"{request.param}/{request.node.name.split('[')[0]}"


@STORES
@pytest.mark.parametrize("name", ODD_NAMES)
def test_special_characters_in_names_of_a_store(store, tmp_path, name):
    (tmp_path / "a").write_bytes(b"store")
    uris.write(f"{store}/{name}", tmp_path / "a")
    assert content_of(f"{store}/{name}") == b"store"
    assert name in uris.names_in(store)
    assert uris.kind_of(f"{store}/{name}") == "file"


@pytest.mark.parametrize("name", [*ODD_NAMES, "a::b.wav"])
def test_special_characters_in_names_beside_a_list_and_in_a_folder(web, tmp_path, name):
    web.add(f"/{name}", b"web")
    assert content_of(uris.beside(f"{web.uri}/list.csv?token=1", name)) == b"web"
    (tmp_path / name).write_bytes(b"local")
    assert uris.read_bytes((tmp_path / name).as_uri(), 100) == b"local"
    assert uris.read_bytes(f"file://{tmp_path}/{name}", 100) == b"local"


def test_a_web_address_may_have_spaces_and_any_letters(web):
    web.add("/a b/é.wav", b"sound")
    assert content_of(f"{web.uri}/a b/é.wav#part") == content_of(f"{web.uri}/a%20b/%C3%A9.wav") == b"sound"


def test_parts_can_be_read_in_any_order_by_several_readers(web):
    with uris.RemoteFile(web.add("/large.wav", LARGE)) as file, file.open() as one, file.open(10) as other:
        assert one.seek(-4, os.SEEK_END) == len(LARGE) - 4
        assert one.read() == LARGE[-4:]
        assert one.seek(BLOCK - 2) == BLOCK - 2
        assert one.read(4) == LARGE[BLOCK - 2 : BLOCK + 2]
        assert other.read() == LARGE[:10]
        assert one.seek(1 << 60) == 1 << 60
        assert one.read() == b""
        assert web.asked["/large.wav"] == 2


def test_a_large_file_is_read_once_when_it_is_fetched(web):
    with uris.RemoteFile(web.add("/large.wav", LARGE)) as file:
        file.fetch()
        for _ in range(3):
            with file.open() as opened:
                assert opened.read() == LARGE
        assert web.asked["/large.wav"] == 2


@pytest.mark.parametrize("fault", ["", "no-ranges", "no-length"])
def test_a_temporary_file_has_a_largest_size_and_no_name(web, fault, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    uri = web.add("/large.wav", LARGE, fault)

    def fetch(largest):
        with uris.RemoteFile(uri, largest=largest) as file:
            file.fetch()
            assert not any(tmp_path.iterdir())

    fetch(len(LARGE))
    assert "GiB" in failure_of(lambda: fetch(len(LARGE) - 1)).reason
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("fault", ["every-2", "half-2", "half-2-whole"])
def test_what_fails_for_a_while_is_read_again(web, fault):
    assert content_of(web.add("/a.wav", LARGE, fault)) == LARGE


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_is_missing_or_not_permitted_is_not_asked_for_again(web, status):
    error = failure_of(lambda: content_of(web.add("/a.wav", b"", f"status-{status}")))
    assert str(status) in error.reason
    assert web.asked["/a.wav"] == 1


@pytest.mark.parametrize("fault", ["status-500", "status-503", "status-429", "half-99", "half-99-whole"])
def test_what_keeps_failing_ends_after_the_retries(web, fault, monkeypatch):
    monkeypatch.setenv(attempts.RETRIES, "2")
    error = failure_of(lambda: content_of(web.add("/a.wav", b"sound" * 10, fault)))
    assert (error.kind, web.asked["/a.wav"]) == ("unreachable", 3)
    assert "3 attempts" in error.reason


@pytest.mark.parametrize("fault", ["hang", "slow"])
def test_what_hangs_ends_after_the_time_limit(web, fault, monkeypatch):
    monkeypatch.setenv(attempts.RETRIES, "1")
    monkeypatch.setenv(attempts.TIMEOUT, "0.15")
    error = failure_of(lambda: content_of(web.add("/a.wav", b"sound" * 10, fault)))
    assert (error.kind, web.asked["/a.wav"]) == ("unreachable", 2)


def test_a_host_that_does_not_exist(monkeypatch):
    monkeypatch.setenv(attempts.RETRIES, "0")
    assert "host is not known" in failure_of(lambda: content_of("https://no-such-host.invalid/a.wav?sig=hush")).reason


def test_nobody_listens_at_the_port(web, monkeypatch):
    monkeypatch.setenv(attempts.RETRIES, "0")
    assert "refused" in failure_of(lambda: content_of("http://127.0.0.1:9/a.wav")).reason


def test_redirects_are_followed_a_few_times_and_never_elsewhere(web):
    target = web.add("/a b.wav", b"sound")
    assert content_of(web.add("/to", b"", f"to-{target}")) == b"sound"
    assert "redirects more than 5" in failure_of(lambda: content_of(web.add("/loop", b"", "loop"))).reason
    assert web.asked["/loop"] == 6
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/a", "data:,a"):
        error = failure_of(lambda place=place: content_of(web.add("/out", b"", f"to-{place}")))
        assert "passwd" not in str(error)


def test_a_file_that_changes_while_it_is_read_is_refused(web):
    with uris.RemoteFile(web.add("/a.wav", LARGE, "changing")) as file, file.open() as opened:
        assert opened.read() == LARGE[:BLOCK]
        assert "changed" in file.error.reason


def test_netrc_has_the_password_and_a_redirect_to_another_host_does_not_get_it(web, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hush\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    target = web.add("/a.wav", b"sound")
    content_of(web.add("/elsewhere", b"", f"to-{target.replace('127.0.0.1', 'localhost')}"))
    assert web.headers["/elsewhere"]["Authorization"] == "Basic bWU6aHVzaA=="
    assert "Authorization" not in web.headers["/a.wav"]


def test_secrets_are_in_no_error(web, monkeypatch):
    monkeypatch.setenv(attempts.RETRIES, "0")
    monkeypatch.setenv(attempts.TIMEOUT, "0.2")
    web.add("/out", b"", f"to-ftp://host/?{SECRET}")
    for fault in ("status-403", "status-404", "status-500", "half-9", "hang", "loop"):
        web.add(f"/{fault}", b"12", fault)
    failing = [
        f"{web.uri}/{name}" for name in ("out", "status-403", "status-404", "status-500", "half-9", "hang", "loop")
    ]
    failing += ["http://127.0.0.1:9/", "http://no-such-host.invalid/", "http://[/", "http://a\nb/", "http://h:x/"]
    for uri in failing:
        error = failure_of(lambda uri=uri: content_of(f"{uri}?X-Amz-Signature={SECRET}#{SECRET}"))
        assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.slow
def test_secrets_of_the_environment_are_in_no_error(s3_server, monkeypatch, capfd):
    monkeypatch.setenv(attempts.RETRIES, "0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    for uri in ("s3://no-such-bucket/a.wav", "s3://calls/none.wav", "s3://B?d/a", "s3:///a", "s3://calls"):
        assert SECRET not in "".join(traceback.format_exception(failure_of(lambda uri=uri: content_of(uri))))
    assert SECRET not in "".join(capfd.readouterr())


def test_an_error_survives_the_way_to_another_process():
    error = pickle.loads(pickle.dumps(UriError("s3://bucket/a", "no such file", "missing")))
    assert (str(error), error.kind) == ("s3://bucket/a: no such file", "missing")


@STORES
def test_folders_are_listed_and_patterns_matched(store, tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    for name in ("b.wav", "sub/a.wav", "sub/deep/c.ogg"):
        uris.write(f"{store}/{name}", tmp_path / "a")
    assert uris.names_in(store) == uris.names_in(f"{store}/") == ["b.wav", "sub/a.wav", "sub/deep/c.ogg"]
    assert uris.matching(f"{store}/**/*.wav") == [f"{store}/b.wav", f"{store}/sub/a.wav"]
    kinds = {rest: uris.kind_of(f"{store}{rest}") for rest in ("", "/sub", "/b.wav", "/none")}
    assert kinds == {"": "folder", "/sub": "folder", "/b.wav": "file", "/none": ""}


def test_a_web_server_has_no_list_and_cannot_be_written(web, tmp_path):
    assert "no list" in failure_of(lambda: uris.names_in(web.uri)).reason
    assert "cannot be written" in failure_of(lambda: uris.write(f"{web.uri}/a.csv", tmp_path)).reason


@STORES
@pytest.mark.parametrize("size", [0, 10, len(LARGE)])
def test_a_written_file_is_read_back(store, tmp_path, size):
    (tmp_path / "a").write_bytes(LARGE[:size])
    for uri in (f"{store}/a.csv", (tmp_path / "b.csv").as_uri()):
        uris.write(uri, tmp_path / "a")
        assert uris.read_bytes(uri, len(LARGE)) == LARGE[:size]


def test_wrong_limits_are_refused(web, monkeypatch):
    monkeypatch.setenv(attempts.TIMEOUT, "soon")
    with pytest.raises(SettingError, match="EMOCATCHER_URI_TIMEOUT_S is 'soon'"):
        content_of(web.add("/a.wav", b"sound"))


def test_a_store_without_its_package_is_named_with_a_command():
    error = failure_of(lambda: content_of("gs://bucket/a.wav"))
    assert "gcsfs" in error.reason
    assert "install" in error.reason


@pytest.mark.slow
def test_a_missing_bucket_is_found_before_anything_is_written(s3_server, tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    for call in (uris.check_place, lambda uri: uris.write(uri, tmp_path / "a")):
        assert "no such bucket" in failure_of(lambda call=call: call("s3://no-bucket/a.csv")).reason
    uris.check_place("s3://calls/new/a.csv")
    uris.check_place("memory://new/a.csv")


@pytest.mark.parametrize(("uri", "needs"), [("s3://bucket/a", "fsspec and s3fs"), ("memory://a", "fsspec")])
def test_without_fsspec_the_message_has_the_command(monkeypatch, uri, needs):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    error = failure_of(lambda: content_of(uri))
    assert f"needs {needs}. Install with: " in error.reason
    assert error.kind == "refused"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory):
    """A web server with a certificate for 127.0.0.1 that nobody has signed, and the file of the certificate."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name, builder = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), x509.CertificateBuilder()
    builder = builder.subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(dt.datetime(2020, 1, 1)).not_valid_after(dt.datetime(2120, 1, 1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "certificate").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key").write_bytes(private)
    server = WebServer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server, folder / "certificate"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_is_checked_and_encryption_is_never_left(encrypted, web, monkeypatch):
    server, certificate = encrypted
    uri = server.add("/a b.wav", LARGE).replace("http:", "https:")
    assert "certificate is not valid" in failure_of(lambda: content_of(f"{uri}?token={SECRET}")).reason
    assert server.asked["/a b.wav"] == 0
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert content_of(uri) == LARGE
    away = server.add("/away", b"", f"to-{web.add('/open', b'sound')}").replace("http:", "https:")
    assert "encryption" in failure_of(lambda: content_of(away)).reason
    assert web.asked["/open"] == 0
