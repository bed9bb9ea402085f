// The table of a TLS context's phases. What its legs do in them: tls_pair_test.cc,
// owed_tokens_test.cc, identity_test.cc.
#include "kernel_sim/sspi/packages/tls_phase.h"

#include <gtest/gtest.h>

#include "tests/support/state_tables.h"

namespace ktlsim::sspi {
namespace {

TEST(TlsPhaseTest, ReadmeShowsTheTable) {
  test::ExpectReadmeShows("kernel_sim/sspi/packages/README.md", kTlsPhaseTable);
}

TEST(TlsPhaseTest, EveryPhaseAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kTlsPhaseTable, TlsPhase::kConnectionFailed, TlsPhaseEvent::kFail);
}

}  // namespace
}  // namespace ktlsim::sspi
