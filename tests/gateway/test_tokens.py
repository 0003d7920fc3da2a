"""Tokens of an identity provider: which are believed, what they allow, and a provider that is slow, down, or lies."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import time
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.gate import KeyGate
from holdfast.gateway.key_use import KeyUse, last_used
from holdfast.gateway.keyring import Keyring, KeyStore, Operation
from holdfast.gateway.tokens import WRONG, Tokens, WrongTokenError
from tests.support.gateway import ask, listening
from tests.support.provider import (
    AUDIENCE,
    ISSUER,
    claims,
    gateway,
    key_file,
    part,
    private_key,
    public_jwk,
    put,
    settings,
    token,
    unsigned,
    until,
)
from tests.support.served import serving

FACTS = b'{"source":"acme","facts":[{"kind":"x"}]}'


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    """With an RSA key that is for RS256 and PS256, an EC key and an Ed25519 key."""
    keys = [public_jwk("k1"), public_jwk("e1", "EC"), public_jwk("o1", "OKP"), public_jwk("only", alg="PS256")]
    made = Tokens(settings(key_file(tmp_path_factory.mktemp("tokens"), *keys)))
    asyncio.run(made.jwks.open())
    return made


@pytest.mark.parametrize(
    ("name", "kind", "algorithm"),
    [("k1", "RSA", "RS256"), ("k1", "RSA", "PS256"), ("e1", "EC", "ES256"), ("o1", "OKP", "EdDSA")],
)
def test_a_right_token_of_each_kind_of_key_is_believed(tokens: Tokens, name: str, kind: str, algorithm: str) -> None:
    given = token(name, kind, algorithm=algorithm)
    key = tokens.verified(f"Bearer {given}", given)
    assert (key.id, key.channels) == ("token:shop-1", ("web",))
    assert key.operations == {Operation.READ, Operation.RESERVE}
    assert key.sources == frozenset()
    assert tokens.known(f"Bearer {given}") is key


def under_public_key() -> str:
    """HMAC with the public key as the secret: what a verifier accepts that takes the algorithm from the token."""
    import hashlib
    import hmac

    pem = private_key("k1").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': 'k1', 'typ': 'JWT'})}.{part(claims())}"
    return f"{signed}.{part(hmac.digest(pem, signed.encode(), hashlib.sha256))}"


def own_key_inside() -> str:
    """Signed by the attacker's key, which the header brings along."""
    headers = {"kid": "k1", "jwk": public_jwk("attacker")}
    return jwt.encode(claims(), private_key("attacker"), algorithm="RS256", headers=headers)


def changed() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{part(claims(scope='read reserve order policies', channels='*'))}.{signature}"


def within() -> str:
    """A token in a token."""
    headers = {"kid": "k1", "cty": "JWT"}
    return jwt.encode(claims(nested=token()), private_key("k1"), algorithm="RS256", headers=headers)


