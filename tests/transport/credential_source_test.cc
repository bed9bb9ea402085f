// A server path that listens without a credential: asked by name, waited for, refused, too late,
// and not wanted any more; on a seeded machine, where time is exact, and on real rings.

#include "kernel_sim/transport/credential_source.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

using transport::CredentialOutcome;
using transport::CredentialRef;
using transport::CredentialWaiter;

// Keeps those who wait until the test says what they get.
class ScriptedSource final : public transport::CredentialSource {
 public:
  // Also without a wait, from now on.
  void Give(const CredentialOutcome& outcome, bool to_those_who_come) {
    std::vector<CredentialWaiter*> told;
    {
      const std::lock_guard lock(mutex_);
      if (to_those_who_come) now_ = {outcome};
      told.swap(waiting_);
    }
    for (CredentialWaiter* const waiter : told) {
      waiter->outcome = outcome;
      waiter->OnCredential();
    }
  }

  When Take(std::string_view name, CredentialWaiter& waiter) override {
    const std::lock_guard lock(mutex_);
    names_.emplace_back(name);
    if (!now_.empty()) {
      waiter.outcome = now_.front();
      return When::kNow;
    }
    waiting_.push_back(&waiter);
    return When::kLater;
  }
  bool Withdraw(CredentialWaiter& waiter) override {
    const std::lock_guard lock(mutex_);
    ++withdrawn_;
    if (!lets_go_) return false;
    return std::erase(waiting_, &waiter) != 0;
  }
  std::uint64_t FreeUnused() override {
    const std::lock_guard lock(mutex_);
    ++looked_for_unused_;
    return looked_for_unused_ < 3 ? 5 * kNsPerSecond : 0;
  }

  void HoldOn() { lets_go_ = false; }
  std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  std::vector<std::string> names() {
    const std::lock_guard lock(mutex_);
    return names_;
  }
  unsigned withdrawn() {
    const std::lock_guard lock(mutex_);
    return withdrawn_;
  }
  unsigned looked_for_unused() {
    const std::lock_guard lock(mutex_);
    return looked_for_unused_;
  }

 private:
  std::mutex mutex_;
  std::vector<CredentialOutcome> now_;  // at most one
  std::vector<CredentialWaiter*> waiting_;
  std::vector<std::string> names_;
  unsigned withdrawn_ = 0;
  unsigned looked_for_unused_ = 0;
  bool lets_go_ = true;
};

class CredentialSourceTest : public TransportTest {
 protected:
  void SetUp() override { StartSeeded({}); }

  ServerOptions WithSource() {
    ServerOptions options = DefaultServer();
    options.tls.credential = {};
    SecInvalidateHandle(&options.tls.credential);
    options.tls.credential_source = &source_;
    return options;
  }
  CredentialOutcome Good() {
    credential_ = std::make_shared<const CredHandle>(*server_credential_->get());
    return {.credential = credential_, .status = SEC_E_OK};
  }
  Bytes Hello() {
    TestEnd client(false);
    client.target = "name.example";
    return client.Leg(client_credential_->get());
  }
  void WaitForWaiters(std::size_t count) {
    ASSERT_TRUE(WaitUntil([&] { return source_.waiting() == count; }));
  }
  // The alert that ends a connection: its record is not encrypted.
  static void ExpectAlert(const Bytes& bytes, int description) {
    ASSERT_EQ(bytes.size(), 7U);
    EXPECT_EQ(bytes[0], 21);
    EXPECT_EQ(bytes[6], description);
  }

  ScriptedSource source_;
  CredentialRef credential_;
};

TEST_F(CredentialSourceTest, ACredentialThatIsThereIsUsedAtOnce) {
  source_.Give(Good(), /*to_those_who_come=*/true);
  StartServer(WithSource());
  StartClient();
  ClientTalk talk(monitor_, "");
  Exchange(MakeProfile(DefaultClient()), Pattern(5000), talk);
  EXPECT_EQ(source_.names(), (std::vector<std::string>{"localhost"}));
}

TEST_F(CredentialSourceTest, AConnectionWaitsForItsCredential) {
  StartServer(WithSource());
  StartClient();
  ClientTalk talk(monitor_, Pattern(5000));
  ASSERT_NE(Connect(MakeProfile(DefaultClient()), talk), nullptr);
  WaitForWaiters(1);
  machine_->RunFor(kNsPerSecond);
  EXPECT_FALSE(talk.established);
  source_.Give(Good(), false);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
  EXPECT_EQ(talk.reason.kind, EndKind::kCompleted) << talk.reason.ToString();
  EXPECT_EQ(talk.received, Pattern(5000));
}

