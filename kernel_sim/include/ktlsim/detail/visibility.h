// How the public functions are declared.
#pragma once

#include <ktlsim/detail/mode.h>

#define KTLSIM_API __attribute__((visibility("default")))

// Functions with an out-parameter: their C type says ULONG*, their C++ type KtlsimUlongOut. The
// calling convention is the same, but clang's -fsanitize=function compares the types of a C
// caller's pointer and of the function; without a signature to compare, it does not.
#ifdef __clang__
#define KTLSIM_OUT_API __attribute__((no_sanitize("function"))) KTLSIM_API
#else
#define KTLSIM_OUT_API KTLSIM_API
#endif

// Some functions have another signature in kernel mode. There the same name is bound to another
// symbol, so that translation units of both kinds can be linked together.
#if ISSP_MODE == 0
#define KTLSIM_MODE_SYMBOL(name) __asm__("Ktlsim_k_" #name)
#else
#define KTLSIM_MODE_SYMBOL(name)
#endif
