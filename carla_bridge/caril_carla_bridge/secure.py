"""The secured link's plant end: Noise_IK_25519_ChaChaPoly_SHA256 over `cryptography`'s primitives.

The bytes stand in caril's docs/wire.md. The Noise packages on PyPI have had no release since 2020;
the pattern's responder is short, and a test lets it speak with the Rust end.
"""

import hashlib
import hmac
import ipaddress
import os
import struct
import time

HEADER = struct.Struct("<4sBBHQ")  # magic, version, kind, 0, counter
MAGIC, VERSION = b"CARS", 1
INIT, REPLY, DATA = 1, 2, 3
PROLOGUE = b"caril link 1"
NAME = b"Noise_IK_25519_ChaChaPoly_SHA256"
SEAL, CHUNK, CHUNK_BITS = 16, 65535 - 16, 12
SEATS, BURST, PER_S = 8, 4.0, 10.0


class KeyFileError(ValueError):
    """A key or a file of keys that cannot be used."""


def stays_here(endpoint):
    """Whether nothing sent there leaves the machine."""
    if not endpoint.startswith("tcp://"):
        return True
    host = endpoint[len("tcp://"):].rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key(line, word):
    words = line.split()
    if len(words) < 2 or words[0] != word or len(words[1]) != 64:
        return None
    try:
        return bytes.fromhex(words[1])
    except ValueError:
        return None


def read_secret(path):
    """The secret key of a file of `caril keys new`, which must be its owner's alone."""
    mode = os.stat(path).st_mode & 0o777
    if mode & 0o077:
        raise KeyFileError(f"a secret key must be its owner's alone: expected permissions 600, "
                        f"got {mode:03o} (chmod 600): {path}")
    with open(path, encoding="utf-8") as f:
        key = _key(f.readline(), "caril-secret-1")
    if key is None:
        raise KeyFileError(f"expected a secret key of `caril keys new`: {path}")
    return key


def read_peers(path):
    """The public keys of a file, one a line."""
    peers = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.strip() and not line.startswith("#"):
                key = _key(line, "caril-public-1")
                if key is None:
                    raise KeyFileError(f"expected `caril-public-1` and 64 digits, line {number}: {path}")
                peers.append(key)
    if not peers:
        raise KeyFileError(f"expected at least one public key: {path}")
    return peers


def _nonce(n):
    return b"\0\0\0\0" + struct.pack("<Q", n)


def _hkdf(chaining, secret):
    """Noise's HKDF with two outputs."""
    base = hmac.digest(chaining, secret, "sha256")
    first = hmac.digest(base, b"\1", "sha256")
    return first, hmac.digest(base, first + b"\2", "sha256")


class Channel:
    """Both ends know each other: messages are sealed and opened."""

    def __init__(self, peer, receive, send):
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
        self.peer = peer
        self._receive, self._send = ChaCha20Poly1305(receive), ChaCha20Poly1305(send)
        self._received = self._sent = 0

    def seal(self, plain):
        """A message as it goes over the wire."""
        self._sent += 1
        view, out = memoryview(plain), [HEADER.pack(MAGIC, VERSION, DATA, 0, self._sent)]
        for k, at in enumerate(range(0, len(view), CHUNK)):
            nonce = _nonce(self._sent << CHUNK_BITS | k)
            out.append(self._send.encrypt(nonce, bytes(view[at:at + CHUNK]), b""))
        return b"".join(out)

    def open(self, sealed):
        """The message, or None if it is none of the peer's or no newer one than the last."""
        from cryptography.exceptions import InvalidTag
        head, body = _parse(sealed)
        if head is None or head[0] != DATA or head[1] <= self._received or head[1] >> 52 or not body:
            return None
        out, step = [], CHUNK + SEAL
        try:
            for k, at in enumerate(range(0, len(body), step)):
                nonce = _nonce(head[1] << CHUNK_BITS | k)
                out.append(self._receive.decrypt(nonce, body[at:at + step], b""))
        except (InvalidTag, ValueError):
            return None
        self._received = head[1]
        return b"".join(out)


def _parse(message):
    if len(message) < HEADER.size:
        return None, b""
    magic, version, kind, zero, counter = HEADER.unpack_from(message)
    if (magic, version, zero) != (MAGIC, VERSION, 0):
        return None, b""
    return (kind, counter), bytes(message[HEADER.size:])


def respond(secret, peers, first):
    """Noise IK's answer to its first message: the channel and the second, or None."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    def digest(*parts):
        return hashlib.sha256(b"".join(parts)).digest()

    def agree(private, public):
        return private.exchange(X25519PublicKey.from_public_bytes(public))

    own = X25519PrivateKey.from_private_bytes(secret)
    chaining = NAME
    told = digest(digest(NAME, PROLOGUE), own.public_key().public_bytes_raw())
    their_e, sealed_s, sealed_nothing = first[:32], first[32:80], first[80:96]
    try:
        told = digest(told, their_e)
        chaining, key = _hkdf(chaining, agree(own, their_e))
        their_s = ChaCha20Poly1305(key).decrypt(_nonce(0), sealed_s, told)
        told = digest(told, sealed_s)
        chaining, key = _hkdf(chaining, agree(own, their_s))
        ChaCha20Poly1305(key).decrypt(_nonce(0), sealed_nothing, told)
        told = digest(told, sealed_nothing)
        if their_s not in peers:
            return None
        mine = X25519PrivateKey.generate()
        public = mine.public_key().public_bytes_raw()
        told = digest(told, public)
        chaining, _ = _hkdf(chaining, agree(mine, their_e))
        chaining, key = _hkdf(chaining, agree(mine, their_s))
        second = public + ChaCha20Poly1305(key).encrypt(_nonce(0), b"", told)
    except (InvalidTag, ValueError):  # also a public key of low order
        return None
    receive, send = _hkdf(chaining, b"")
    return Channel(their_s, receive, send), second


class Guard:
    """The plant's door: who has a channel, and how often strangers may knock."""

    def __init__(self, secret, peers):
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
        self._secret, self._peers = secret, peers
        self._public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        self._seats = {}  # by route, oldest first
        self._tokens, self._since = BURST, time.monotonic()
        self.strangers = 0

    def seal(self, route, plain):
        """The sealed message, or None if nobody with a key is there."""
        channel = self._seats.get(route)
        return None if channel is None else channel.seal(plain)

    def hear(self, route, driver, message):
        """(the opened message or None, an answer to send or None)."""
        channel = self._seats.get(route)
        plain = None if channel is None else channel.open(message)
        if plain is not None:
            return plain, None
        head, rest = _parse(message)
        mark = hashlib.sha256(PROLOGUE + self._public + rest[16:]).digest()[:16]
        known = head == (INIT, 0) and len(rest) == 112 and hmac.compare_digest(rest[:16], mark)
        taken = route == driver and channel is not None
        answer = respond(self._secret, self._peers, rest[16:]) if known and self._may_try() else None
        if answer is None or taken:
            self.strangers += 1
            return None, None
        self._seats.pop(route, None)
        if len(self._seats) > SEATS:
            oldest = next((r for r in self._seats if r != driver), None)
            self._seats.pop(oldest, None)
        self._seats[route] = answer[0]
        return None, HEADER.pack(MAGIC, VERSION, REPLY, 0, 0) + answer[1]

    def _may_try(self):
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._since) * PER_S, BURST)
        self._since = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