NOW = int(time())
WRONGS: dict[str, tuple[Callable[[], str], str]] = {
    "algorithm none": (lambda: unsigned({"alg": "none", "kid": "k1", "typ": "JWT"}), "key"),
    "algorithm None": (lambda: unsigned({"alg": "nOnE", "kid": "k1"}), "key"),
    "no algorithm": (lambda: unsigned({"kid": "k1"}), "key"),
    "HMAC under the public key": (under_public_key, "key"),
    "another algorithm than the key's": (lambda: token("only", algorithm="RS256"), "key"),
    "an algorithm that is not allowed": (lambda: token(algorithm="RS512"), "key"),
    "an EC algorithm with an RSA key": (lambda: unsigned({"alg": "ES256", "kid": "k1"}), "key"),
    "a key that brings itself": (own_key_inside, "signature"),
    "another key": (lambda: token("other", head={"kid": "k1"}), "signature"),
    "an unknown key": (lambda: token("unknown"), "key"),
    "no key id": (lambda: token(head={"kid": ""}), "key"),
    "a key id that is a number": (lambda: unsigned({"alg": "RS256", "kid": 7}), "form"),
    "a key id that is a path": (lambda: unsigned({"alg": "RS256", "kid": "../../dev/null"}), "key"),
    "changed claims": (changed, "signature"),
    "no signature": (lambda: token().rpartition(".")[0] + ".", "signature"),
    "expired": (lambda: token(exp=NOW - 3_600), "expired"),
    "not yet valid": (lambda: token(nbf=NOW + 3_600), "early"),
    "issued in the future": (lambda: token(iat=NOW + 3_600), "early"),
    "valid for years": (lambda: token(exp=NOW + 3_600 * 24 * 365), "long"),
    "without an end": (lambda: token(exp=None), "claim"),
    "an end that is no number": (lambda: token(exp="soon"), "claim"),
    "an end that is infinite": (lambda: token(exp=float("inf")), "claim"),
    "an end that is huge": (lambda: token(exp=10**400), "long"),
    "another audience": (lambda: token(aud="billing"), "audience"),
    "no audience": (lambda: token(aud=None), "claim"),
    "an audience that is an object": (lambda: token(aud={"a": 1}), "audience"),
    "another issuer": (lambda: token(iss=ISSUER + "/"), "issuer"),
    "no issuer": (lambda: token(iss=None), "claim"),
    "no subject": (lambda: token(sub=None), "claim"),
    "a subject that is a list": (lambda: token(sub=["x"]), "claim"),
    "channels that are a number": (lambda: token(channels=7), "claim"),
    "channels without a form": (lambda: token(channels=["a\nb"]), "claim"),
    "sources without a form": (lambda: token(sources=["a.b"]), "claim"),
    "more channels than any": (lambda: token(channels=[str(n) for n in range(2_000)]), "claim"),
    "critical extensions": (lambda: token(head={"crit": ["x"], "x": 1}), "form"),
    "an unencoded payload": (lambda: token(head={"b64": False, "crit": ["b64"]}), "form"),
    "a token in a token": (within, "form"),
    "another type": (lambda: token(head={"typ": "dpop+jwt"}), "form"),
    "an encrypted token": (lambda: "a.b.c.d.e", "form"),
    "two parts": (lambda: "a.b", "form"),
    "nothing": (lambda: "..", "form"),
    "claims that are a list": (
        lambda: jwt.PyJWS().encode(b"[]", private_key("k1"), algorithm="RS256", headers={"kid": "k1"}),
        "claim",
    ),
    "claims deep in each other": (
        lambda: jwt.PyJWS().encode(b"[" * 100_000, private_key("k1"), algorithm="RS256", headers={"kid": "k1"}),
        "claim",
    ),
    "a header deep in itself": (lambda: f"{part(b'[' * 100_000)}.{part(claims())}.", "form"),
    "huge": (lambda: "a" * 1_000_000 + "." + "b" * 1_000_000 + ".c", "form"),
    "no text": (lambda: "\udcff.\udcff.\udcff", "form"),
}


@pytest.mark.parametrize("name", WRONGS)
def test_each_wrong_token_is_refused_for_what_is_wrong(tokens: Tokens, name: str) -> None:
    make, why = WRONGS[name]
    given = make()
    before = tokens.refused[why]
    with pytest.raises(WrongTokenError) as refused:
        tokens.verified(f"Bearer {given}", given)
    assert refused.value.why == why
    assert str(refused.value) == WRONG[why], "a fixed text: nothing of the token is repeated"
    assert tokens.refused[why] == before + 1
    assert tokens.known(f"Bearer {given}") is None


@given(st.one_of(st.text(max_size=200), st.lists(st.binary(max_size=60), min_size=3, max_size=3)))
def test_whatever_comes_is_refused_as_a_wrong_token(given: str | list[bytes]) -> None:
    made = given if isinstance(given, str) else ".".join(map(part, given))
    with pytest.raises(WrongTokenError):
        Tokens(settings("/nowhere")).verified(made, made)


