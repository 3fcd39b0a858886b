#!/bin/sh
# Runs the tests on the QGIS of Debian sid, in build/next: a Debian of its own, made by debootstrap, that leaves the
# machine's QGIS alone. Needs root. The first call fetches about 1 GB; later calls go straight to the tests.
# Arguments go to pytest: sh scripts/test_next.sh tests/provider -x
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
next="$root/build/next"
inside="$next/home/gwsa/project"

say() { printf '%s\n' "test-next: $*" >&2; }

[ "$(id -u)" = 0 ] || { say "a Debian in a folder can only be made and entered by root."; exit 1; }
command -v apt-get >/dev/null || { say "this needs a machine with apt."; exit 1; }

# The mirror is whichever one this machine already uses.
[ -n "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ] || apt-get update -q >&2
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | awk '$2 == "Debian" { print $1; exit }')
[ -n "$mirror" ] || { say "no Debian mirror is configured in apt."; exit 1; }

if [ ! -e "$next/.whole" ]; then
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        debootstrap debian-archive-keyring ca-certificates >&2
    say "making a Debian sid in build/next"
    rm -rf "$next" && mkdir -p "$next"
    debootstrap --variant=minbase --include=ca-certificates,make,git sid "$next" "$mirror" >&2
    # A mirror that stands still for a while serves lists that call themselves too old.
    echo 'Acquire::Check-Valid-Until "false";' > "$next/etc/apt/apt.conf.d/90gwsa"
    touch "$next/.whole"
fi

# How this machine reaches its archives (names, certificates, pip's settings) holds inside too.
cp -L /etc/resolv.conf /etc/hosts "$next/etc/"
for place in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/xdg/pip "$HOME/.config/pip"; do
    [ -e "$place" ] || continue
    mkdir -p "$next$(dirname "$place")" && cp -rL "$place" "$next$(dirname "$place")/"
done

# The project as it is here, and the real data for tests where it is; the virtual environment inside stays.
mkdir -p "$inside"
find "$inside" -mindepth 1 -maxdepth 1 ! -name .venv ! -name build -exec rm -rf {} +
(cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null --ignore-failed-read -cf - -T - 2>/dev/null) |
    tar -C "$inside" -xf -
mkdir -p "$inside/../shared"

# Mounts live in a namespace of this process alone and end with it.
export root next
exec unshare --mount sh -c '
    mount -t proc proc "$next/proc"
    mount --rbind /dev "$next/dev"
    [ ! -d "$root/../shared" ] || mount --bind -o ro "$root/../shared" "$next/home/gwsa/shared"
    exec chroot "$next" /usr/bin/env HOME=/root LC_ALL=C.UTF-8 QT_QPA_PLATFORM=offscreen DEBIAN_FRONTEND=noninteractive \
        sh -c "cd /home/gwsa/project && make --no-print-directory install && QT_QPA_PLATFORM=offscreen \
        QGIS_PLUGINPATH=\$PWD/build/plugins QGIS_CUSTOM_CONFIG_PATH=\$PWD/build/profile PYTHONDONTWRITEBYTECODE=1 \
        .venv/bin/pytest -m \"not long\" \"\$@\"" sh "$@"' sh "$@"
