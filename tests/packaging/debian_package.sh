#!/usr/bin/env bash
# Goal: the Debian packages install, serve by the configuration that comes with them, and leave nothing behind.
# Method: dpkg works on a root of its own below FOLDER, in which nothing else is installed; the files there are listed
# before and after. Called by `./dev package`, which has built them:
#   debian_package.sh FOLDER
set -euo pipefail

folder=$1
work=$folder/check
root=$work/root

fail() {
  printf 'packages: %s\n' "$*" >&2
  exit 1
}

rm -rf "$work"
mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root/var/lib/systemd" "$root/var/log"
touch "$root"/var/lib/dpkg/{status,available}
packages=("$folder"/*.deb)
# What they depend on is this machine's; their scripts ask for DPKG_ROOT.
on_root() {
  DPKG_ROOT=$root dpkg --root="$root" --log="$work/dpkg.log" --force-depends --force-not-root \
    --force-script-chrootless "$@" >>"$work/dpkg.txt" 2>&1 || fail "dpkg $1 failed, see $work/dpkg.txt"
}
files() { (cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | sort); }

files >"$work/before.txt"
names=()
for package in "${packages[@]}"; do
  if [[ $package == *-dbgsym_* ]]; then continue; fi
  names+=("$(dpkg-deb --field "$package" Package)")
  on_root --install "$package"
done
((${#names[@]} == 3)) || fail "expected three packages, there are: ${names[*]}"
files >"$work/installed.txt"

program=$root/usr/bin/ktlsim
"$program" --version >"$work/version.txt" || fail 'the installed command does not run'
for page in "$root"/usr/share/man/man*/*.gz; do
  gzip -dc "$page" | MANWIDTH=80 man --warnings -l - >"$work/page.txt" 2>"$work/page.errors" || fail "man: $page"
  if [[ -s $work/page.errors ]]; then fail "man warns of $page: $(head -n 3 "$work/page.errors")"; fi
done

# The program that the unit names, and its configuration, on a port that the system chooses.
unit=$root/lib/systemd/system/ktlsim.service
grep -q '^ExecStart=/usr/bin/ktlsim serve --config /etc/ktlsim/serve.toml$' "$unit" || fail "see ExecStart in $unit"
if command -v systemd-analyze >/dev/null; then
  sed "s|=/usr/bin/ktlsim|=$program|; s|^Documentation=.*||" "$unit" >"$work/ktlsim.service"
  systemd-analyze verify "$work/ktlsim.service" >"$work/verify.txt" 2>&1 || fail "systemd-analyze verify: see $work/verify.txt"
  # In tenths: above 2.0 something of the hardening has been lost.
  systemd-analyze security --offline=true --threshold=20 "$work/ktlsim.service" >"$work/security.txt" 2>&1 ||
    fail "systemd-analyze security: see $work/security.txt"
fi
"$program" serve --check --config "$root/etc/ktlsim/serve.toml" >"$work/check.txt" 2>&1 || fail "see $work/check.txt"
sed 's|^listen = .*|listen = "127.0.0.1:0"|' "$root/etc/ktlsim/serve.toml" >"$work/serve.toml"
mkfifo "$work/out"
"$program" serve --config "$work/serve.toml" >"$work/out" 2>"$work/serve.log" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
exec {says}<"$work/out"
read -r -t 30 -u "$says" line || fail "the server says nothing, see $work/serve.log"
[[ $line =~ (127\.0\.0\.1:[0-9]+) ]] || fail "no address in: $line"
bytes=$(curl -sSk --max-time 30 "https://${BASH_REMATCH[1]}/" | wc -c)
((bytes == 1024)) || fail "$bytes bytes instead of 1024"
kill "$server"
cat <&"$says" >"$work/statistics.txt"
wait "$server" || fail "the server's end, see $work/serve.log"

# What a service has written goes, too.
mkdir -p "$root"/var/{lib,log}/private/ktlsim
touch "$root/var/lib/private/ktlsim/audit.log"
on_root --purge "${names[@]}"
rm -rf "$root/var/lib/private" "$root/var/log/private"  # systemd's own folders
files >"$work/after.txt"
diff "$work/before.txt" "$work/after.txt" >"$work/left.txt" || fail "left behind: $(head -n 5 "$work/left.txt")"
printf 'packages: installed, served and removed %s\n' "${names[*]}" >&2
