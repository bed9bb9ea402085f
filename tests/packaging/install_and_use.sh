#!/usr/bin/env bash
# Goal: what `cmake --install` puts down is enough for a stranger's program, wherever it lies.
# Method: install, move the tree, look at the exported names, then build and run a C and a C++
# program with pkg-config alone and with find_package, and the installed examples, which talk to the
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
# In addition: what the headers of ktlsim/processor.h need.
if grep '^_Z' "$work/exported.txt" | c++filt | sed 's/@@.*//' |
  grep -vE '^ktlsim::(AssertionFailed|Status::ToString|io::Address::)'; then
  fail 'the C++ names above left the library'
fi

# pkg-config alone.
warnings=(-Wall -Wextra -Werror)
"$CC" -std=c11 "${warnings[@]}" "${flags[@]}" "$consumer/consumer.c" -o "$work/bin/c" \
  "${libraries[@]}"
"$CXX" -std=c++20 "${warnings[@]}" "${flags[@]}" "$consumer/consumer.cc" -o "$work/bin/cc" \
  "${libraries[@]}"
LD_LIBRARY_PATH=$libdir "$work/bin/c" || fail 'the C program built with pkg-config failed'
LD_LIBRARY_PATH=$libdir "$work/bin/cc" || fail 'the C++ program built with pkg-config failed'

# The examples, against the command, all as they were installed.
examples=$prefix/share/doc/ktlsim/examples
for source in "$examples"/*.c; do
  "$CC" -std=c11 "${warnings[@]}" "${flags[@]}" "$source" -o "$work/bin/$(basename "$source" .c)" \
    "${libraries[@]}"
done
for source in "$examples"/*.cc; do
  [[ -f $source ]] || continue
  "$CXX" -std=c++20 "${warnings[@]}" "${flags[@]}" "$source" -o "$work/bin/$(basename "$source" .cc)" \
    "${libraries[@]}"
done
example() { env "LD_LIBRARY_PATH=$libdir" timeout 60 "$work/bin/$1" "${@:2}"; }

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$work/key.pem" -out "$work/certificate.pem" \
  2>"$work/openssl.log" || fail "see $work/openssl.log"

servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true' EXIT
# begin NAME COMMAND...: a server; $port is where it listens.
begin() {
  local name=$1 line says
  shift
  mkfifo "$work/$name.out"
  env "LD_LIBRARY_PATH=$libdir" "$@" >"$work/$name.out" 2>"$work/$name.log" &
  servers+=("$!")
  exec {says}<"$work/$name.out"  # stays open: a server whose reader is gone would end
  read -r -t 30 -u "$says" line || fail "$name says nothing, see $work/$name.log"
  [[ $line =~ 127\.0\.0\.1:([0-9]+) ]] || fail "no port in: $line"
  port=${BASH_REMATCH[1]}
}

begin serve "$prefix/bin/ktlsim" serve --listen 127.0.0.1:0 --respond-bytes 26 \
  --cert "$work/certificate.pem" --key "$work/key.pem"
for client in async_client sync_client; do
  example "$client" 127.0.0.1 "$port" localhost "$work/certificate.pem" >"$work/$client.txt" ||
    fail "the example $client failed"
  grep -q abcdefghijklmnopqrstuvwxyz "$work/$client.txt" || fail "see $work/$client.txt"
  if example "$client" 127.0.0.1 "$port" other.example "$work/certificate.pem" \
    >"$work/refused.txt" 2>&1; then
    fail "the example $client takes a certificate for another name"
  fi
  grep -qi '80090322' "$work/refused.txt" || fail "see $work/refused.txt"  # WRONG_PRINCIPAL
done
example kernel_client 127.0.0.1 "$port" "$work/certificate.pem" >"$work/kernel_client.txt" ||
  fail 'the example kernel_client failed'
grep -q connected "$work/kernel_client.txt" || fail "see $work/kernel_client.txt"

begin echo "$prefix/bin/ktlsim" serve --listen 127.0.0.1:0 --echo \
  --cert "$work/certificate.pem" --key "$work/key.pem"
example record_offload 127.0.0.1 "$port" localhost "$work/certificate.pem" 200 \
  >"$work/record_offload.txt" || fail 'the example record_offload failed'
grep -q '200 records.* 819200 bytes back' "$work/record_offload.txt" ||
  fail "see $work/record_offload.txt"

begin async_server "$work/bin/async_server" 0 "$work/certificate.pem" "$work/key.pem" 2
for version in 1.2 1.3; do
  curl -sS --max-time 30 --tlsv1.2 --tls-max "$version" --cacert "$work/certificate.pem" \
    "https://127.0.0.1:$port/" >"$work/curl.txt" || fail "curl and the example async_server, TLS $version"
  [[ $(cat "$work/curl.txt") == hello ]] || fail "see $work/curl.txt"
done
wait "${servers[-1]}" || fail 'the example async_server failed'

begin processor_server "$work/bin/processor_server" 0 "$work/certificate.pem" "$work/key.pem" 3
for version in 1.2 1.3; do
  curl -sS --max-time 30 --tlsv1.2 --tls-max "$version" --cacert "$work/certificate.pem" \
    "https://127.0.0.1:$port/" >"$work/curl.txt" ||
    fail "curl and the example processor_server, TLS $version"
  [[ $(cat "$work/curl.txt") == hello ]] || fail "see $work/curl.txt"
done
# A client that leaves at once is a connection, too.
exec {gone}<>"/dev/tcp/127.0.0.1/$port" && exec {gone}>&-
wait "${servers[-1]}" || fail 'the example processor_server failed'

example statistics 20 >"$work/statistics.txt" || fail 'the example statistics failed'
grep -q ' 40 handshakes, 0 failed' "$work/statistics.txt" || fail "see $work/statistics.txt"

# find_package. CMake itself writes the folder of the library into the programs.
"$CMAKE" -S "$consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log" ||
  fail "find_package failed, see $work/configure.log"
"$CMAKE" --build "$work/cmake" >"$work/build.log" || fail "see $work/build.log"
"$work/cmake/consumer_c" || fail 'the C program built with find_package failed'
"$work/cmake/consumer_cc" || fail 'the C++ program built with find_package failed'