@given(at=st.integers(0, 2_000), byte=st.sampled_from("AZaz09-_"))
def test_no_changed_character_leaves_a_token_right(at: int, byte: str) -> None:
    right = token(iat=NOW)
    at %= len(right)
    if right[at] in {byte, "."} or at in {len(right) - 1, *(n - 1 for n, c in enumerate(right) if c == ".")}:
        return  # the last character of a part has bits that say nothing
    made = Tokens(settings("/nowhere"))
    made.jwks.keys = {("k1", "RS256"): jwt.PyJWK(public_jwk("k1"), "RS256")}
    made.verified(right, right)
    wrong = right[:at] + byte + right[at + 1 :]
    with pytest.raises(WrongTokenError):
        made.verified(wrong, wrong)


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"scope": None}, "claim `scope` names no operation"),
        ({"scope": "openid profile"}, "claim `scope` names no operation"),
        ({"scope": 7}, "claim `scope` names no operation"),
        ({"channels": None}, "no claim `channels`"),
        ({"channels": []}, "no claim `channels`"),
        ({"scope": "read"}, "needs a key with the operation `reserve`"),
    ],
)
async def test_a_token_without_rights_is_refused_with_what_is_missing(
    tmp_path: Path, others: dict[str, Any], says: str
) -> None:
    async with gateway(tmp_path, settings(key_file(tmp_path, public_jwk("k1")))) as (_, port, _tokens):
        answer = await put(port, token(**others))
    assert (answer.status, answer.problem) == (403, "forbidden")
    assert says in answer.json["detail"]


async def test_a_token_acts_as_its_subject_on_its_channels_and_sources(tmp_path: Path) -> None:
    known = settings(key_file(tmp_path, public_jwk("k1")), operations_prefix="hf:")
    async with gateway(tmp_path, known) as (node, port, _):
        assert (await put(port, token(scope="read hf:reserve"))).status == 201
        assert (node.submitted[0].by, node.submitted[0].channels) == ("token:shop-1", ("web",))
        strange = token(sub="Zoë <x>", scope=["hf:reserve", "hf:facts"], channels="*")
        assert (await put(port, strange)).status == 201
        assert node.submitted[1].channels is None
        assert str(node.submitted[1].by).startswith("token:")
        assert str(node.submitted[1].by).isascii()
        facts = await ask(port, "POST", "/v1/facts", FACTS, authorization=f"Bearer {strange}")
        assert (facts.status, facts.json["source"]) == (403, "acme")
        erp = token(scope="hf:facts", channels="*", sources=["acme"])
        assert (await ask(port, "POST", "/v1/facts", FACTS, authorization=f"Bearer {erp}")).status == 202
        narrow = token(scope="hf:facts", sources=["acme"])
        assert (await ask(port, "POST", "/v1/facts", FACTS, authorization=f"Bearer {narrow}")).status == 403


async def test_a_wrong_token_is_challenged_and_a_key_goes_on_beside_it(tmp_path: Path) -> None:
    _, key = KeyStore(tmp_path).add("shop", [Operation.RESERVE])
    async with gateway(tmp_path, settings(key_file(tmp_path, public_jwk("k1")))) as (_, port, _tokens):
        answer = await put(port, token(aud="billing"))
        assert (answer.status, answer.problem) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="holdfast", error="invalid_token"'
        assert "`aud`" in answer.json["detail"]
        assert (await put(port, key)).status == 201
        assert (await put(port, token())).status == 201


async def test_wrong_tokens_wait_and_right_ones_do_not(tmp_path: Path) -> None:
    known = settings(key_file(tmp_path, public_jwk("k1")), wrong_wait_ms=3_600_000)
    async with gateway(tmp_path, known) as (_, port, tokens):
        guesses = [asyncio.create_task(put(port, token(exp=NOW - 3_600 - n))) for n in range(20)]
        await until(lambda: tokens.refused["expired"] == 20)
        assert (await put(port, token())).status == 201
        assert not any(guess.done() for guess in guesses)
        for guess in guesses:
            guess.cancel()
        await asyncio.gather(*guesses, return_exceptions=True)


