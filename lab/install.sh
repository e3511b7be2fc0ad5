#!/bin/sh
# Installs the servers that the lab starts itself, where they are missing and we may. Debian's packages start daemons of their
# own when they are installed; a policy for the moment of installing forbids that.
set -eu
missing=""
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/usr/lib/postgresql/15/bin/$1" ] || missing="$missing $2"
}
need nginx nginx-light
need initdb postgresql-15
need redis-server redis-server
need mariadbd mariadb-server
need memcached memcached
need promtool prometheus
need prometheus-node-exporter prometheus-node-exporter
need sar sysstat
need nft nftables
need tc iproute2
need setpriv util-linux
need zstd zstd
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "missing:$missing" >&2
    echo "install them:  sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
command -v apt-get >/dev/null || { echo "missing:$missing; this is no Debian, install them by hand" >&2; exit 1; }
echo "installing$missing" >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -qq -y --no-install-recommends $missing >/dev/null
