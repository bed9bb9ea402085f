// How the public functions are declared.
#pragma once

#include <ktlsim/detail/mode.h>

#define KTLSIM_API __attribute__((visibility("default")))

// Some functions have another signature in kernel mode. There the same name is bound to another
// symbol, so that translation units of both kinds can be linked together.
#if ISSP_MODE == 0
#define KTLSIM_MODE_SYMBOL(name) __asm__("Ktlsim_k_" #name)
#else
#define KTLSIM_MODE_SYMBOL(name)
#endif