async def test_a_token_ends_when_it_ends(tmp_path: Path) -> None:
    known = settings(key_file(tmp_path, public_jwk("k1")), leeway_ms=0)
    async with gateway(tmp_path, known) as (_, port, tokens):
        short = token(exp=int(time()) + 4_000)
        assert (await put(port, short)).status == 201
        remembered = tokens.known(f"Bearer {short}")
        assert remembered is not None
        remembered.ends_at = time() - 1
        assert (await put(port, short)).status == 401


async def test_the_rate_is_a_subjects_whatever_token_it_sends(tmp_path: Path) -> None:
    known = settings(key_file(tmp_path, public_jwk("k1")), rate_per_s=2)
    async with gateway(tmp_path, known) as (_, port, tokens):
        answers = [await put(port, token(jti=str(n), exp=int(time()) + 600 + n)) for n in range(30)]
        assert {answer.status for answer in answers} == {201, 429}
        assert answers[0].headers["ratelimit-policy"] == '"key";q=2;w=1'
        assert (await put(port, token(sub="another"))).status == 201
        assert len(tokens._known) == 31


def test_remembered_tokens_are_bounded(tokens: Tokens) -> None:
    few = Tokens(replace(tokens.settings, remembered_max=5), tokens.jwks)
    for number in range(12):
        given = token("o1", "OKP", algorithm="EdDSA", jti=str(number))
        few.verified(given, given)
    assert len(few._known) == 5


async def test_when_a_key_was_used_last_is_kept(tmp_path: Path) -> None:
    stored, key = KeyStore(tmp_path).add("shop", [Operation.RESERVE])
    KeyStore(tmp_path).add("idle", [Operation.RESERVE])
    gate = KeyGate(Keyring(tmp_path), use=KeyUse(tmp_path, "w1"))
    await gate.open()
    began = int(time())
    async with listening(gate=gate) as (_, port):
        assert (await put(port, key)).status == 201
    used = last_used(tmp_path)
    assert list(used) == [stored.id]
    assert began <= used[stored.id].timestamp() <= time()
    again = KeyUse(tmp_path, "w2")
    again.write()
    assert last_used(tmp_path) == used
    (tmp_path / "keys.used" / "w3.json").write_text("nonsense")
    assert last_used(tmp_path) == used


def test_serve_takes_tokens_and_writes_the_subject_into_the_log(tmp_path: Path) -> None:
    """The whole way: settings, worker, keys of a file, a fact in LOG, the audit."""
    keys = key_file(tmp_path, public_jwk("k1"))
    chosen = {"issuer": ISSUER, "audience": AUDIENCE, "keys": keys}
    options = [word for name, value in chosen.items() for word in ("--set", f"tokens.{name}={value}")]
    with serving(tmp_path, *options, auth="on") as served:
        everything = token(scope="policies audit read", channels="*")

        async def played() -> None:
            policies = orjson.dumps({"facts": [{"kind": "channel", "channel": "web", "locations": "*"}]})
            async with asyncio.timeout(60):
                while True:  # 503 while nobody leads yet
                    made = await ask(
                        served.port, "POST", "/v1/policies", policies, authorization=f"Bearer {everything}"
                    )
                    if made.status != 503:
                        break
                    await asyncio.sleep(0.1)
            assert made.status == 202, made.body
            assert (await put(served.port, token(aud="billing"))).status == 401
            async with asyncio.timeout(60):
                while True:  # the first question reads all that is kept
                    audit = await ask(served.port, "GET", "/v1/audit", authorization=f"Bearer {everything}")
                    if audit.status == 200:
                        break
                    await asyncio.sleep(0.1)
            assert "token:shop-1" in {item["by"] for item in audit.json["items"]}

        asyncio.run(played())
