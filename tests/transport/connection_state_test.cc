// The table of a connection's states.
#include "kernel_sim/transport/connection_state.h"

#include <gtest/gtest.h>

#include "tests/support/state_tables.h"

namespace ktlsim::transport {
namespace {

TEST(ConnectionStateTest, ReadmeShowsTheTable) {
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kConnectionTable);
}

TEST(ConnectionStateTest, EveryStateAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kConnectionTable, ConnectionState::kRetired, ConnectionEvent::kRetire);
}

}  // namespace
}  // namespace ktlsim::transport
