// The limits in time, on a seeded machine, where time is exact: a silent or slow peer's connection
// ends at its limit and not a nanosecond later.

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
      // The leg began when the token was made, at most a round trip before it arrived here.
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
  // Sending the echo was the last activity.
  EXPECT_EQ(times_.ended_ns, last_plaintext_ns_ + options.tls.limits.idle_ns);
}

// A peer that sends anything but plaintext counts as silent.
TEST_F(LimitsTest, RecordsWithoutPlaintextAreNoActivity) {
  ServerOptions options = DefaultServer();
  StartTimed(options);
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Establish(peer, client));
  for (int i = 0; i < 40 && times_.ended_ns == 0; ++i) {
    peer.Send(client.Seal({}));
    machine_->RunFor(7 * kNsPerSecond);
  }
  ExpectEnded(EndKind::kIdleTimeout);
  EXPECT_EQ(times_.ended_ns, times_.established_ns + options.tls.limits.idle_ns);
  EXPECT_GT(server_.Statistics().records_opened, 10U);
}

TEST_F(LimitsTest, ARecordByteByByteEndsAtItsLimit) {
  for (const std::uint64_t idle_ns : {120 * kNsPerSecond, std::uint64_t{0}}) {
    times_ = {};
    ServerOptions options = DefaultServer();
    options.tls.limits.idle_ns = idle_ns;
    StartTimed(options);
    RawPeer peer = Dial();
    TestEnd client(false);
    ASSERT_TRUE(Establish(peer, client));
    machine_->RunFor(50 * kNsPerSecond);
    // A whole record first, and with it the first byte of the next one.
    const Bytes whole = client.Seal(ToBytes("whole"));
    const Bytes record = client.Seal(Bytes(100, 'x'));
    Bytes first = whole;
    first.push_back(record[0]);
    peer.Send(first);
    ASSERT_TRUE(WaitUntil([&] { return last_plaintext_ns_ != 0; }));
    const std::uint64_t begun_ns = machine_->NowNs();
    for (std::size_t i = 1; i < record.size() && times_.ended_ns == 0; ++i) {
      peer.Send({record[i]});
      machine_->RunFor(kNsPerSecond);
    }
    ExpectEnded(EndKind::kRecordTimeout);
    EXPECT_LE(times_.ended_ns, begun_ns + options.tls.limits.record_ns + kNsPerSecond);
    EXPECT_GE(times_.ended_ns, last_plaintext_ns_ + options.tls.limits.record_ns);
    server_.Stop();
    last_plaintext_ns_ = 0;
  }
}

TEST_F(LimitsTest, SlowRecordsThatEndInTimeGoOnForEver) {
  ServerOptions options = DefaultServer();
  StartTimed(options);
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Establish(peer, client));
  for (int i = 0; i < 8; ++i) {
    const Bytes record = client.Seal(ToBytes("x"));
    peer.Send(Bytes(record.begin(), record.begin() + 10));
    machine_->RunFor(29 * kNsPerSecond);
    last_plaintext_ns_ = 0;
    peer.Send(Bytes(record.begin() + 10, record.end()));
    ASSERT_TRUE(WaitUntil([&] { return last_plaintext_ns_ != 0; })) << i;
  }
  EXPECT_EQ(times_.ended_ns, 0U);
}

// While the handler does not read, the peer does not count as slow.
TEST_F(LimitsTest, ARecordMayWaitAsLongAsItsHandlerPauses) {
  class PausedHandler final : public ConnectionHandler {
   public:
    PausedHandler(Connection*& connection, std::size_t& received, EndReason& reason)
        : connection_(connection), received_(received), reason_(reason) {}
    void OnEstablished(Connection& connection) override {
      connection.PauseReading();
      connection_ = &connection;
    }
    void OnPlaintext(Connection& /*connection*/, std::span<std::byte> plaintext) override {
      received_ += plaintext.size();
    }
    void OnEnded(Connection& /*connection*/, const EndReason& reason) override {
      connection_ = nullptr;
      reason_ = reason;
      delete this;
    }

   private:
    Connection*& connection_;
    std::size_t& received_;
    EndReason& reason_;
  };
  Connection* connection = nullptr;
  std::size_t received = 0;
  EndReason reason;
  // Its connections use the three objects above until they have ended, however this test ends.
  struct StopAtEnd {
    ~StopAtEnd() { server.Stop(); }
    decltype(server_)& server;
  } const stop_at_end{server_};
  StartServer(DefaultServer(),
              [&](Connection&) { return new PausedHandler(connection, received, reason); });
  RawPeer peer = Dial();
  TestEnd client(false);
  while (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
    peer.Send(client.Leg(client_credential_->get()));
    if (client.status != SEC_E_OK) Append(client.inbox, peer.ReceiveSome());
  }
  ASSERT_TRUE(WaitUntil([&] { return connection != nullptr; }));
  const Bytes record = client.Seal(ToBytes("x"));
  peer.Send(Bytes(record.begin(), record.begin() + 10));
  machine_->RunFor(100 * kNsPerSecond);
  ASSERT_NE(connection, nullptr) << reason.ToString();
  connection->ResumeReading();
  machine_->RunFor(10 * kNsPerSecond);
  ASSERT_NE(connection, nullptr) << reason.ToString();
  peer.Send(Bytes(record.begin() + 10, record.end()));
  ASSERT_TRUE(WaitUntil([&] { return received == 1; }));
  machine_->RunFor(100 * kNsPerSecond);
  EXPECT_NE(connection, nullptr) << reason.ToString();
}

// The reason for which the handler closes is reported, however the peer ends the connection.
TEST_F(LimitsTest, WhatTheHandlerClosesForIsTold) {
  class Closer final : public ConnectionHandler {
   public:
    explicit Closer(EndReason& reason) : reason_(reason) {}
    void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
      connection.Send(plaintext);
      connection.CloseFor(EndKind::kHeadTimeout);
    }
    void OnEnded(Connection& /*connection*/, const EndReason& reason) override {
      reason_ = reason;
      delete this;
    }

   private:
    EndReason& reason_;
  };
  for (const bool reset : {false, true}) {
    EndReason reason;
    StartServer(DefaultServer(), [&](Connection&) { return new Closer(reason); });
    RawPeer peer = Dial();
    TestEnd client(false);
    while (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
      peer.Send(client.Leg(client_credential_->get()));
      if (client.status != SEC_E_OK) Append(client.inbox, peer.ReceiveSome());
    }
    peer.Send(client.Seal(ToBytes("x")));
    Append(client.inbox, peer.ReceiveToEnd());
    if (reset) peer.Reset();
    ASSERT_TRUE(WaitUntil([&] { return reason.kind != EndKind::kCompleted; }));
    EXPECT_EQ(reason.kind, EndKind::kHeadTimeout) << reason.ToString();
    EXPECT_FALSE(reason.orderly());
    server_.Stop();
    EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kHeadTimeout), reset ? 2U : 1U);
  }
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
