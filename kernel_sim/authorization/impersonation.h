// Acting as somebody else: the access token of the calling thread.
//
// What a newcomer gets wrong: a failure leaves the thread as it was, which is as the server, or as
// an earlier client. The result has to be looked at before anything is done for the client.
//
// Any thread, up to dispatch level; nothing waits.
#pragma once

#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::authorization {

// The token under which the thread acts. Null: the process acts.
security::Token::Ref ThreadToken();

// The thread acts as `token` from now on, instead of as anybody else: with an impersonation token
// as it is, or with a copy at kIdentification where the process may not impersonate this client;
// with a copy of a primary one. kNoMemory: the thread acts as before; with real impersonation
// (kernel_sim/unix_identity) it acts as the server then, and so it does after kAccessDenied, which
// is told where the client's Unix user cannot be taken on.
security::Fault Impersonate(const security::Token::Ref& token);

// The thread acts as S-1-5-7, who has no group and no privilege but to pass through folders, and
// the lowest integrity. kAccessDenied: the process is restricted, and would be less so as nobody;
// otherwise as Impersonate.
security::Fault ImpersonateAnonymous();

// The thread acts as the process.
void Revert();

}  // namespace ktlsim::authorization
