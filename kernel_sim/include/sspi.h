// SSPI, the security support provider interface, synchronous and asynchronous.
//
// Define SECURITY_KERNEL before the first include for the kernel-mode signatures (counted strings),
// or SECURITY_WIN32 for the user-mode ones; neither means user mode. With UNICODE the unsuffixed
// names mean the W functions, otherwise the A functions. This header and schannel.h can be included
// in any order and need no other.
//
// A newcomer's mistakes: testing a status by its sign (SEC_I_ASYNC_CALL_PENDING counts as success),
// and reading the return value of an Async function as the outcome (it only says "queued or not").
#pragma once

#include <ktlsim/detail/access.h>
#include <ktlsim/detail/annotations.h>
#include <ktlsim/detail/async_functions.h>
#include <ktlsim/detail/flags.h>
#include <ktlsim/detail/function_table.h>
#include <ktlsim/detail/functions.h>
#include <ktlsim/detail/mode.h>
#include <ktlsim/detail/out_ulong.h>
#include <ktlsim/detail/status_codes.h>
#include <ktlsim/detail/structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

// A kernel-mode program that wants these includes schannel.h.
#if ISSP_MODE != 0
#include <ktlsim/detail/application_protocol.h>
#endif

// Name of the package of Microsoft Digest.
#define WDIGEST_SP_NAME_A "WDigest"
#define WDIGEST_SP_NAME_W KTLSIM_WIDE("WDigest")
#ifdef UNICODE
#define WDIGEST_SP_NAME WDIGEST_SP_NAME_W
#else
#define WDIGEST_SP_NAME WDIGEST_SP_NAME_A
#endif

// Names under which a program looks up InitSecurityInterface at run time.
#define SECURITY_ENTRYPOINT_ANSIA "InitSecurityInterfaceA"
#define SECURITY_ENTRYPOINT_ANSIW "InitSecurityInterfaceW"
#ifdef UNICODE
#define SECURITY_ENTRYPOINT_ANSI SECURITY_ENTRYPOINT_ANSIW
#else
#define SECURITY_ENTRYPOINT_ANSI SECURITY_ENTRYPOINT_ANSIA
#endif
