"""Whom the deployed binary trusts: it talks to SNS and CloudTrail over TLS, and to nobody who only says to be them.

The certificates are made here, by an authority of the test's own. The function is shown that authority the way an
operator shows it one: `SSL_CERT_FILE`.
"""

import contextlib
import dataclasses
import datetime
import http.server
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from test_function import ROOT_EVENT, TAKEN, function

HOST = "localhost"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclasses.dataclass
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def write(self, file):
        """Into one file, as `ssl` loads it."""
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + self.pem())
        return file


def named(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def signed(name, issuer=None, key=None, begins=NOW - DAY, ends=NOW + DAY, authority=False):
    """A certificate for a host or, with `authority`, for one who issues them; self-signed without an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer.certificate.subject if issuer else named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return Signed(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


TRUSTED = signed("trusted authority", authority=True)
OTHER = signed("other authority", authority=True)
# It has the trusted one's name and another key.
NAMESAKE = signed("trusted authority", authority=True)
LEAF = signed(HOST, TRUSTED)


def rsa_key(size):
    return rsa.generate_private_key(65537, size)


# What the server shows, and why the function refuses it.
REFUSED = {
    "expired": (signed(HOST, TRUSTED, ends=NOW - datetime.timedelta(hours=1)), "certificate expired"),
    "not yet valid": (signed(HOST, TRUSTED, begins=NOW + datetime.timedelta(hours=1)), "certificate not valid yet"),
    "self-signed": (signed(HOST), "UnknownIssuer"),
    "of another host": (signed("sns.eu-central-1.amazonaws.com", TRUSTED), "certificate not valid for name"),
    "of a root that is not trusted": (signed(HOST, OTHER), "UnknownIssuer"),
    "of a root that only has the trusted one's name": (signed(HOST, NAMESAKE), "BadSignature"),
    "issued by a host's certificate": (signed(HOST, LEAF), "UnknownIssuer"),
    "of a short key": (signed(HOST, TRUSTED, rsa_key(1024)), "invalid peer certificate"),
}
# What AWS's endpoints show, by their keys.
TAKES = {
    "ECDSA P-256": ec.generate_private_key(ec.SECP256R1()),
    "ECDSA P-384": ec.generate_private_key(ec.SECP384R1()),
    "RSA 2048": rsa_key(2048),
}


class Sns(http.server.BaseHTTPRequestHandler):
    """Takes every message."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        self.server.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        body = b'{"Events":[]}' if self.headers["X-Amz-Target"] else TAKEN[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that breaks off, which is what most of these tests are about


@contextlib.contextmanager
def serving(certificate, scratch, version=ssl.TLSVersion.TLSv1_3):
    """A TLS server that shows this certificate, and its messages."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Python would refuse some of what is served here: short keys, and TLS 1.1.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(certificate.write(scratch / "server.pem"))
    server = Server(("127.0.0.1", 0), Sns)
    server.taken = []
    server.url = f"https://{HOST}:{server.server_port}"
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def bootstrap(built_template):
    return built_template.parent / "AlertFunction" / "bootstrap"


@contextlib.contextmanager
def trusting(bootstrap, scratch, server, **variables):
    """The function, which trusts one authority only."""
    roots = scratch / "roots.pem"
    roots.write_bytes(TRUSTED.pem())
    # The directory, empty: whoever runs the test may have set one, and it would count as well.
    variables |= {"SSL_CERT_FILE": str(roots), "SSL_CERT_DIR": "", "AWS_ENDPOINT_URL_SNS": server.url, "AWS_MAX_ATTEMPTS": "1"}
    with function(bootstrap, scratch, [TAKEN], **variables) as stub:
        yield stub


@pytest.mark.parametrize("key", TAKES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def test_a_certificate_of_a_trusted_root_is_taken(version, key, bootstrap, tmp_path):
    with serving(signed(HOST, TRUSTED, TAKES[key]), tmp_path, version) as server, trusting(bootstrap, tmp_path, server) as stub:
        kind, report = stub.invoke(ROOT_EVENT)

    assert (kind, report["mails"], len(server.taken)) == ("response", 1, 1), report


@pytest.mark.parametrize("certificate, why", REFUSED.values(), ids=REFUSED)
def test_another_certificate_is_refused(certificate, why, bootstrap, tmp_path):
    with serving(certificate, tmp_path) as server, trusting(bootstrap, tmp_path, server) as stub:
        kind, error = stub.invoke(ROOT_EVENT)

    assert kind == "error", error
    assert why in error["errorMessage"]
    assert server.taken == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_an_old_version_of_tls_is_refused(bootstrap, tmp_path):
    with serving(LEAF, tmp_path, ssl.TLSVersion.TLSv1_1) as server, trusting(bootstrap, tmp_path, server) as stub:
        other = ssl.create_default_context(cafile=tmp_path / "roots.pem")
        other.set_ciphers("ALL:@SECLEVEL=0")
        other.minimum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection((HOST, server.server_port)) as plain, other.wrap_socket(plain, server_hostname=HOST) as tls:
            assert tls.version() == "TLSv1.1"  # so it is not the server's fault

        kind, error = stub.invoke(ROOT_EVENT)

    assert (kind, server.taken) == ("error", [])
    assert "ProtocolVersion" in error["errorMessage"]


def test_the_event_history_of_an_impostor_is_not_read(bootstrap, tmp_path):
    impostor = tmp_path / "impostor"
    impostor.mkdir()
    with serving(LEAF, tmp_path) as sns, serving(signed(HOST), impostor) as cloudtrail:
        with trusting(bootstrap, tmp_path, sns, HISTORY_MINUTES="60", AWS_ENDPOINT_URL_CLOUDTRAIL=cloudtrail.url) as stub:
            kind, report = stub.invoke(ROOT_EVENT)

    assert (kind, report["mails"], len(sns.taken)) == ("response", 1, 1), report
    assert report["history_failures"] > 0
    assert cloudtrail.taken == []
