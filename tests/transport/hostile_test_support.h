// Peers that are silent, slow, broken or gone, in every world that a server can live in. Each
// connection ends with its reason and its counter, and nothing is left over (TransportTest checks
// that at the end of every test).
#pragma once

#include <cstdint>
#include <string>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {

using transport::FailureClass;

// On real rings; on a seeded machine without faults; and with seeds where bytes come in pieces,
// completions come late and in another order, and buffers and queues run out.
struct Ground {
  std::uint64_t seed = 0;  // 0: real rings
  bool faults = false;
};

inline std::string NameOf(const testing::TestParamInfo<Ground>& ground) {
  if (ground.param.seed == 0) return "Real";
  return (ground.param.faults ? "SeededFaults" : "Seeded") + std::to_string(ground.param.seed);
}

inline auto Grounds() {
  return testing::Values(Ground{}, Ground{.seed = 1}, Ground{.seed = 2, .faults = true},
                         Ground{.seed = 3, .faults = true});
}

class GroundTest : public TransportTest, public testing::WithParamInterface<Ground> {
 protected:
  void StartOnGround(std::uint32_t queue_depth) {
    if (GetParam().seed == 0) {
      StartRuntime(queue_depth);
      return;
    }
    SeededMachineOptions options;
    options.network.seed = GetParam().seed;
    if (GetParam().faults) options.network.faults = HarmlessFaults();
    if (queue_depth != 0) options.queue_depth = queue_depth;
    StartSeeded(options);
  }
};

class HostileTest : public GroundTest {
 protected:
  void SetUp() override { StartOnGround(0); }

  // A client that speaks TLS through the synchronous API over `peer`, for `legs` of its own legs.
  // Returns whether it is established.
  bool Handshake(RawPeer& peer, TestEnd& client, PCredHandle credential, int legs = 100) {
    while (client.status == SEC_I_CONTINUE_NEEDED && legs-- > 0) {
      peer.Send(client.Leg(credential));
      if (client.status != SEC_I_CONTINUE_NEEDED || legs == 0) break;
      const Bytes answer = peer.ReceiveSome();
      if (answer.empty()) return false;
      Append(client.inbox, answer);
      // A flight may come in pieces.
      while (client.status == SEC_I_CONTINUE_NEEDED) {
        peer.Send(client.Leg(credential));
        if (client.status != SEC_E_INCOMPLETE_MESSAGE) break;
        client.status = SEC_I_CONTINUE_NEEDED;
        const Bytes more = peer.ReceiveSome();
        if (more.empty()) return false;
        Append(client.inbox, more);
      }
    }
    return client.status == SEC_E_OK;
  }
  bool Established(RawPeer& peer, TestEnd& client) {
    return Handshake(peer, client, client_credential_->get());
  }
  Bytes ClientHello() {
    TestEnd client(false);
    return client.Leg(client_credential_->get());
  }
  // The echo of `text` through an established raw client.
  void ExpectEcho(RawPeer& peer, TestEnd& client, const std::string& text) {
    peer.Send(client.Seal(ToBytes(text)));
    std::string received;
    while (received.size() < text.size()) {
      const Bytes some = peer.ReceiveSome();
      ASSERT_FALSE(some.empty());
      Append(client.inbox, some);
      received += ToText(client.Open(client_credential_->get()));
    }
    EXPECT_EQ(received, text);
  }
};

}  // namespace ktlsim::test
