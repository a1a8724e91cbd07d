#!/usr/bin/env bash
# Builds what goes into a car, and packs it twice: a Debian package and a tarball.
#   bash hil/device/package.sh [FOLDER]     # default: target/package
# The build is native: run it on the board (or on a machine of its kind and of its Debian's age).
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-${CARGO_TARGET_DIR:-target}/package}
mkdir -p "$out"
out=$(cd "$out" && pwd)

cargo build --locked --profile device -p caril-cli --no-default-features
program=${CARGO_TARGET_DIR:-target}/device/caril
# The first line; what the build has follows.
version=$("$program" --version | sed -n '1s/.* //p')
machine=$(uname -m)
arch=$(dpkg --print-architecture 2>/dev/null || echo "$machine")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Files of a build are the same whoever builds them, but for the date of the last commit.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

# What both hold: program, policy pack, maps, suites (for `doctor` and a first drive without a plant).
common() {
    install -Dm755 "$program" "$1/bin/caril"
    install -Dm644 -t "$1/share/caril/weights/default" weights/default/{card.toml,weights.bpk,int8.json}
    install -Dm644 -t "$1/share/caril/maps" maps/*.xodr
    install -Dm644 -t "$1/share/caril/suites" suites/*.toml
    install -Dm644 -t "$1/share/caril/config" config/default.toml
    install -Dm644 -t "$1/share/doc/caril" LICENSE-MIT CHANGELOG.md docs/deploy.md docs/safety.md
}

# The tarball: unpack it anywhere and run bin/caril.
name=caril-$version-$machine
common "$work/$name"
install -Dm644 -t "$work/$name/share/caril/systemd" hil/device/caril.service hil/device/caril.conf
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$epoch" \
    -C "$work" -czf "$out/$name.tar.gz" "$name"

# The Debian package.
root=$work/deb
common "$root/usr"
install -Dm644 -t "$root/usr/lib/systemd/system" hil/device/caril.service
install -Dm644 -t "$root/etc/caril" hil/device/caril.conf
install -d "$root/DEBIAN"
# The C library must be at least the one whose newest symbol the program asks for.
glibc=$(objdump -T "$program" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1 | cut -d_ -f2)
cat > "$root/DEBIAN/control" <<EOF
Package: caril
Version: $version
Architecture: $arch
Maintainer: caril <caril@localhost>
Section: misc
Priority: optional
Depends: libc6 (>= $glibc), libgcc-s1, libstdc++6
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Description: embedded confidence controller for camera-driven cars
 Drives by a dual-head network, corrects its action where confidence is low,
 and keeps every command within safe limits.
EOF
echo /etc/caril/caril.conf > "$root/DEBIAN/conffiles"
install -m755 hil/device/postinst hil/device/prerm "$root/DEBIAN/"
find "$root" -exec touch -hd "@$epoch" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/caril_${version}_$arch.deb" > /dev/null

ls -l "$out"/caril_"${version}"_* "$out/$name.tar.gz"
