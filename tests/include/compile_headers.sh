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
cat > "$work/security_only.h" <<'END'
#include <ktlsim/security.h>
TOKEN_PRIVILEGES privileges;
END
# The headers of Windows that are here for their names.
for name in securitybaseapi sddl processthreadsapi handleapi errhandlingapi winbase; do
  printf '#include <%s.h>\nTOKEN_PRIVILEGES privileges;\n' "$name" > "$work/${name}_only.h"
done
cat > "$work/without_kernel32_names.h" <<'END'
#define KTLSIM_NO_KERNEL32_NAMES
#include <winbase.h>
enum { GetLastError, SetLastError, CloseHandle, LocalAlloc, LocalFree, GetCurrentProcess, GetCurrentThread };
END
cat > "$work/schannel_only.h" <<'END'
#include <schannel.h>
SCH_CREDENTIALS credentials;
END
cat > "$work/twice.h" <<'END'
#include <schannel.h>
#include <ktlsim/security.h>
#include <sspi.h>
#include <ktlsim/sspi_ext.h>
#include <ktlsim/security.h>
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
#include <ktlsim/security.h>
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
# A kernel-mode program that includes sspi.h alone declares itself what the driver kit's headers lack.
cat > "$work/kernel_declares_its_own.h" <<'END'
#undef SECURITY_WIN32
#undef SECURITY_KERNEL
#define SECURITY_KERNEL
#include <sspi.h>
#define MAX_PROTOCOL_ID_SIZE 0xff
#define SESSION_TICKET_INFO_VERSION 0
#define SESSION_TICKET_INFO_V0 SESSION_TICKET_INFO_VERSION
#define SP_PROT_TLS1_3_SERVER 0x1000
#define SCH_USE_STRONG_CRYPTO 0x400000
#define CERT_CHAIN_REVOCATION_CHECK_CHAIN 0x20000000
typedef enum _SEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS {
  SecApplicationProtocolNegotiationStatus_None,
  SecApplicationProtocolNegotiationStatus_Success,
  SecApplicationProtocolNegotiationStatus_SelectedClientOnly
} SEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS, *PSEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS;
typedef struct _SecPkgContext_ApplicationProtocol {
  SEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS ProtoNegoStatus;
  SEC_APPLICATION_PROTOCOL_NEGOTIATION_EXT ProtoNegoExt;
  UCHAR ProtocolIdSize;
  UCHAR ProtocolId[MAX_PROTOCOL_ID_SIZE];
} SecPkgContext_ApplicationProtocol, *PSecPkgContext_ApplicationProtocol;
typedef enum _eTlsAlgorithmUsage { TlsParametersCngAlgUsageCipher = 2 } eTlsAlgorithmUsage;
typedef struct _SecPkgContext_CertificateValidationResult { int own; } SecPkgContext_CertificateValidationResult, *PSecPkgContext_CertificateValidationResult;
typedef struct _SecPkgContext_Certificates { int own; } SecPkgContext_Certificates, *PSecPkgContext_Certificates;
typedef struct _SecPkgContext_SessionInfo { int own; } SecPkgContext_SessionInfo, *PSecPkgContext_SessionInfo;
typedef struct _SecPkgContext_CipherInfo { int own; } SecPkgContext_CipherInfo, *PSecPkgContext_CipherInfo;
typedef struct _SecPkgContext_ConnectionInfo { int own; } SecPkgContext_ConnectionInfo, *PSecPkgContext_ConnectionInfo;
typedef struct _SecPkgCred_SessionTicketKey { int own; } SecPkgCred_SessionTicketKey, *PSecPkgCred_SessionTicketKey;
typedef struct _SecPkgCred_SessionTicketKeys { int own; } SecPkgCred_SessionTicketKeys, *PSecPkgCred_SessionTicketKeys;
typedef struct _SecPkgCred_ClientCertPolicy { int own; } SecPkgCred_ClientCertPolicy, *PSecPkgCred_ClientCertPolicy;
typedef struct _SEND_GENERIC_TLS_EXTENSION { int own; } SEND_GENERIC_TLS_EXTENSION, *PSEND_GENERIC_TLS_EXTENSION;
typedef struct _SUBSCRIBE_GENERIC_TLS_EXTENSION { int own; } SUBSCRIBE_GENERIC_TLS_EXTENSION, *PSUBSCRIBE_GENERIC_TLS_EXTENSION;
typedef struct _TLS_EXTENSION_SUBSCRIPTION { int own; } TLS_EXTENSION_SUBSCRIPTION, *PTLS_EXTENSION_SUBSCRIPTION;
typedef struct _SCHANNEL_CERT_HASH { int own; } SCHANNEL_CERT_HASH, *PSCHANNEL_CERT_HASH;
typedef struct _SCHANNEL_CERT_HASH_STORE { int own; } SCHANNEL_CERT_HASH_STORE, *PSCHANNEL_CERT_HASH_STORE;
typedef struct _CERT_BLOB { int own; } CERT_BLOB, *PCERT_BLOB;
typedef struct _CRYPTO_SETTINGS { int own; } CRYPTO_SETTINGS, *PCRYPTO_SETTINGS;
typedef struct _TLS_PARAMETERS { int own; } TLS_PARAMETERS, *PTLS_PARAMETERS;
typedef struct _SCH_CREDENTIALS { int own; } SCH_CREDENTIALS, *PSCH_CREDENTIALS;
int attribute = SECPKG_ATTR_APPLICATION_PROTOCOL;
END
# A program that wants our declarations includes schannel.h, in any order.
cat > "$work/kernel_takes_ours.h" <<'END'
#include <sspi.h>
#include <schannel.h>
SecPkgContext_ApplicationProtocol protocol;
SEC_APPLICATION_PROTOCOL_NEGOTIATION_STATUS status = SecApplicationProtocolNegotiationStatus_Success;
END
# The older spelling, with a handle, a table of either kind and the address of the function.
cat > "$work/older_spelling.h" <<'END'
#include <sspi.h>
SECURITY_STATUS Free(PCredHandle handle, PSecurityFunctionTableA a, PSecurityFunctionTableW w);
SECURITY_STATUS Free(PCredHandle handle, PSecurityFunctionTableA a, PSecurityFunctionTableW w) {
  FREE_CREDENTIALS_HANDLE_FN function = FreeCredentialHandle;
  return a->FreeCredentialsHandle(handle) + a->FreeCredentialHandle(handle) +
         w->FreeCredentialsHandle(handle) + w->FreeCredentialHandle(handle) + function(handle);
}
END
cp "$root/tests/include/documented_flow_test.c" "$work/documented_flow.h"

# What must not compile: a variable of another type as an out-parameter.
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
