"""Tokens of an identity provider (JWT, RFC 7519): whether one is believed, and the key that it stands for.

In: a token as a request has it. Out: a Key with the operations, channels and sources of its claims, until it ends.
Always: the signature is verified before a claim is believed, with a public key of the algorithm that the settings
allow; a token without an end, or with one far away, is refused; what was verified is remembered by its hash until it
ends, or the provider's keys change; a refusal says what is missing, and repeats nothing of the token.
"""

import hashlib
import re
from collections import Counter, OrderedDict
from time import time
from typing import Any, Final

import jwt
from jwt.exceptions import (
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAudienceError,
    InvalidIssuerError,
    InvalidSignatureError,
    MissingRequiredClaimError,
    PyJWTError,
)

from holdfast.gateway.jwks import Jwks
from holdfast.gateway.key_file import CHANNELS_MAX, SCOPE_WIDE, SOURCE_FORM, Operation
from holdfast.gateway.keyring import Key
from holdfast.gateway.paces import Cell, Pace, Quota
from holdfast.gateway.refusals import Refusal
from holdfast.settings import TokenSettings

_SUBJECT = re.compile(r"[A-Za-z0-9._@|-]{1,100}")
_HEAD = frozenset({"alg", "kid", "typ", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"})
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
_REQUIRED: Final = ("iss", "aud", "exp", "sub")
_AS_ALGORITHM: Final = (
    "The token names another algorithm or key than those of the provider. Get a new one from it; where it has just "
    "changed its keys, try again in some seconds."
)
WRONG: Final = {
    "form": "This is no token of the provider: three parts, each base64url, with a JSON header. Send the access token.",
    "key": _AS_ALGORITHM,
    "signature": "The token's signature is not the provider's. Get a new one from the provider.",
    "expired": "The token has expired. Get a new one from the provider.",
    "early": "The token is not valid yet. Check the clocks of the provider and of this machine.",
    "long": "The token is valid for longer than this gateway allows. Have the provider issue shorter ones.",
    "audience": "The token is not meant for this service: its claim `aud` lacks the configured audience.",
    "issuer": "The token is of another issuer than the configured one.",
    "claim": "The token lacks one of the claims `iss`, `aud`, `exp` and `sub`, or one has a wrong form.",
}
"""Why a token is refused, for /metrics, and what its sender gets to read."""


class WrongTokenError(Exception):
    """The token is not believed. `why`: one of WRONG."""

    def __init__(self, why: str) -> None:
        super().__init__(WRONG[why])
        self.why = why


class Tokens:
    """Verifies tokens. `refused`: how many, by why."""

    def __init__(self, settings: TokenSettings, jwks: Jwks | None = None) -> None:
        self.settings = settings
        self.jwks = jwks or Jwks(settings)
        self.refused: Counter[str] = Counter(dict.fromkeys(WRONG, 0))
        self._known: OrderedDict[bytes, Key] = OrderedDict()
        self._cells: OrderedDict[str, Cell] = OrderedDict()
        self._version = 0

    def known(self, header: str) -> Key | None:
        """The key of a header that was verified before."""
        self._forget_if_changed()
        return self._known.get(_hash(header))

    def verified(self, header: str, token: str) -> Key:
        """The key that a token stands for, remembered from now on. Raises WrongTokenError, Refusal 403."""
        try:
            claims = self._claims(token)
            key = self._key(claims, self._end(claims["exp"]))
        except WrongTokenError as wrong:
            self.refused[wrong.why] += 1
            raise
        self._forget_if_changed()
        self._known[_hash(header)] = key
        while len(self._known) > self.settings.remembered_max:
            self._known.popitem(last=False)
        return key

    def _forget_if_changed(self) -> None:
        """What was verified with keys that are the provider's no more counts no more."""
        if self._version != self.jwks.version:
            self._known.clear()
            self._version = self.jwks.version

    def _claims(self, token: str) -> dict[str, Any]:
        settings = self.settings
        try:
            head = jwt.get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise WrongTokenError("form") from None
        # `crit`, `b64`, `zip` and `cty` ask for what is not done here; what a token says about its key is not read.
        if head.keys() - _HEAD or str(head.get("typ", "JWT")).lower() not in _TYPES:
            raise WrongTokenError("form")
        name, algorithm = head.get("kid"), head.get("alg")
        key = self.jwks.keys.get((name, algorithm)) if isinstance(name, str) and isinstance(algorithm, str) else None
        if key is None:
            self.jwks.want_again()
            raise WrongTokenError("key")
        try:
            found: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway_ms / 1000,
                options={"require": list(_REQUIRED)},
            )
        except InvalidSignatureError:
            raise WrongTokenError("signature") from None
        except ExpiredSignatureError:
            raise WrongTokenError("expired") from None
        except ImmatureSignatureError:
            raise WrongTokenError("early") from None
        except InvalidAudienceError:
            raise WrongTokenError("audience") from None
        except InvalidIssuerError:
            raise WrongTokenError("issuer") from None
        except MissingRequiredClaimError:
            raise WrongTokenError("claim") from None
        except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise WrongTokenError("claim") from None
        return found

    def _end(self, expires: Any) -> float:
        if isinstance(expires, bool) or not isinstance(expires, int | float):
            raise WrongTokenError("claim")
        if not expires <= time() + self.settings.lifetime_max_ms / 1000:  # false for nan too
            raise WrongTokenError("long")
        return expires + self.settings.leeway_ms / 1000

    def _key(self, claims: dict[str, Any], ends_at: float) -> Key:
        settings = self.settings
        operations = self._operations(claims)
        channels = _names(claims, settings.channels_claim)
        if channels == ():
            raise Refusal(
                "forbidden",
                f"The token has no claim `{settings.channels_claim}`, so it is for no channel. Have the provider add "
                'the channels as a list, or "*" for all.',
            )
        subject = claims["sub"]
        whose = subject if _SUBJECT.fullmatch(subject) else hashlib.sha256(subject.encode()).hexdigest()[:32]
        sources = _names(claims, settings.sources_claim)
        if sources is not None and not all(re.fullmatch(SOURCE_FORM, source) for source in sources):
            raise WrongTokenError("claim")
        locations = None if settings.locations_claim not in claims else _names(claims, settings.locations_claim)
        return Key(
            f"token:{whose}",
            operations if channels is None else operations - SCOPE_WIDE,
            channels,
            ends_at,
            self._quotas(whose, operations),
            sources=None if sources is None else frozenset(sources),
            locations=None if locations is None else frozenset(locations),
        )

    def _operations(self, claims: dict[str, Any]) -> frozenset[Operation]:
        settings = self.settings
        given = claims.get(settings.operations_claim)
        listed = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        prefix, known = settings.operations_prefix, set(Operation)
        found = frozenset(
            Operation(word.removeprefix(prefix))
            for word in listed
            if isinstance(word, str) and word.startswith(prefix) and word.removeprefix(prefix) in known
        )
        if not found:
            raise Refusal(
                "forbidden",
                f"The token's claim `{settings.operations_claim}` names no operation of this service, such as "
                f"`{prefix}read`. Have the provider add those that the client needs.",
            )
        return found

    def _quotas(self, whose: str, operations: frozenset[Operation]) -> dict[Operation, Quota]:
        if not self.settings.rate_per_s:
            return {}
        cell = self._cells.setdefault(whose, Cell())
        self._cells.move_to_end(whose)
        while len(self._cells) > self.settings.remembered_max:
            self._cells.popitem(last=False)
        quota = Quota({"key": Pace(self.settings.rate_per_s, cell)})
        return dict.fromkeys(operations, quota)


def _names(claims: dict[str, Any], claim: str) -> tuple[str, ...] | None:
    """Names; None for all. Raises WrongTokenError for another form."""
    given = claims.get(claim, [])
    if given == "*":
        return None
    names = given.split() if isinstance(given, str) else given
    if not isinstance(names, list) or len(names) > CHANNELS_MAX:
        raise WrongTokenError("claim")
    if not all(isinstance(name, str) and 1 <= len(name) <= 128 and name.isprintable() for name in names):
        raise WrongTokenError("claim")
    return None if "*" in names else tuple(dict.fromkeys(names))


def _hash(header: str) -> bytes:
    return hashlib.sha256(header.encode("utf-8", "surrogateescape")).digest()
