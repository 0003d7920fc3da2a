#!/bin/sh
# Sees to it that the two databases of `make bench-peers` are on this machine.
# In: nothing. Out: nothing when they are; else they are installed from the distribution, or it says how; exit status 1 then.
# Always: the servers that their packages would start by themselves are not started.
set -eu
lacking=
command -v redis-server >/dev/null 2>&1 || lacking=redis-server
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || lacking="$lacking postgresql"
[ -n "$lacking" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing: $lacking. Debian, Ubuntu: apt-get install $lacking; then stop what that started, it is not used." >&2
    exit 1
fi
echo "==> Installing $lacking from the distribution"
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086 # two names
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $lacking >/dev/null
