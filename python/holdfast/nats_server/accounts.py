"""The accounts of a nats-server: who sees which subjects.

Role: keep LOG, the lease, snapshots, journals and the processes' own messages among gateways. In: a scope, and the
public keys of users. Out: the part of the server's configuration that says who may do what.
Always: gateways alone are in the account that has JetStream; what crosses to another account is a service of exactly
the subjects named here, so the server replaces every reply subject of a message that crosses by one that it makes;
no user gets another one's answers. deploy/nats/users.conf says the same for servers that holdfast does not start.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

GATEWAYS = "HOLDFAST"
"""The gateways' account; the name of its directory in a store."""
_CONNECTIONS_MAX = {"source": 64, "operator": 256, "reader": 256}
"""Of an account: a source that opens more is refused, and no other one."""


class Role(StrEnum):
    """What a user is for; its account follows from it."""

    SOURCE = "source"
    OPERATOR = "operator"
    READER = "reader"


_PEOPLE = {Role.OPERATOR: "OPERATORS", Role.READER: "READERS"}
_SOURCE = re.compile(r"(?:erp|woo)\.[A-Za-z0-9_-]{1,64}")
_PERSON = re.compile(r"(operator|reader)(?:-[A-Za-z0-9_-]{1,48})?")


@dataclass(frozen=True, slots=True)
class User:
    """A user outside the gateways' account: `erp.acme`, `woo.shop`, `operator`, `operator-anna`, `reader`."""

    name: str
    public_key: str

    @property
    def role(self) -> Role:
        """As the name says it."""
        return role_of(self.name)

    @property
    def account(self) -> str:
        """People share one by role; each source has another, `SOURCE_erp_acme`."""
        return _PEOPLE.get(self.role) or f"SOURCE_{self.name.replace('.', '_')}"

    @property
    def inbox(self) -> str:
        """The prefix of the subjects on which it gets answers."""
        return inbox_of(self.name)


def role_of(name: str) -> Role:
    """The role of a user of that name. Raises ValueError when it is none."""
    if _SOURCE.fullmatch(name):
        return Role.SOURCE
    if found := _PERSON.fullmatch(name):
        return Role(found[1])
    raise ValueError(
        f"{name!r} is no user: a source is named like erp.acme or woo.shop, a person operator, reader, or like "
        "operator-anna; letters, digits, `-` and `_`"
    )


def inbox_of(name: str) -> str:
    """The prefix of a user's answers: one token, for a wildcard of one user never covers another's."""
    return f"_INBOX_{name.replace('.', '-')}"


@dataclass(frozen=True, slots=True)
class _Crossing:
    """A subject that other accounts may use. `to`: what it is called there, where that differs."""

    subject: str
    accounts: tuple[str, ...]
    to: str = ""
    kind: str = "service"
    answers_many: bool = False


def _crossings(scope: str, sources: list[User]) -> list[_Crossing]:
    """All that crosses. Nothing here can append to LOG, purge it, or have a consumer deliver to a subject."""
    operators, people = (_PEOPLE[Role.OPERATOR],), tuple(_PEOPLE.values())
    dead = f"HF_{scope}_DLQ"
    return [
        *(_Crossing(f"hf.{scope}.in.{source.name}", (source.account,)) for source in sources),
        _Crossing(f"hf.{scope}.in.policy", operators),
        _Crossing(f"$JS.API.STREAM.MSG.DELETE.{dead}", operators),
        _Crossing(f"$JS.API.STREAM.PURGE.{dead}", operators),
        _Crossing("$JS.API.INFO", people),
        _Crossing("$JS.API.STREAM.NAMES", people),
        _Crossing("$JS.API.STREAM.LIST", people),
        _Crossing("$JS.API.STREAM.INFO.*", people),
        _Crossing("$JS.API.STREAM.MSG.GET.*", people),
        # A consumer may deliver to any subject of the account, so these never reach JetStream itself:
        # `view_service.py` answers them.
        _Crossing(f"hf.{scope}.view.create.>", people, to="$JS.API.CONSUMER.CREATE.>"),
        _Crossing(f"hf.{scope}.view.delete.*.*", people, to="$JS.API.CONSUMER.DELETE.*.*"),
        # The messages of a consumer whose name one knows; the names of gateways' own consumers are random.
        _Crossing("$JS.API.CONSUMER.MSG.NEXT.*.*", people, answers_many=True),
        _Crossing(f"hf.{scope}.pulse", people, kind="stream"),
    ]


def accounts_config(scope: str, gateway: str, system: str, users: Iterable[User]) -> str:
    """The accounts as nats-server reads them. `gateway`, `system`: public keys."""
    all_users = list(users)
    crossings = _crossings(scope, [user for user in all_users if user.role is Role.SOURCE])
    lines = ["accounts {", f"  {GATEWAYS} {{", "    jetstream: enabled", f'    users: [ {{ nkey: "{gateway}" }} ]']
    lines += ["    exports: [", *(f"      {_export(one)}" for one in crossings), "    ]", "  }"]
    for account in dict.fromkeys(name for one in crossings for name in one.accounts):
        own = [one for one in crossings if account in one.accounts]
        members = [user for user in all_users if user.account == account]
        role = next((role for role, name in _PEOPLE.items() if name == account), Role.SOURCE)
        lines += [f'  "{account}" {{', f"    limits {{ max_connections: {_CONNECTIONS_MAX[role]} }}"]
        lines += ["    users: [", *(f"      {_user(scope, user, own)}" for user in members), "    ]"]
        lines += ["    imports: [", *(f"      {_import(one)}" for one in own), "    ]", "  }"]
    lines += [f'  SYS {{ users: [ {{ nkey: "{system}" }} ] }}', "}", "system_account: SYS", ""]
    return "\n".join(lines)


def _export(one: _Crossing) -> str:
    many = ", response_type: stream" if one.answers_many else ""
    accounts = ", ".join(f'"{account}"' for account in one.accounts)
    return f'{{ {one.kind}: "{one.subject}"{many}, accounts: [ {accounts} ] }}'


def _import(one: _Crossing) -> str:
    to = f', to: "{one.to}"' if one.to else ""
    return f'{{ {one.kind}: {{ account: {GATEWAYS}, subject: "{one.subject}" }}{to} }}'


def _user(scope: str, user: User, crossings: list[_Crossing]) -> str:
    receives = [f"{user.inbox}.>", *(one.subject for one in crossings if one.kind == "stream")]
    if user.role is Role.SOURCE:
        says = [f"hf.{scope}.in.{user.name}"]
    else:
        # What is viewed is not to be acknowledged, but the nats tool does; in this account nobody listens to it.
        says = [one.to or one.subject for one in crossings if one.kind == "service"] + ["$JS.ACK.>"]
    return f'{{ nkey: "{user.public_key}", permissions: {{ publish: {_list(says)}, subscribe: {_list(receives)} }} }}'


def _list(subjects: list[str]) -> str:
    quoted = ", ".join(f'"{subject}"' for subject in subjects)
    return f"[ {quoted} ]"
