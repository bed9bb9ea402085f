// What a handler may do inside its calls: request send space that it does not use, and end the
// connection.

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

// What a handler has seen.
struct Calls {
  int count = 0;
  bool ended = false;
  EndReason reason;
};

class HandlerCallsTest : public TransportTest {
 protected:
  void SetUp() override { StartSeeded({}); }
};

class DrainWatcher final : public ConnectionHandler {
 public:
  explicit DrainWatcher(Calls& drains) : drains_(drains) {}
  void OnPlaintext(Connection&, std::span<std::byte>) override {}
  void OnDrain(Connection& connection) override {
    EXPECT_FALSE(connection.SendSpace().empty());
    ++drains_.count;
  }
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  Calls& drains_;
};

TEST_F(HandlerCallsTest, SendSpaceOfADrainThatIsNotUsedIsGivenBack) {
  Calls drains;
  StartServer(DefaultServer(), [&](Connection&) { return new DrainWatcher(drains); });
  StartClient();
  ClientTalk talk(monitor_, "");
  talk.close_when_done = false;
  ASSERT_NE(Connect(MakeProfile(DefaultClient()), talk), nullptr);
  const auto established = [&] { return server_.Statistics().established == 1; };
  ASSERT_TRUE(WaitUntil([&] { return established() && server_.Statistics().buffers == 0; }));
  server_.BeginStop();
  ASSERT_TRUE(WaitUntil([&] { return drains.count == 1; }));
  EXPECT_EQ(server_.Statistics().buffers, 0U) << "the connection is idle";
  EXPECT_EQ(server_.Statistics().connections, 1U);
  server_.Stop();
  ASSERT_TRUE(WaitUntil([&] { return talk.ended; }));
}

class TicketWatcher final : public ConnectionHandler {
 public:
  explicit TicketWatcher(Calls& tickets) : tickets_(tickets) {}
  void OnPlaintext(Connection&, std::span<std::byte>) override {}
  void OnPostHandshake(Connection& connection) override {
    EXPECT_FALSE(connection.SendSpace().empty());
    ++tickets_.count;
  }
  void OnEnded(Connection&, const EndReason&) override { tickets_.ended = true; }

 private:
  Calls& tickets_;
};

TEST_F(HandlerCallsTest, SendSpaceOfATicketThatIsNotUsedIsGivenBack) {
  StartServer(DefaultServer());
  StartClient();
  Calls tickets;
  TicketWatcher handler(tickets);
  Connection* const connection = Connect(MakeProfile(DefaultClient()), handler);
  ASSERT_NE(connection, nullptr);
  ASSERT_TRUE(WaitUntil([&] { return tickets.count == 1; }));
  machine_->RunFor(kNsPerSecond);
  EXPECT_EQ(client_.Statistics().buffers, 0U) << "the connection is idle";
  EXPECT_FALSE(tickets.ended);
  client_.Stop();
  EXPECT_TRUE(tickets.ended);
}

class EndsWhenConnected final : public ConnectionHandler {
 public:
  EndsWhenConnected(Calls& calls, bool reset) : calls_(calls), reset_(reset) {}
  void OnSocketConnected(Connection& connection) override {
    ++calls_.count;
    if (reset_) {
      connection.Abort();
    } else {
      connection.Close();
    }
  }
  void OnPlaintext(Connection&, std::span<std::byte>) override { ADD_FAILURE(); }
  void OnEnded(Connection&, const EndReason& reason) override {
    calls_.ended = true;
    calls_.reason = reason;
  }

 private:
  Calls& calls_;
  const bool reset_;
};

TEST_F(HandlerCallsTest, WhatEndsWhenItsSocketConnectsBeginsNoHandshake) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  std::uint64_t ended = 0;
  for (const bool reset : {false, true}) {
    Calls calls;
    EndsWhenConnected handler(calls, reset);
    ASSERT_NE(Connect(profile, handler), nullptr);
    ASSERT_TRUE(WaitUntil([&] { return calls.ended; }));
    EXPECT_EQ(calls.count, 1);
    EXPECT_EQ(calls.reason.kind, EndKind::kAborted) << calls.reason.ToString();
    WaitForEnded(++ended);
  }
  EXPECT_EQ(client_.Statistics().legs, 0U);
  EXPECT_EQ(client_.Statistics().socket_sends, 0U);
  EXPECT_EQ(client_.Statistics().security_contexts, 0U);
}

}  // namespace
}  // namespace ktlsim::test