TEST_F(CredentialSourceTest, TheNameIsReadByteByByteAndAskedForOnce) {
  StartServer(WithSource());
  RawPeer peer = Dial();
  for (const unsigned char byte : Hello()) {
    peer.Send({byte});
    machine_->RunFor(kNsPerMs);
  }
  WaitForWaiters(1);
  EXPECT_EQ(source_.names(), (std::vector<std::string>{"name.example"}));
  source_.Give(Good(), false);
  EXPECT_FALSE(peer.ReceiveSome().empty());
  peer.Close();
  WaitForEnded(1);
}

// The limit of the wait is the path's own: neither the source nor the peer can make it longer.
TEST_F(CredentialSourceTest, ALimitEndsTheWait) {
  ServerOptions options = WithSource();
  options.tls.limits.credential_ns = 3 * kNsPerSecond;
  StartServer(options);
  RawPeer peer = Dial();
  peer.Send(Hello());
  WaitForWaiters(1);
  const std::uint64_t begun_ns = machine_->NowNs();
  const Bytes alert = peer.ReceiveToEnd();
  ExpectAlert(alert, 80);
  EXPECT_GE(machine_->NowNs(), begun_ns + 3 * kNsPerSecond - kNsPerMs);
  EXPECT_LE(machine_->NowNs(), begun_ns + 3 * kNsPerSecond + kNsPerMs);
  peer.Close();
  ExpectServerEnded(EndKind::kCredentialTimeout);
  EXPECT_EQ(source_.waiting(), 0U);
  EXPECT_EQ(source_.withdrawn(), 1U);
}

TEST_F(CredentialSourceTest, ASourceThatHoldsOnIsWaitedForButNotByThePeer) {
  source_.HoldOn();
  StartServer(WithSource());
  RawPeer peer = Dial();
  peer.Send(Hello());
  WaitForWaiters(1);
  ExpectAlert(peer.ReceiveToEnd(), 80);
  peer.Close();
  machine_->RunFor(10 * kNsPerSecond);
  // Its memory is the source's still.
  EXPECT_EQ(server_.Statistics().ended, 0U);
  EXPECT_EQ(server_.Statistics().handshakes, 0U);
  source_.Give(Good(), false);
  ExpectServerEnded(EndKind::kCredentialTimeout);
}

TEST_F(CredentialSourceTest, TheTimeOfTheWaitIsNotThePeers) {
  ServerOptions options = WithSource();
  options.tls.limits.credential_ns = 20 * kNsPerSecond;
  StartServer(options);
  StartClient();
  TlsOptions patient = DefaultClient();
  patient.limits.leg_ns = 0;
  ClientTalk talk(monitor_, "x");
  ASSERT_NE(Connect(MakeProfile(patient), talk), nullptr);
  WaitForWaiters(1);
  machine_->RunFor(15 * kNsPerSecond);  // longer than leg_ns
  source_.Give(Good(), false);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
  EXPECT_EQ(talk.reason.kind, EndKind::kCompleted) << talk.reason.ToString();
}

TEST_F(CredentialSourceTest, ANameWithoutCredentialIsUnrecognized) {
  StartServer(WithSource());
  std::uint64_t ended = 0;
  for (const SECURITY_STATUS status : {SEC_E_TARGET_UNKNOWN, SEC_E_NO_CREDENTIALS}) {
    RawPeer peer = Dial();
    peer.Send(Hello());
    WaitForWaiters(1);
    source_.Give({.credential = nullptr, .status = status}, false);
    ExpectAlert(peer.ReceiveToEnd(), 112);
    peer.Close();
    ExpectServerEnded(EndKind::kNoCredential, ++ended);
  }
}

TEST_F(CredentialSourceTest, AFailureIsAnAlertOfOurs) {
  source_.Give({.credential = nullptr, .status = SEC_E_UNKNOWN_CREDENTIALS}, true);
  StartServer(WithSource());
  RawPeer peer = Dial();
  peer.Send(Hello());
  ExpectAlert(peer.ReceiveToEnd(), 80);
  peer.Close();
  ExpectServerEnded(EndKind::kNoCredential);
}

TEST_F(CredentialSourceTest, WhatIsNoHelloIsNotAskedFor) {
  StartServer(WithSource());
  RawPeer http = Dial();
  http.Send(ToBytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(http.ReceiveToEnd().empty());
  http.Close();
  ExpectServerEnded(EndKind::kNotTls);
  RawPeer broken = Dial();
  broken.Send({22, 3, 1, 0, 4, 2, 0, 0, 0});
  ExpectAlert(broken.ReceiveToEnd(), 50);
  broken.Close();
  WaitForEnded(2);
  EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kHandshakeFailed), 1U);
  RawPeer short_one = Dial();
  Bytes half = Hello();
  half.resize(20);
  short_one.Send(half);
  short_one.Fin();
  EXPECT_TRUE(short_one.ReceiveToEnd().empty());
  WaitForEnded(3);
  EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kClosedInHandshake), 1U);
  EXPECT_TRUE(source_.names().empty());
}

