// The tables of a connection's states.
#include "kernel_sim/transport/connection_state.h"

#include <gtest/gtest.h>

#include "tests/support/state_tables.h"

namespace ktlsim::transport {
namespace {

TEST(ConnectionStateTest, ReadmeShowsTheTable) {
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kConnectionTable);
}

TEST(ConnectionStateTest, ReadmeShowsTheTablesOfTheParts) {
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kOurEndTable);
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kPeerEndTable);
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kReadingTable);
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kSealingTable);
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kTokenTable);
  test::ExpectReadmeShows("kernel_sim/transport/README.md", kCredentialTable);
}

TEST(ConnectionStateTest, EveryStateAgainstEveryEvent) {
  test::ExpectLegalMovesOnly(kConnectionTable, ConnectionState::kRetired, ConnectionEvent::kRetire);
  test::ExpectLegalMovesOnly(kOurEndTable, OurEnd::kFin, OurEndEvent::kFin);
  test::ExpectLegalMovesOnly(kPeerEndTable, PeerEnd::kTruncated, PeerEndEvent::kTruncate);
  test::ExpectLegalMovesOnly(kReadingTable, Reading::kDropped, ReadingEvent::kDrop);
  test::ExpectLegalMovesOnly(kSealingTable, Sealing::kRetry, SealingEvent::kFinish);
  test::ExpectLegalMovesOnly(kTokenTable, Token::kSending, TokenEvent::kDrop);
  test::ExpectLegalMovesOnly(kCredentialTable, CredentialState::kGivenUp, CredentialEvent::kGiveUp);
}

}  // namespace
}  // namespace ktlsim::transport
