#!/usr/bin/env bash
# Goal: what `cmake --install` puts down is enough for a stranger's program, wherever it lies.
# Method: install, move the tree, look at the exported names, then build and run a C and a C++
# program with pkg-config alone and with find_package, and the installed example, which talks to the
# installed command. Called by CTest:
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
# Kernel mode binds some of them to symbols of its own.
printf '#include <%s>\n' sspi.h schannel.h ktlsim/sspi_ext.h |
  "$CC" -std=c11 -DSECURITY_KERNEL "${flags[@]}" -E -P -x c - |
  grep -oE '"Ktlsim_k_" "[A-Za-z]+"' | tr -d '" ' | sed 's/$/@@KTLSIM_0.1/' | sort -u \
  >"$work/kernel.txt"
[[ -s $work/kernel.txt ]] || fail 'found no kernel-mode symbol in the headers'
sort -u -o "$work/declared.txt" "$work/declared.txt" "$work/kernel.txt"
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

# The example, against the command, both as they were installed.
example=$prefix/share/doc/ktlsim/examples/async_client.c
"$CC" -std=c11 "${warnings[@]}" "${flags[@]}" "$example" -o "$work/bin/async_client" \
  "${libraries[@]}"
if [[ -x $prefix/bin/ktlsim ]]; then
  [[ -f $prefix/share/ktlsim/schema/results.schema.json ]] || fail 'the schema is not installed'
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$work/key.pem" -out "$work/certificate.pem" \
    2>"$work/openssl.log" || fail "see $work/openssl.log"
  coproc SERVER { exec "$prefix/bin/ktlsim" serve --listen 127.0.0.1:0 --respond-bytes 26 \
    --cert "$work/certificate.pem" --key "$work/key.pem" 2>"$work/serve.log"; }
  server=$SERVER_PID
  trap 'kill "$server" 2>/dev/null || true' EXIT
  read -r -t 30 -u "${SERVER[0]}" line || fail "the server says nothing, see $work/serve.log"
  [[ $line =~ 127\.0\.0\.1:([0-9]+) ]] || fail "no port in: $line"
  get=(env "LD_LIBRARY_PATH=$libdir" timeout 30 "$work/bin/async_client" 127.0.0.1
    "${BASH_REMATCH[1]}")
  "${get[@]}" localhost "$work/certificate.pem" >"$work/answer.txt" || fail 'the example failed'
  grep -q abcdefghijklmnopqrstuvwxyz "$work/answer.txt" || fail "see $work/answer.txt"
  if "${get[@]}" other.example "$work/certificate.pem" >"$work/refused.txt" 2>&1; then
    fail 'the example takes a certificate for another name'
  fi
  grep -q 'failed: 0x80090322' "$work/refused.txt" || fail "see $work/refused.txt"  # WRONG_PRINCIPAL
fi

# find_package. CMake itself writes the folder of the library into the programs.
"$CMAKE" -S "$consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log" ||
  fail "find_package failed, see $work/configure.log"
"$CMAKE" --build "$work/cmake" >"$work/build.log" || fail "see $work/build.log"
"$work/cmake/consumer_c" || fail 'the C program built with find_package failed'
"$work/cmake/consumer_cc" || fail 'the C++ program built with find_package failed'
