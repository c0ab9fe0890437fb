#!/bin/sh
# Install daemonless on this machine: system packages, the Python package, a launcher.
#
#     ./install.sh --demo        install, then run a first container as an unprivileged user
#
# Options
#     --demo         end by running a container from the built-in starter image
#     --prefix DIR   where the package and its libraries go       (default /opt/daemonless)
#     --bin DIR      where the launcher goes                       (default /usr/local/bin)
#     --dev          add what the tests and the linters need
#     --user NAME    who runs the demo: default the user of sudo, else an account "daemonless"
#
# Needs root, and asks sudo for it. To uninstall: remove the prefix and the launcher.
set -eu

say() { printf '%s\n' "== $*" >&2; }
die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=/opt/daemonless
bin=/usr/local/bin
user=${SUDO_USER:-daemonless}
[ "$user" != root ] || user=daemonless
demo=no
extras=

if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "must be run as root (there is no sudo here)"
    exec sudo -- "$here/install.sh" "$@"
fi
while [ $# -gt 0 ]; do
    case $1 in
        --demo) demo=yes ;;
        --dev) extras='[dev]' ;;
        --prefix) prefix=${2:?}; shift ;;
        --bin) bin=${2:?}; shift ;;
        --user) user=${2:?}; shift ;;
        *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; [ "$1" = --help ] && exit 0; exit 2 ;;
    esac
    shift
done

say "system packages"
"$here/scripts/apt-install" uidmap slirp4netns busybox-static python3 python3-venv

python=/usr/bin/python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$python is older than 3.11; Debian 12 and later have what is needed"

say "Python package in $prefix"
# pip builds in the tree it is given: a copy keeps the checkout clean, and its owner's files its owner's.
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
cp -R "$here/daemonless" "$here/pyproject.toml" "$here/README.md" "$here/LICENSE" "$source/"
umask 022
"$python" -m venv "$prefix"
"$prefix/bin/pip" install --quiet --disable-pip-version-check --root-user-action=ignore --compile "$source$extras"
packages=$("$prefix/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$prefix/bin/python" -I -X no_debug_ranges -m daemonless.hotpath

say "launcher $bin/daemonless"
mkdir -p "$bin"
launcher=$(mktemp "$bin/.daemonless.XXXXXX")
# -I: neither PYTHON* variables nor the current directory decide what is imported.
# -S: `site` costs a third of the interpreter's start, and all it would add is the line below.
cat >"$launcher" <<LAUNCHER
#!$python -ISE
import _signal

# Until the command can answer it with a status, an interrupt just ends the process.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import gc
import sys

gc.disable()  # a command ends before collecting would pay; the supervisor enables it again
sys.path.append("$packages")
from daemonless import hotpath

hotpath.activate()
from daemonless.__main__ import main

main()
LAUNCHER
chmod 0755 "$launcher"
mv -f "$launcher" "$bin/daemonless"
"$bin/daemonless" version >/dev/null || die "the installed command does not start"

[ "$demo" = yes ] || exit 0

"$here/scripts/prepare-user" "$user"
say "a container, run by $user (uid $(id -u "$user"))"
# shellcheck disable=SC2016  # the variables are for the shell in the container
"$here/scripts/as-user" "$user" "$bin/daemonless" run --rm --hostname first-container daemonless.local/starter-busybox sh -c '
    read -r inside outside length </proc/self/uid_map
    echo "hostname   $(hostname)"
    echo "pid        $$"
    echo "user       uid $(id -u) in the container, uid $outside on the host"
'
