#include <cerrno>

#include <gtest/gtest.h>

#include "io/uring.h"
#include "tests/io/ring_test_support.h"

namespace ktlsim::io {
namespace {

TEST(RingTest, CarriesBytesBothWaysAndTellsTheEnd) {
  auto ring = MakeRing();
  const Pair pair = Connect(*ring);
  Receiver at_server;
  Receiver at_client;
  Sender send;
  ring->StartReceive(at_server, pair.server);
  ring->StartReceive(at_client, pair.client);
  const std::string text = Pattern(3000000);
  ring->StartSend(send, pair.client, AsBytes(text));
  ASSERT_TRUE(TurnUntil(*ring, [&] { return send.ended && at_server.text.size() == text.size(); }));
  EXPECT_TRUE(send.outcome.ok());
  EXPECT_TRUE(at_server.text == text);
  ring->ShutdownSend(pair.client);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return at_server.ended; }));
  EXPECT_TRUE(at_server.end.ok());
  ring->Cancel(at_client);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return at_client.ended; }));
  EXPECT_EQ(at_client.end.code(), ECANCELED);
  ring->Close(pair.client);
  ring->Close(pair.server);
  const RingStatistics statistics = ring->Statistics();
  EXPECT_EQ(statistics.sockets, 0u);
  EXPECT_EQ(statistics.operations, 0u);
  EXPECT_EQ(statistics.buffers_lent, 0u);
}

}  // namespace
}  // namespace ktlsim::io
