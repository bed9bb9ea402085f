// Which engine does the records' AEAD work in this process: decided once, on first use.
//
// ipsec-mb where the library is built in, the processor has AES instructions, and both engines give
// the same results for a set of fixed inputs; EVP everywhere else. The environment variable
// KTLSIM_AEAD, "evp" or "ipsec-mb", forces one, for tests and measurements; an engine that is not
// available is not forced.
#pragma once

#include <string>

#include "tls/record/aead.h"

namespace ktlsim::tls {

struct AeadChoice {
  AeadFactory factory = &CreateEvpAead;
  const char* engine = "evp";  // or "ipsec-mb"
  // One line for people: what was chosen, on which code path, or why not ipsec-mb.
  std::string report;
};

// The choice of this process. Any thread.
const AeadChoice& ChosenAead();

// How it is chosen. `forced`: the variable's value, nullptr when unset.
AeadChoice ChooseAead(const char* forced);

// Lets both engines seal the same plaintexts, with lengths around every block and code path border,
// and open each other's records, intact and altered; checks both against published vectors.
// nullptr: they agree; otherwise what they disagree on, a literal.
const char* CrossCheck(AeadFactory one, AeadFactory other);

}  // namespace ktlsim::tls
