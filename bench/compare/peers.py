"""The servers that are compared: what each can do, its configuration, its command line."""

import dataclasses
import os
import pwd
import resource
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256"
IANA_CIPHERS = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"  # the same in the registry's words
CIPHERSUITES = "TLS_AES_128_GCM_SHA256"
GROUP = "X25519"
# The certificate is on P-256, which a client of TLS 1.2 has to name, too (RFC 8422 5.1.1).
GROUPS = "X25519:P-256"
BODY_BYTES = 1024
NGINX_MODULES = "/usr/lib/nginx/modules"
FILES = {"small": 1024, "1m": 1 << 20, "100m": 100 << 20}

# What a server does with plaintext in a scenario.
ANSWER, FILE, FORWARD = "answer", "file", "forward"


@dataclasses.dataclass(frozen=True)
class Peer:
    """One way to run a server."""
    name: str
    program: str
    # Work it can do; a peer that only forwards does so also where others answer, and the table says it.
    works: tuple
    templates: dict  # work -> file in peers/
    options: tuple = ()
    one_at_a_time: bool = False  # serves a connection to its end before the next one


PEERS = (
    Peer("ktlsim", "ktlsim", (ANSWER, FILE, FORWARD),
         {ANSWER: "ktlsim.toml", FILE: "ktlsim.toml", FORWARD: "ktlsim.toml"}, ("--placement", "inline")),
    Peer("ktlsim-pool", "ktlsim", (ANSWER, FILE, FORWARD),
         {ANSWER: "ktlsim.toml", FILE: "ktlsim.toml", FORWARD: "ktlsim.toml"},
         ("--placement", "pool", "--crypto-processors", "1")),
    Peer("nginx", "nginx", (ANSWER, FILE, FORWARD),
         {ANSWER: "nginx.conf", FILE: "nginx.conf", FORWARD: "nginx-stream.conf"}),
    Peer("haproxy", "haproxy", (ANSWER, FORWARD), {ANSWER: "haproxy.cfg", FORWARD: "haproxy-tcp.cfg"}),
    Peer("stunnel", "stunnel4", (FORWARD,), {FORWARD: "stunnel.conf"}),
    Peer("hitch", "hitch", (FORWARD,), {FORWARD: "hitch.conf"}),
    Peer("s_server", "openssl", (FILE,), {}, one_at_a_time=True),
)


class Site:
    """A folder with what every server needs: certificate, files to serve, filled-in configurations."""

    def __init__(self, folder, ktlsim):
        self.folder = folder
        self.ktlsim = ktlsim
        self.docs = os.path.join(folder, "docs")
        self.cert = os.path.join(folder, "cert.pem")
        self.key = os.path.join(folder, "key.pem")
        self.bundle = os.path.join(folder, "bundle.pem")
        self.body_file = os.path.join(folder, "body")

    def make(self):
        os.chmod(self.folder, 0o755)  # workers of some servers are another user
        os.makedirs(self.docs)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", self.key, "-out", self.cert], check=True, capture_output=True)
        with open(self.bundle, "w", encoding="ascii") as bundle:
            for part in (self.key, self.cert):
                with open(part, encoding="ascii") as pem:
                    bundle.write(pem.read())
        with open(self.body_file, "w", encoding="ascii") as body:
            body.write("x" * BODY_BYTES)
        for name, size in FILES.items():
            with open(os.path.join(self.docs, name), "wb") as file:
                file.write(os.urandom(1 << 20) * (size >> 20) if size >= 1 << 20 else b"x" * size)
            os.chmod(os.path.join(self.docs, name), 0o644)
        return self

    def fill(self, template, work, port, backend):
        """The path of a configuration with its places filled in."""
        with open(os.path.join(HERE, "peers", template), encoding="utf-8") as source:
            text = source.read()
        places = {
            "DIR": self.folder, "PORT": port, "BACKEND": backend, "CERT": self.cert, "KEY": self.key,
            "BUNDLE": self.bundle, "DOCS": self.docs, "CIPHERS": CIPHERS, "CIPHERSUITES": CIPHERSUITES,
            "GROUPS": GROUPS, "BODY": "x" * BODY_BYTES, "BODYFILE": self.body_file, "MODULES": NGINX_MODULES,
            "USER": hitch_user(), "NOFILE": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "WORK": {ANSWER: f"respond-bytes = {BODY_BYTES}", FILE: f'root = "{self.docs}"',
                     FORWARD: f'upstream = "127.0.0.1:{backend}"'}[work],
        }
        for place, value in places.items():
            text = text.replace(f"@{place}@", str(value))
        path = os.path.join(self.folder, f"{port}-{template}")
        with open(path, "w", encoding="utf-8") as target:
            target.write(text)
        return path

    def command(self, peer, work, port, backend, check=False):
        """The command line of a peer; with `check`, the one that only looks at its configuration, or None."""
        if peer.name == "s_server":
            return None if check else [
                "env", "-C", self.docs, "openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", self.cert,
                "-key", self.key, "-WWW", "-http_server_binmode", "-quiet", "-cipher", CIPHERS,
                "-ciphersuites", CIPHERSUITES,
                "-groups", GROUPS]
        path = self.fill(peer.templates[work], work, port, backend)
        if peer.program == "ktlsim":
            return [self.ktlsim, "serve", "--config", path, *peer.options, "--log-level", "warning",
                    *(("--check",) if check else ())]
        return {
            "nginx": [program("nginx"), *(("-t",) if check else ()), "-e", os.path.join(self.folder, "nginx.log"),
                      "-c", path],
            "haproxy": [program("haproxy"), "-c" if check else "-db", "-f", path],
            "stunnel4": None if check else [program("stunnel4"), path],
            "hitch": [program("hitch"), *(("--test",) if check else ()), f"--config={path}"],
        }[peer.program]

    def backend_command(self, port):
        return [program("nginx"), "-e", os.path.join(self.folder, "backend.log"), "-c",
                self.fill("backend.conf", FORWARD, port, 0)]


def hitch_user():
    """hitch refuses to run as root: its workers become this user then."""
    if os.getuid() != 0:
        return ""
    for name in ("_hitch", "nobody"):
        try:
            pwd.getpwnam(name)
            return f'user = "{name}"'
        except KeyError:
            continue
    return ""


def program(name):
    """Its path; servers live in folders that are not in everybody's PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def installed(peer, ktlsim):
    return os.access(ktlsim, os.X_OK) if peer.program == "ktlsim" else program(peer.program) is not None


VERSION_OPTIONS = {"ktlsim": "--version", "nginx": "-v", "haproxy": "-v", "stunnel4": "-version", "hitch": "--version",
                   "openssl": "version", "wrk": "-v"}


def version(name, ktlsim):
    """The first line with a number that the program says of itself."""
    path = ktlsim if name == "ktlsim" else program(name)
    told = subprocess.run([path, VERSION_OPTIONS[name]], capture_output=True, text=True, check=False, timeout=20)
    for line in (told.stdout + told.stderr).splitlines():
        if any(character.isdigit() for character in line) and "configuration" not in line:
            return line.strip()
    return "unknown"
