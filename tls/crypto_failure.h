// What this thread's OpenSSL error queue tells of a call that failed. Private to this module.
#pragma once

#include "kernel_sim/base/status.h"

namespace ktlsim::tls {

// For one entry of the queue: memory ran out; the system gave no random numbers.
bool TellsOfMemory(unsigned long error);
bool TellsOfRandomNumbers(unsigned long error);

// Whether this thread's OpenSSL error queue tells of memory that ran out; the queue is drained.
bool DrainTellsOfMemory();
// For a call of OpenSSL that has failed: kResource if the queue tells of memory; kIo, or kCrypto
// once it has passed, if the system gave no random numbers; else kCrypto and `what`. The queue is
// drained. `what` is a literal.
Status CryptoFailure(const char* what);

}  // namespace ktlsim::tls
