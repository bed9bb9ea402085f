// Helpers for tests on the in-memory ring with faults.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/io/ring_test_support.h"

namespace ktlsim::io {

class MemoryTest : public ::testing::Test {
 protected:
  // One network with one ring; connects two sockets before the faults begin.
  void Begin(MemoryNetworkOptions options, const MemoryRingOptions& ring_options = {}) {
    const MemoryFaults faults = options.faults;
    options.faults = {};
    network = std::make_unique<MemoryNetwork>(options);
    ring = CreateMemoryRing(*network, ring_options).value();
    pair = Connect(*ring);
    network->SetFaults(faults);
  }
  void Begin(const MemoryFaults& faults, const MemoryRingOptions& ring_options = {}) {
    MemoryNetworkOptions options;
    options.faults = faults;
    Begin(options, ring_options);
  }
  bool Until(const std::function<bool()>& done) { return TurnUntil(*ring, done); }
  void Cancel(Receiver& receiver) {
    ring->Cancel(receiver);
    EXPECT_TRUE(Until([&] { return receiver.ended; }));
  }
  // Sends `text` from the client to the server and compares.
  void Carry(const std::string& text) {
    Receiver receive;
    Sender send;
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    ASSERT_TRUE(Until([&] { return send.ended && receive.text.size() >= text.size(); }));
    EXPECT_TRUE(send.outcome.ok()) << send.outcome.ToString();
    EXPECT_TRUE(receive.text == text);
    Cancel(receive);
    EXPECT_EQ(receive.end.code(), ECANCELED);
  }
  void TearDown() override {
    if (ring == nullptr) return;
    if (pair.client != kNoSocket) ring->Close(pair.client);
    if (pair.server != kNoSocket) ring->Close(pair.server);
    const RingStatistics left = ring->Statistics();
    EXPECT_EQ(left.operations + left.sockets + left.buffers_lent + left.timers, 0u);
  }

  std::unique_ptr<MemoryNetwork> network;
  std::unique_ptr<MemoryRing> ring;
  Pair pair;
};

}  // namespace ktlsim::io