TEST_F(CredentialSourceTest, ASilentPeerEndsAtTheLegLimit) {
  StartServer(WithSource());
  RawPeer silent = Dial();
  ExpectServerEnded(EndKind::kLegTimeout);
}

TEST_F(CredentialSourceTest, APeerThatGoesIsWithdrawn) {
  StartServer(WithSource());
  RawPeer peer = Dial();
  peer.Send(Hello());
  WaitForWaiters(1);
  peer.Reset();
  ExpectServerEnded(EndKind::kResetByPeer);
  EXPECT_EQ(source_.waiting(), 0U);
}

TEST_F(CredentialSourceTest, AStopWithdrawsThoseWhoWait) {
  StartServer(WithSource());
  RawPeer first = Dial();
  RawPeer second = Dial();
  first.Send(Hello());
  second.Send(Hello());
  WaitForWaiters(2);
  server_.Stop();
  EXPECT_EQ(source_.waiting(), 0U);
  EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kStopped), 2U);
}

// While some wait, the processor serves others.
TEST_F(CredentialSourceTest, AWaitPinsNoProcessor) {
  StartServer(WithSource());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  std::vector<std::unique_ptr<ClientTalk>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(std::make_unique<ClientTalk>(monitor_, "x"));
    ASSERT_NE(Connect(profile, *waiting.back()), nullptr);
  }
  WaitForWaiters(20);
  RawPeer http = Dial();
  http.Send(ToBytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_TRUE(http.ReceiveToEnd().empty());
  http.Close();
  ExpectServerEnded(EndKind::kNotTls);
  source_.Give(Good(), true);
  for (const auto& talk : waiting) {
    ASSERT_TRUE(monitor_.Wait([&] { return talk->ended; }));
    EXPECT_EQ(talk->reason.kind, EndKind::kCompleted) << talk->reason.ToString();
  }
  EXPECT_EQ(source_.names().size(), 20U);
}

// An established connection does not keep a credential that its source wants to free.
TEST_F(CredentialSourceTest, TheCredentialIsLetGoAfterTheHandshake) {
  StartServer(WithSource());
  StartClient();
  ClientTalk talk(monitor_, "x");
  talk.close_when_done = false;
  Connection* const connection = Connect(MakeProfile(DefaultClient()), talk);
  WaitForWaiters(1);
  source_.Give(Good(), false);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.received == "x"; }));
  EXPECT_EQ(credential_.use_count(), 1);
  transport::RunOnLoop(connection->loop(), [&] { connection->Close(); });
  ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
}

TEST_F(CredentialSourceTest, UnusedCredentialsAreLookedForAsLongAsThereAreSome) {
  source_.Give(Good(), true);
  StartServer(WithSource());
  machine_->RunFor(60 * kNsPerSecond);
  EXPECT_EQ(source_.looked_for_unused(), 0U);
  StartClient();
  ClientTalk talk(monitor_, "");
  Exchange(MakeProfile(DefaultClient()), "x", talk);
  machine_->RunFor(60 * kNsPerSecond);
  EXPECT_EQ(source_.looked_for_unused(), 3U);
}

TEST_F(CredentialSourceTest, IsForServersOnly) {
  TlsOptions options;
  options.credential_source = &source_;
  EXPECT_FALSE(TlsProfile::Create(TlsProfile::Side::kClient, options).ok());
}

// On threads: the source tells from another one than the loop's.
class RealCredentialSourceTest : public CredentialSourceTest {
 protected:
  void SetUp() override { StartRuntime(); }
};

TEST_F(RealCredentialSourceTest, ManyConnectionsWaitForOneAnswer) {
  StartServer(WithSource());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  std::vector<std::unique_ptr<ClientTalk>> talks;
  for (int i = 0; i < 50; ++i) {
    talks.push_back(std::make_unique<ClientTalk>(monitor_, Pattern(3000)));
    ASSERT_NE(Connect(profile, *talks.back()), nullptr);
  }
  WaitForWaiters(50);
  source_.Give(Good(), true);
  for (const auto& talk : talks) {
    ASSERT_TRUE(monitor_.Wait([&] { return talk->ended; }));
    EXPECT_EQ(talk->reason.kind, EndKind::kCompleted) << talk->reason.ToString();
  }
}

TEST_F(RealCredentialSourceTest, AStopDuringWaitsAndOutcomesLeavesNothing) {
  StartServer(WithSource());
  std::vector<RawPeer> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(Dial());
    peers.back().Send(Hello());
  }
  WaitForWaiters(20);
  const CredentialOutcome good = Good();
  std::thread teller([&] { source_.Give(good, true); });
  server_.Stop();
  teller.join();
  EXPECT_EQ(server_.Statistics().ended, 20U);
}

}  // namespace
}  // namespace ktlsim::test
