#!/bin/sh
# Compiles small sources against the public headers in every combination that a program may choose.
#   compile_headers.sh <C compiler> <C++ compiler> <source root>
set -u
cc=$1
cxx=$2
root=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
compiled=0

# Include orders and neighbours. POSIX sources define the socket names for themselves.
cat > "$work/sspi_only.h" <<'END'
#include <sspi.h>
PCredHandle credential;
END
cat > "$work/schannel_only.h" <<'END'
#include <schannel.h>
SCH_CREDENTIALS credentials;
END
cat > "$work/twice.h" <<'END'
#include <schannel.h>
#include <sspi.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>
SCH_CREDENTIALS credentials;
END
cat > "$work/blacklists_first.h" <<'END'
#define SCHANNEL_USE_BLACKLISTS
#include <sspi.h>
#include <schannel.h>
TLS_PARAMETERS parameters;
END
cat > "$work/blacklists_between.h" <<'END'
#include <sspi.h>
#define SCHANNEL_USE_BLACKLISTS
#include <schannel.h>
CRYPTO_SETTINGS settings;
END
cat > "$work/beside_posix.h" <<'END'
#include <ktlsim/sspi_ext.h>
#include <pthread.h>
#include <sys/socket.h>
#include <string.h>
#ifdef __cplusplus
#include <algorithm>
#include <string>
#include <type_traits>
#endif
typedef int SOCKET;
#define INVALID_SOCKET (-1)
#define closesocket close
enum { near, far, small, min, max, IN, OUT, ERROR };
END
cat > "$work/extern_c.h" <<'END'
#ifdef __cplusplus
extern "C" {
#endif
#include <schannel.h>
#include <ktlsim/sspi_ext.h>
#ifdef __cplusplus
}
#endif
CtxtHandle context;
END
cat > "$work/use.h" <<'END'
#include <schannel.h>
SECURITY_STATUS Use(PCtxtHandle context, PSecBufferDesc message, unsigned long* wide, ULONG* narrow);
SECURITY_STATUS Use(PCtxtHandle context, PSecBufferDesc message, unsigned long* wide, ULONG* narrow) {
  const WCHAR* name = UNISP_NAME_W;
  LPCTSTR text = UNISP_NAME;
  return DecryptMessage(context, message, 0, wide) + DecryptMessage(context, message, 0, narrow) +
         DecryptMessage(context, message, 0, NULL) + (name[0] == 0) + (text[0] == 0);
}
END
cp "$root/tests/include/documented_flow_test.c" "$work/documented_flow.h"

# What must not compile: a variable of another type behind an out-parameter.
cat > "$work/refused.h" <<'END'
#include <sspi.h>
SECURITY_STATUS Use(PCtxtHandle context, PSecBufferDesc message, float* wrong);
SECURITY_STATUS Use(PCtxtHandle context, PSecBufferDesc message, float* wrong) {
  return DecryptMessage(context, message, 0, wrong);
}
END

# compile <compiler, language and options> <source>
compile() {
  $1 -Wall -Wextra -Werror -I "$root/kernel_sim/include" -I "$root/tests/include" -I "$root" \
    -fsyntax-only "$2"
}

# check <compiler, language and options>: every source, and the one that has to fail.
check() {
  for source in "$work"/*.h "$root/tests/include/static_assertions.h"; do
    compiled=$((compiled + 1))
    if compile "$1" "$source" > "$work/output" 2>&1; then
      [ "${source##*/}" != refused.h ] && continue
      echo "compiled, but should not: $1 ${source##*/}"
    else
      [ "${source##*/}" = refused.h ] && continue
      echo "failed: $1 ${source##*/}"
      head -n 5 "$work/output"
    fi
    failures=$((failures + 1))
  done
}

for mode in "" -DSECURITY_WIN32 -DSECURITY_KERNEL; do
  for strings in "" -DUNICODE -fshort-wchar "-DUNICODE -fshort-wchar"; do
    check "$cc -x c -std=c11 $mode $strings"
  done
  # C++ has char16_t whatever a wide literal is.
  for strings in "" "-DUNICODE -fshort-wchar"; do
    check "$cxx -x c++ -std=c++20 $mode $strings"
  done
done
check "$cc -x c -std=gnu11"
check "$cxx -x c++ -std=gnu++20"

# The one header that needs C++20 says so and names the remedy.
echo '#include <ktlsim/processor.h>' > "$work/processor.cc"
for options in "$cc -x c -std=c11" "$cxx -x c++ -std=c++17"; do
  compiled=$((compiled + 1))
  if compile "$options" "$work/processor.cc" > "$work/output" 2>&1 ||
    ! grep -q 'needs C++20' "$work/output"; then
    echo "does not ask for C++20: $options ktlsim/processor.h"
    failures=$((failures + 1))
  fi
done
compiled=$((compiled + 1))
if ! compile "$cxx -x c++ -std=c++20" "$work/processor.cc" > "$work/output" 2>&1; then
  echo "failed: ktlsim/processor.h as C++20"
  head -n 5 "$work/output"
  failures=$((failures + 1))
fi

echo "$compiled compiled, $failures wrong"
[ "$failures" -eq 0 ]
