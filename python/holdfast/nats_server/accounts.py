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
_CONNECTIONS_MAX = 256


class Role(StrEnum):
    """What a user is for; its account follows from it."""

    SOURCE = "source"
    OPERATOR = "operator"
    READER = "reader"


_ACCOUNTS = {Role.SOURCE: "SOURCES", Role.OPERATOR: "OPERATORS", Role.READER: "READERS"}
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
    """A subject that another account may use. `to`: what it is called there, where that differs."""

    subject: str
    roles: tuple[Role, ...]
    to: str = ""
    kind: str = "service"
    answers_many: bool = False


def _crossings(scope: str) -> list[_Crossing]:
    """All that crosses. Nothing here can append to LOG, purge it, or have a consumer deliver to a subject."""
    source, people = (Role.SOURCE,), (Role.OPERATOR, Role.READER)
    dead = f"HF_{scope}_DLQ"
    return [
        _Crossing(f"hf.{scope}.in.erp.*", source),
        _Crossing(f"hf.{scope}.in.woo.*", source),
        _Crossing(f"hf.{scope}.in.policy", (Role.OPERATOR,)),
        _Crossing(f"$JS.API.STREAM.MSG.DELETE.{dead}", (Role.OPERATOR,)),
        _Crossing(f"$JS.API.STREAM.PURGE.{dead}", (Role.OPERATOR,)),
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
    crossings = _crossings(scope)
    by_role: dict[Role, list[User]] = {role: [] for role in Role}
    for user in users:
        by_role[user.role].append(user)
    lines = ["accounts {", f"  {GATEWAYS} {{", "    jetstream: enabled", f'    users: [ {{ nkey: "{gateway}" }} ]']
    lines += ["    exports: [", *(f"      {_export(one)}" for one in crossings), "    ]", "  }"]
    for role, account in _ACCOUNTS.items():
        own = [one for one in crossings if role in one.roles]
        lines += [f"  {account} {{", f"    limits {{ max_connections: {_CONNECTIONS_MAX} }}"]
        lines += ["    users: [", *(f"      {_user(scope, user, own)}" for user in by_role[role]), "    ]"]
        lines += ["    imports: [", *(f"      {_import(one)}" for one in own), "    ]", "  }"]
    lines += [f'  SYS {{ users: [ {{ nkey: "{system}" }} ] }}', "}", "system_account: SYS", ""]
    return "\n".join(lines)


def _export(one: _Crossing) -> str:
    many = ", response_type: stream" if one.answers_many else ""
    accounts = ", ".join(_ACCOUNTS[role] for role in one.roles)
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
