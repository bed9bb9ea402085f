// What this thread's OpenSSL error queue says about a call that failed. Private to this module.
#pragma once

#include "kernel_sim/base/status.h"

namespace ktlsim::tls {

// For one entry of the queue: memory ran out; the system gave no random numbers.
bool TellsOfMemory(unsigned long error);
bool TellsOfRandomNumbers(unsigned long error);

// Whether memory ran out, according to this thread's OpenSSL error queue, which is drained.
bool DrainTellsOfMemory();
// For a call of OpenSSL that has failed: kResource if memory ran out; kIo if the system gave no
// random numbers, or kCrypto if it gives them again by now; else kCrypto and `what`. The queue is
// drained. `what` is a literal.
Status CryptoFailure(const char* what);

}  // namespace ktlsim::tls
