"""Settings of the tokens of an identity provider, beside API keys.

In: nothing. Out: TokenSettings. Always: units last; each bound inclusive; no algorithm can be named whose verifying key
could also sign.
"""

from dataclasses import dataclass

from holdfast.settings.definition import public, section
from holdfast.settings.units import DAY_MS, HOUR_MS, KIB, MINUTE_MS, SECOND_MS

_ALGORITHM = "(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA)"
_HOST = r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_LOOPBACK = r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?"
_CLAIM = r"[\x21-\x7e]{1,128}"
_CLAIM_FORM = "1 to 128 visible ASCII characters"


@section("tokens", "Tokens of an identity provider (JWT) beside API keys ([http.md](http.md#tokens)).")
@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Which tokens are believed, and what their claims allow."""

    issuer: str = public(
        "",
        "Who issues tokens: what their claim `iss` must be, byte by byte. Needs `audience` and `keys`, and the package "
        "`holdfast-inventory[tokens]`.",
        pattern=r"[\x21-\x7e]{1,512}",
        form="1 to 512 visible ASCII characters",
        unset="no tokens are taken",
    )
    audience: str = public(
        "",
        "What `aud` must have: the name under which the provider knows this service.",
        pattern=r"[\x21-\x7e]{1,512}",
        form="1 to 512 visible ASCII characters",
        unset="none",
    )
    keys: str = public(
        "",
        "The provider's public keys (a JWK set): an `https` address, `http` on loopback, or a file that others may not "
        "change.",
        pattern=rf"https://{_HOST}/[!-~]*|http://{_LOOPBACK}/[!-~]*|/[^\x00-\x20\x7f-\xa0]+",
        form="an https address, or the absolute path of a file",
        unset="none",
    )
    algorithms: str = public(
        "RS256,PS256,ES256,EdDSA",
        "Algorithms that may sign. There is none without a public key.",
        pattern=rf"{_ALGORITHM}(,{_ALGORITHM}){{0,9}}",
        form="algorithms such as RS256,ES256",
    )
    leeway_ms: int = public(
        30 * SECOND_MS,
        "How far the provider's clock may differ from this machine's.",
        lowest=0,
        highest=5 * MINUTE_MS,
    )
    lifetime_max_ms: int = public(
        DAY_MS,
        "How long a token may be valid from now on. One that is valid longer is refused: it cannot be revoked.",
        lowest=SECOND_MS,
        highest=31 * DAY_MS,
    )
    refresh_ms: int = public(
        5 * MINUTE_MS,
        "How often the keys are read again, beside the requests. A key that is not known has them read sooner.",
        lowest=SECOND_MS,
        highest=DAY_MS,
    )
    operations_claim: str = public(
        "scope",
        "The claim that has the operations: a text with spaces, or a list.",
        pattern=_CLAIM,
        form=_CLAIM_FORM,
    )
    operations_prefix: str = public(
        "",
        "What stands before the name of an operation in that claim, such as `holdfast:`. All else in it is ignored.",
        pattern=r"[\x21-\x7e]{1,64}",
        form="1 to 64 visible ASCII characters",
        unset="nothing",
    )
    channels_claim: str = public(
        "channels",
        "The claim that has the channels: a list, or `*` for all. A token without it has none.",
        pattern=_CLAIM,
        form=_CLAIM_FORM,
    )
    sources_claim: str = public(
        "sources",
        "The claim that has the sources in whose name facts may be sent: a list, or `*`. A token without it has none.",
        pattern=_CLAIM,
        form=_CLAIM_FORM,
    )
    locations_claim: str = public(
        "locations",
        "The claim that bounds the locations which its facts may be about: a list, or `*`. A token without it: all.",
        pattern=_CLAIM,
        form=_CLAIM_FORM,
    )
    rate_per_s: int = public(
        0,
        "Most items a second of one subject with one worker, as the rate of a key. Beyond it: 429.",
        lowest=0,
        highest=1_000_000,
        unit="items",
        unset="no limit",
    )
    remembered_max: int = 4_096  # verified tokens; those of more subjects are verified again
    fetch_timeout_ms: int = 5 * SECOND_MS
    fetch_bytes_max: int = 256 * KIB
    keys_max: int = 64
    again_ms: int = 10 * SECOND_MS  # keys are not read again sooner, however many unknown ones are named
    wrong_wait_ms: int = 500  # what a wrong token waits for its answer
    oldest_ms: int = HOUR_MS  # keys that could not be renewed for so long raise the alarm
