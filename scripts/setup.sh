#!/bin/sh
# Prepares a machine to run `make demo` and `make test`: QGIS 3.40 or newer and a virtual
# environment on QGIS's own Python. Safe to call again: what is there is left alone.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
venv="$root/.venv"
python=${GWSA_PYTHON:-/usr/bin/python3}

say() { printf '%s\n' "setup: $*" >&2; }

qgis_version() {
    QT_QPA_PLATFORM=offscreen "$python" -c 'from qgis.core import Qgis; print(Qgis.QGIS_VERSION_INT)' 2>/dev/null || echo 0
}

install_qgis() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "QGIS 3.40 or newer was not found by $python. Install it (on Debian 12 from its backports suite) and call make again."
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    . /etc/os-release
    apt-get update -q
    apt-get install -q -y --no-install-recommends python3-minimal ca-certificates debian-archive-keyring >&2
    release=""
    if [ "${VERSION_ID:-}" = 12 ]; then
        release="-t bookworm-backports"
        if ! apt-cache policy | grep -q 'a=\(stable\|bookworm\)-backports,\|n=bookworm-backports'; then
            # The mirror is whichever one this machine already uses.
            mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(LABEL)' 'Created-By: Packages' |
                awk '$2 == "bookworm" && $3 == "Debian" { print $1; exit }')
            [ -n "$mirror" ] || { say "no Debian mirror for bookworm is configured in apt."; exit 1; }
            printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm-backports main\n' "$mirror" \
                > /etc/apt/sources.list.d/gwsa-qgis-backports.list
            apt-get update -q
        fi
    fi
    say "installing QGIS (about two minutes)"
    # shellcheck disable=SC2086
    apt-get install -q -y --no-install-recommends $release qgis python3-qgis qgis-providers >&2
    version=$(qgis_version)
    [ "$version" -ge 34000 ] || { say "QGIS 3.40 or newer is needed, apt installed $version."; exit 1; }
}

# Small Debian packages beside QGIS; only the absent ones are installed.
install_system_packages() {
    command -v dpkg-query >/dev/null || return 0
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || { say "please install:$missing"; exit 1; }
    say "installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    [ -n "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ] || apt-get update -q >&2
    # shellcheck disable=SC2086
    apt-get install -q -y --no-install-recommends $missing >&2
}

make_environment() {
    stamp="$venv/.requirements-$(cat "$root/pyproject.toml" "$0" | cksum | cut -d' ' -f1)"
    [ -e "$stamp" ] && return 0
    say "making .venv"
    [ -x "$venv/bin/python" ] || "$python" -m venv --system-site-packages "$venv"
    # numpy and scipy stay QGIS's own: a newer numpy in front breaks GDAL's bindings.
    "$venv/bin/python" -c '
import importlib.metadata as m
for name in ("numpy", "scipy", "matplotlib"):
    print(f"{name}=={m.version(name)}")' > "$venv/constraints.txt"
    "$venv/bin/python" "$root/scripts/requirements.py" "$root/pyproject.toml" run dev > "$venv/wanted.txt"
    "$venv/bin/python" -m pip install -q --constraint "$venv/constraints.txt" --requirement "$venv/wanted.txt" >&2
    # There may be no numba for this numpy yet: it is left out then, and trends take twice the time.
    "$venv/bin/python" "$root/scripts/requirements.py" "$root/pyproject.toml" fast > "$venv/wanted_fast.txt"
    "$venv/bin/python" -m pip install -q --constraint "$venv/constraints.txt" --requirement "$venv/wanted_fast.txt" >&2 ||
        say "numba cannot be installed here; everything works without it"
    touch "$stamp"
}

[ "$(qgis_version)" -ge 34000 ] || install_qgis
install_system_packages python3-venv python3-gdal python3-numpy python3-scipy python3-matplotlib gdal-bin libopenblas0-pthread
# `setup.sh window`: what a window without a screen needs as well.
[ "${1:-}" != window ] || install_system_packages xvfb xauth fonts-open-sans
make_environment
