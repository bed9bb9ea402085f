// Checks every value, layout and name of the public headers while compiling. Included as C and as
// C++, in every mode; nothing is left to run.
#include <ktlsim/security.h>
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#ifdef __cplusplus
#define KTLSIM_STATIC_ASSERT(condition, words) static_assert(condition, words)
#else
#define KTLSIM_STATIC_ASSERT(condition, words) _Static_assert(condition, words)
#endif

// Statuses are signed: both sides are compared as 32 bits unless the value needs more.
#define KTLSIM_VALUE(name, value)                                                        \
  KTLSIM_STATIC_ASSERT((value) > 0xFFFFFFFFULL                                           \
                           ? (unsigned long long)(name) == (unsigned long long)(value)   \
                           : sizeof(name) <= 4 && (uint32_t)(name) == (uint32_t)(value), \
                       #name);
#define KTLSIM_SIZE(type, bytes) KTLSIM_STATIC_ASSERT(sizeof(type) == (bytes), #type);
#define KTLSIM_OFFSET(type, member, bytes) \
  KTLSIM_STATIC_ASSERT(offsetof(type, member) == (bytes), #type "::" #member);
#define KTLSIM_TYPE(type) KTLSIM_STATIC_ASSERT(sizeof(type) > 0, #type);
#define KTLSIM_FUNCTION(name) KTLSIM_STATIC_ASSERT(sizeof(&(name)) == sizeof(void*), #name);
#define KTLSIM_STRING(name, unit, length) \
  KTLSIM_STATIC_ASSERT(sizeof(name) == ((length) + 1) * sizeof(unit), #name);

#include "layouts.inc"
#include "names.inc"
#include "values.inc"

// Signs and success tests.
KTLSIM_STATIC_ASSERT(SEC_E_INVALID_HANDLE < 0 && SEC_I_ASYNC_CALL_PENDING > 0,
                     "severity is the sign");
KTLSIM_STATIC_ASSERT(SEC_SUCCESS(SEC_I_ASYNC_CALL_PENDING) && !SEC_SUCCESS(SEC_E_INVALID_TOKEN),
                     "SEC_SUCCESS tests the sign");
KTLSIM_STATIC_ASSERT(NT_SUCCESS(STATUS_PENDING) && !NT_SUCCESS(STATUS_DEVICE_BUSY), "NT_SUCCESS");
KTLSIM_STATIC_ASSERT(KTLSIM_E_CANCELLED < 0 && KTLSIM_E_QUEUE_TIMEOUT < 0, "errors");
KTLSIM_STATIC_ASSERT(SEC_DELETED_HANDLE == UINTPTR_MAX - 1, "SEC_DELETED_HANDLE");
KTLSIM_STATIC_ASSERT((WCHAR)-1 > 0, "UTF-16 units are unsigned");
KTLSIM_STATIC_ASSERT((ULONG)-1 > 0 && (DWORD)-1 > 0 && (LONG)-1 < 0 && (SECURITY_STATUS)-1 < 0,
                     "signedness");

#ifdef SECURITY_KERNEL
KTLSIM_STATIC_ASSERT(ISSP_MODE == 0, "kernel mode");
#else
KTLSIM_STATIC_ASSERT(ISSP_MODE == 1, "user mode, also when nothing was said");
#endif

// Names that belong to the program.
#if defined(_WIN32) || defined(WIN32) || defined(SOCKET) || defined(INVALID_SOCKET) ||             \
    defined(closesocket) || defined(min) || defined(max) || defined(interface) || defined(near) || \
    defined(far) || defined(small) || defined(IN) || defined(OUT) || defined(ERROR) ||             \
    defined(__in) || defined(__out)
#error "a public header defines a name that is left to the program"
#endif
