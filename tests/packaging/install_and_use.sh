#!/usr/bin/env bash
# Goal: what `cmake --install` puts down is enough for a stranger's program, wherever it lies.
# Method: install, move the tree, look at the exported names, then build and run a C and a C++
# program with pkg-config alone and with find_package. Called by CTest:
#   install_and_use.sh BUILD_FOLDER WORK_FOLDER     (environment: CC, CXX, CMAKE)
set -euo pipefail

build=$1
work=$2
consumer=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/consumer
prefix=$work/moved

fail() {
  printf 'packaging: %s\n' "$*" >&2
  exit 1
}

rm -rf "$work"
mkdir -p "$work/bin"
"$CMAKE" --install "$build" --prefix "$work/installed" >"$work/install.log" ||
  fail "cmake --install failed, see $work/install.log"
mv "$work/installed" "$prefix"

library=$(find "$prefix" -name libktlsim.so)
libdir=$(dirname "$library")
[[ -f $prefix/share/doc/ktlsim/LICENSE ]] || fail 'LICENSE is not installed'

export PKG_CONFIG_PATH=$libdir/pkgconfig
read -ra flags < <(pkg-config --cflags ktlsim)
read -ra libraries < <(pkg-config --libs ktlsim)

# Exported: every function that the headers declare, under the version node, and no C++ name.
nm -D --defined-only --format=posix "$library" | awk '$2 != "A" { print $1 }' |
  sort >"$work/exported.txt"
printf '#include <%s>\n' sspi.h schannel.h ktlsim/sspi_ext.h |
  "$CC" -std=c11 "${flags[@]}" -E -P -x c - | tr '\n' ' ' |
  grep -oE 'visibility\("default"\)\)\) [^;(]*\(' | grep -oE '[A-Za-z_]+ ?\($' | tr -d ' (' |
  sed 's/$/@@KTLSIM_0.1/' | sort -u >"$work/declared.txt"
[[ -s $work/declared.txt ]] || fail 'found no declaration in the headers: has KTLSIM_API changed?'
if comm -23 "$work/declared.txt" "$work/exported.txt" | grep .; then
  fail 'the functions above are declared and not exported: define them, name them in ktlsim.map'
fi
if grep -v '@@KTLSIM_0\.1$' "$work/exported.txt"; then fail 'the names above have no version node'; fi
if grep '^_Z' "$work/exported.txt"; then fail 'the C++ names above left the library'; fi

# pkg-config alone.
warnings=(-Wall -Wextra -Werror)
"$CC" -std=c11 "${warnings[@]}" "${flags[@]}" "$consumer/consumer.c" -o "$work/bin/c" \
  "${libraries[@]}"
"$CXX" -std=c++20 "${warnings[@]}" "${flags[@]}" "$consumer/consumer.cc" -o "$work/bin/cc" \
  "${libraries[@]}"
LD_LIBRARY_PATH=$libdir "$work/bin/c" || fail 'the C program built with pkg-config failed'
LD_LIBRARY_PATH=$libdir "$work/bin/cc" || fail 'the C++ program built with pkg-config failed'

# find_package. CMake itself writes the folder of the library into the programs.
"$CMAKE" -S "$consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log" ||
  fail "find_package failed, see $work/configure.log"
"$CMAKE" --build "$work/cmake" >"$work/build.log" || fail "see $work/build.log"
"$work/cmake/consumer_c" || fail 'the C program built with find_package failed'
"$work/cmake/consumer_cc" || fail 'the C++ program built with find_package failed'
