#!/usr/bin/env bash
# Goal: the Debian packages have all that `cmake --install` puts down, each file once, without building them.
# Method: the lists of debian/ are read as debhelper reads them, against an installed tree; then the service's unit and
# configuration, the scripts, and what shells complete are looked at. Called by CTest:
#   debian_files.sh BUILD_FOLDER WORK_FOLDER     (environment: CMAKE)
set -euo pipefail

build=$1
work=$2
source=$(readlink -f -- "$(dirname -- "${BASH_SOURCE[0]}")/../..")
debian=$source/kernel_sim/packaging/debian

fail() {
  printf 'packaging: %s\n' "$*" >&2
  exit 1
}

# The libraries lie where Debian has them, the configuration in /etc; the rest below /usr.
rm -rf "$work"
mkdir -p "$work/root/usr"
"$CMAKE" --install "$build" --prefix "$work/root/usr" >"$work/install.log" || fail "see $work/install.log"
cd "$work/root"
if [[ -d usr/etc ]]; then mv usr/etc etc; fi
for library in usr/lib/*; do
  case $library in
    */systemd | */x86_64-linux-gnu | */aarch64-linux-gnu) continue ;;
  esac
  mkdir -p usr/lib/any-linux-gnu
  mv "$library" usr/lib/any-linux-gnu/
done
# What `./dev docs` has left in the build folder is in no package.
rm -rf usr/share/doc/ktlsim/html usr/share/man/man3
find . \( -type f -o -type l \) | sed 's|^\./||' | sort >"$work/installed.txt"

# taken FILE: the installed files that the first word of each of its lines names.
taken() {
  local pattern rest path
  while read -r pattern rest; do
    if [[ -z $pattern || $pattern == \#* ]]; then continue; fi
    for path in $pattern; do
      [[ -e $path || -L $path ]] || fail "$1 names $pattern, which is not installed"
      find "$path" \( -type f -o -type l \)
    done
  done <"$1"
}
: >"$work/taken.txt"
for list in "$debian"/*.install "$debian"/not-installed; do taken "$list" >>"$work/taken.txt"; done
sort "$work/taken.txt" | uniq -d >"$work/twice.txt"
if [[ -s $work/twice.txt ]]; then fail "in two packages: $(cat "$work/twice.txt")"; fi
sort -u "$work/taken.txt" | comm -13 - "$work/installed.txt" >"$work/forgotten.txt"
if [[ -s $work/forgotten.txt ]]; then
  fail "in no package: $(cat "$work/forgotten.txt"); add it to debian/*.install or debian/not-installed"
fi

# Scripts, and the version.
for script in "$debian"/*.postrm; do sh -n "$script" || fail "$script is no shell script"; done
[[ -x $debian/rules ]] || fail 'debian/rules is not executable'
version=$(sed -n 's/^project(ktlsim VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")
grep -q "^ktlsim ($version) " "$debian/changelog" || fail "debian/changelog does not begin with version $version"
grep -q "^Package: libktlsim${version%.*}\$" "$debian/control" || fail "debian/control has no libktlsim${version%.*}"

# The service.
program=usr/bin/ktlsim
"$program" serve --check --config etc/ktlsim/serve.toml >"$work/check.txt" 2>&1 || fail "see $work/check.txt"
# What is commented out can be used, too: as text, without its files.
"$program" serve --help >"$work/help.txt"
sed -n 's/^#\([a-z-]* = .*\)/\1/p' etc/ktlsim/serve.toml | sed 's/ *=.*//' | sort -u | while IFS= read -r key; do
  grep -qE "^  (-[a-z],)?--$key( |\$)" "$work/help.txt" || fail "the sample configuration has $key, which is no option"
done
unit=usr/lib/systemd/system/ktlsim.service
grep -q "^ExecStart=$PWD/$program serve --config $PWD/usr/etc/ktlsim/serve.toml\$" "$unit" ||
  fail "$unit does not name what is installed beside it"
if command -v systemd-analyze >/dev/null; then
  cp "$unit" "$work/ktlsim.service"
  systemd-analyze verify --man=no "$work/ktlsim.service" >"$work/verify.txt" 2>&1 || fail "see $work/verify.txt"
  # In tenths: above 2.0 something of the hardening has been lost.
  systemd-analyze security --offline=true --threshold=20 "$work/ktlsim.service" >"$work/security.txt" 2>&1 ||
    fail "see $work/security.txt"
fi

# Completion: bash completes, and the others can at least read theirs.
completed() {
  # shellcheck disable=SC1091
  source usr/share/bash-completion/completions/ktlsim
  COMP_WORDS=(ktlsim "$@") COMP_CWORD=$# COMPREPLY=()
  _ktlsim
  printf '%s\n' "${COMPREPLY[*]}"
}
# expect WHAT WORD...: what these words, the last one unfinished, can become.
expect() {
  local wanted=$1 found
  shift
  found=$(completed "$@")
  [[ $found == "$wanted" ]] || fail "ktlsim $* completes to '$found' instead of '$wanted'"
}
expect 'serve stress sddl status' s
expect '--cert --cert-dir --certs-kept' serve --ce
expect '--acquire --acquire-timeout' serve --echo --acq
expect 'usr/bin' serve --root usr/b
expect 'usr/bin/ktlsim' serve --config = usr/bin/k
expect 'usr/bin/ktlsim' users check usr/bin/k
expect '' serve --listen ''
expect '' nonsense --
if command -v zsh >/dev/null; then zsh -n usr/share/zsh/vendor-completions/_ktlsim || fail 'zsh cannot read it'; fi
if command -v fish >/dev/null; then fish -n usr/share/fish/vendor_completions.d/ktlsim.fish || fail 'fish cannot read it'; fi
