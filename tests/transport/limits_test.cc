// The limits in time, on a seeded machine, where time is exact: who is silent or slow ends at his
// limit and not a nanosecond later.

#include <functional>
#include <map>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

// When a connection began and ended, and why.
struct Times {
  std::uint64_t begun_ns = 0;
  std::uint64_t established_ns = 0;
  std::uint64_t ended_ns = 0;
  EndReason reason;
  std::uint64_t lasted_ns() const { return ended_ns - begun_ns; }
};

class TimedEcho final : public ConnectionHandler {
 public:
  TimedEcho(Times& times, std::function<void(std::uint64_t now_ns)> on_plaintext)
      : times_(times), on_plaintext_(std::move(on_plaintext)) {}
  void OnEstablished(Connection& connection) override {
    times_.established_ns = connection.loop().NowNs();
  }
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    connection.Send(plaintext);
    if (on_plaintext_) on_plaintext_(connection.loop().NowNs());
  }
  void OnEnded(Connection& connection, const EndReason& reason) override {
    times_.ended_ns = connection.loop().NowNs();
    times_.reason = reason;
    delete this;
  }

 private:
  Times& times_;
  const std::function<void(std::uint64_t now_ns)> on_plaintext_;
};

class LimitsTest : public TransportTest {
 protected:
  void SetUp() override { StartSeeded({}); }

  void StartTimed(const ServerOptions& options) {
    StartServer(options, [this](Connection& connection) {
      times_.begun_ns = connection.loop().NowNs();
      return new TimedEcho(times_, [this](std::uint64_t now_ns) { last_plaintext_ns_ = now_ns; });
    });
  }
  void ExpectEnded(EndKind kind) {
    ASSERT_TRUE(WaitUntil([&] { return times_.ended_ns != 0; }));
    EXPECT_EQ(times_.reason.kind, kind) << times_.reason.ToString();
  }
  bool Establish(RawPeer& peer, TestEnd& client) {
    while (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
      peer.Send(client.Leg(client_credential_->get()));
      if (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
        Append(client.inbox, peer.ReceiveSome());
      }
    }
    return client.status == SEC_E_OK && WaitUntil([&] { return times_.established_ns != 0; });
  }

  Times times_;
  std::uint64_t last_plaintext_ns_ = 0;
};

TEST_F(LimitsTest, ASilentPeerEndsAtTheLegLimit) {
  StartTimed(DefaultServer());
  RawPeer silent = Dial();
  ExpectEnded(EndKind::kLegTimeout);
  EXPECT_EQ(times_.lasted_ns(), 10 * kNsPerSecond);
}

TEST_F(LimitsTest, OneBytePerSecondIsNoAnswer) {
  StartTimed(DefaultServer());
  RawPeer slow = Dial();
  TestEnd client(false);
  for (const unsigned char byte : client.Leg(client_credential_->get())) {
    if (times_.ended_ns != 0) break;
    slow.Send({byte});
    machine_->RunFor(kNsPerSecond);
  }
  ExpectEnded(EndKind::kLegTimeout);
  EXPECT_EQ(times_.lasted_ns(), 10 * kNsPerSecond);
}

TEST_F(LimitsTest, OneBytePerSecondMeetsTheHandshakeLimitWhereLegsHaveNone) {
  ServerOptions options = DefaultServer();
  options.tls.limits.leg_ns = 0;
  StartTimed(options);
  RawPeer slow = Dial();
  TestEnd client(false);
  for (const unsigned char byte : client.Leg(client_credential_->get())) {
    if (times_.ended_ns != 0) break;
    slow.Send({byte});
    machine_->RunFor(kNsPerSecond);
  }
  ExpectEnded(EndKind::kHandshakeTimeout);
  EXPECT_EQ(times_.lasted_ns(), 30 * kNsPerSecond);
}

// Each leg has a limit of its own; the handshake has one for all of them.
TEST_F(LimitsTest, TheWholeHandshakeHasItsLimitToo) {
  for (const std::uint64_t wait_s : {9U, 21U}) {
    times_ = {};
    ServerOptions options = DefaultServer();
    if (wait_s > 10) options.tls.limits.leg_ns = 25 * kNsPerSecond;
    StartTimed(options);
    RawPeer peer = Dial();
    machine_->RunFor(wait_s * kNsPerSecond);
    TestEnd client(false);
    peer.Send(client.Leg(client_credential_->get()));
    EXPECT_FALSE(peer.ReceiveSome().empty());
    const std::uint64_t answered_ns = machine_->NowNs();
    // No Finished.
    if (wait_s == 9) {
      ExpectEnded(EndKind::kLegTimeout);
      // The leg began when the token was made, at most a round trip before it was here.
      EXPECT_LE(times_.ended_ns, answered_ns + 10 * kNsPerSecond);
      EXPECT_GT(times_.ended_ns, answered_ns + 10 * kNsPerSecond - kNsPerMs);
    } else {
      ExpectEnded(EndKind::kHandshakeTimeout);
      EXPECT_EQ(times_.lasted_ns(), 30 * kNsPerSecond);
    }
    server_.Stop();
  }
}

TEST_F(LimitsTest, AnIdleConnectionEndsBehindItsLastActivity) {
  ServerOptions options = DefaultServer();
  StartTimed(options);
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Establish(peer, client));
  machine_->RunFor(100 * kNsPerSecond);
  peer.Send(client.Seal(ToBytes("x")));
  ASSERT_TRUE(WaitUntil([&] { return last_plaintext_ns_ != 0; }));
  ExpectEnded(EndKind::kIdleTimeout);
  // Sending the echo was the last.
  EXPECT_EQ(times_.ended_ns, last_plaintext_ns_ + options.tls.limits.idle_ns);
}

TEST_F(LimitsTest, StopWaitsForTheDrainLimit) {
  ServerOptions options = DefaultServer();
  options.drain_ns = 700 * kNsPerMs;
  options.tls.limits.close_ns = 2 * kNsPerSecond;
  StartTimed(options);
  RawPeer silent = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Establish(silent, client));
  const std::uint64_t before_ns = machine_->NowNs();
  server_.Stop();
  EXPECT_EQ(times_.reason.kind, EndKind::kStopped) << times_.reason.ToString();
  EXPECT_EQ(times_.ended_ns, before_ns + options.drain_ns);
  EXPECT_EQ(machine_->NowNs(), before_ns + options.drain_ns);
}

TEST_F(LimitsTest, APeerThatDoesNotCloseIsAwaitedForTheCloseLimit) {
  ServerOptions options = DefaultServer();
  options.drain_ns = 5 * kNsPerSecond;
  options.tls.limits.close_ns = 2 * kNsPerSecond;
  StartTimed(options);
  RawPeer silent = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Establish(silent, client));
  const std::uint64_t before_ns = machine_->NowNs();
  server_.Stop();
  EXPECT_EQ(times_.reason.kind, EndKind::kCompleted) << times_.reason.ToString();
  EXPECT_EQ(times_.ended_ns, before_ns + options.tls.limits.close_ns);
  EXPECT_EQ(server_.Statistics().close_waits_expired, 1U);
}

}  // namespace
}  // namespace ktlsim::test
