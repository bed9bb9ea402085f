// The flow table of server context initialisation, status by status, with the scripted package,
// whose legs return statuses that TLS never does; and the time limits while a leg is in flight.

#include "kernel_sim/sspi/packages/scripted_package.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/hang_limit.h"
#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

using sspi::Script;
using sspi::ScriptedLeg;
using sspi::ScriptedPackage;

// What looks like a whole record, with one letter in it.
Bytes Record(char letter) { return {0x16, 3, 1, 0, 1, static_cast<unsigned char>(letter)}; }
std::string RecordText(char letter) { return ToText(Record(letter)); }

ScriptedLeg Leg(SECURITY_STATUS status, std::string output = {}, std::string expected = {}) {
  ScriptedLeg leg;
  leg.status = status;
  leg.output = std::move(output);
  leg.expected = std::move(expected);
  return leg;
}

std::string Inverted(std::string text) {
  for (char& c : text) c = static_cast<char>(~c);
  return text;
}

class FlowTableTest : public TransportTest {
 protected:
  void SetUp() override {
    TransportTest::SetUp();
    static const bool registered = [] {
      sspi::Runtime::Instance().RegisterPackage(ScriptedPackage::Instance());
      return true;
    }();
    ASSERT_TRUE(registered);
    SecInvalidateHandle(&credential_);
  }
  void TearDown() override {
    server_.Stop();
    if (SecIsValidHandle(&credential_)) {
      EXPECT_EQ(FreeCredentialsHandle(&credential_), SEC_E_OK);
    }
    TransportTest::TearDown();
  }

  void StartScripted(std::vector<ScriptedLeg> legs, transport::Limits limits = {}) {
    script_.legs = std::move(legs);
    std::string name = ScriptedPackage::kName;
    ASSERT_EQ(AcquireCredentialsHandleA(nullptr, name.data(), SECPKG_CRED_INBOUND, nullptr,
                                        &script_, nullptr, nullptr, &credential_, nullptr),
              SEC_E_OK);
    ServerOptions options = DefaultServer();
    options.tls.credential = credential_;
    limits.close_ns = 300 * kNsPerMs;
    options.tls.limits = limits;
    StartServer(options);
  }
  // Sends `input`, expects exactly `answer`.
  static void Talk(RawPeer& peer, const Bytes& input, const std::string& answer) {
    peer.Send(input);
    std::string got;
    while (got.size() < answer.size()) {
      const Bytes some = peer.ReceiveSome();
      if (some.empty()) break;
      got += ToText(some);
    }
    EXPECT_TRUE(got == answer) << got.size() << " bytes of " << answer.size();
  }

  Script script_;
  CredHandle credential_;
};

TEST_F(FlowTableTest, ContinueSendsItsTokenAndAnErrorSendsItsTokenToo) {
  StartScripted({Leg(SEC_I_CONTINUE_NEEDED, "one", RecordText('a')),
                 Leg(SEC_I_CONTINUE_NEEDED, "", RecordText('b')),
                 Leg(SEC_E_LOGON_DENIED, "sorry", RecordText('c'))});
  RawPeer peer = Dial();
  Talk(peer, Record('a'), "one");
  peer.Send(Record('b'));
  // The second has no reply to wait for: its leg is over when the reply to the third comes.
  const auto limit = std::chrono::steady_clock::now() + kHangLimit;
  while (server_.Statistics().legs < 2 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  Talk(peer, Record('c'), "sorry");
  peer.Fin();
  EXPECT_TRUE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kHandshakeFailed);
  EXPECT_EQ(server_.Statistics().failed_by_class(transport::FailureClass::kLogon), 1U);
}

TEST_F(FlowTableTest, CompleteAndContinueCompletesBeforeItSends) {
  StartScripted({Leg(SEC_I_COMPLETE_AND_CONTINUE, "first"), Leg(SEC_E_INVALID_TOKEN, "end")});
  RawPeer peer = Dial();
  Talk(peer, Record('a'), Inverted("first"));
  Talk(peer, Record('b'), "end");
  peer.Fin();
  EXPECT_TRUE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kHandshakeFailed);
}

TEST_F(FlowTableTest, CompleteNeededCompletesBeforeItSends) {
  // The package has no stream sizes, so the connection fails once it is established: after the
  // token.
  StartScripted({Leg(SEC_I_COMPLETE_NEEDED, "final")});
  RawPeer peer = Dial();
  Talk(peer, Record('a'), Inverted("final"));
  peer.Fin();
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kHandshakeFailed);
}

TEST_F(FlowTableTest, ATokenThatDoesNotFitIsFetchedWithALargerBuffer) {
  const std::string large = Pattern(200 * 1000);
  StartScripted({Leg(SEC_I_CONTINUE_NEEDED, large, RecordText('a')), Leg(SEC_E_INVALID_TOKEN)});
  RawPeer peer = Dial();
  Talk(peer, Record('a'), large);
  peer.Send(Record('b'));
  peer.Fin();
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kHandshakeFailed);
}

TEST_F(FlowTableTest, IncompleteKeepsTheBytesAndReadsMore) {
  StartScripted({Leg(SEC_E_INCOMPLETE_MESSAGE, {}, RecordText('a')),
                 Leg(SEC_I_CONTINUE_NEEDED, "ok", RecordText('a'))});
  RawPeer peer = Dial();
  peer.Send(Record('a'));
  const auto limit = std::chrono::steady_clock::now() + kHangLimit;
  while (server_.Statistics().legs < 1 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  // An incomplete first leg leaves no context: the script starts again with more bytes, and refuses
  // the rest of them.
  peer.Send(Record('b'));
  peer.Fin();
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kHandshakeFailed);
  EXPECT_EQ(server_.Statistics().legs, 2U);
}

// The limit wins: the connection ends at once for the peer, and its memory waits for the leg.
TEST_F(FlowTableTest, TimeLimitsWinWhileALegIsInFlight) {
  executive::ResumeToken token;
  bool suspended = false;
  ScriptedLeg leg = Leg(SEC_I_CONTINUE_NEEDED, "never seen");
  leg.on_suspend = [&](executive::ResumeToken resume) {
    monitor_.Update([&] {
      token = resume;
      suspended = true;
    });
  };
  transport::Limits limits;
  limits.leg_ns = 2 * kNsPerSecond;  // enough for the leg to be reached on a busy machine
  StartScripted({leg}, limits);
  RawPeer peer = Dial();
  peer.Send(Record('a'));
  ASSERT_TRUE(monitor_.Wait([&] { return suspended; }));
  EXPECT_TRUE(peer.ReceiveToEnd().empty());  // ends although the leg was not resumed
  EXPECT_EQ(server_.Statistics().ended, 0U);
  EXPECT_EQ(server_.Statistics().connections, 1U);
  token.Resume();
  ExpectServerEnded(EndKind::kLegTimeout);
}

// The same for the whole handshake, with a context that exists: it is deleted after the leg, whose
// late callback finds the connection dead and sends nothing.
TEST_F(FlowTableTest, TheHandshakeLimitWinsWhileALaterLegIsInFlight) {
  executive::ResumeToken token;
  bool suspended = false;
  ScriptedLeg late = Leg(SEC_I_CONTINUE_NEEDED, "never seen", RecordText('b'));
  late.on_suspend = [&](executive::ResumeToken resume) {
    monitor_.Update([&] {
      token = resume;
      suspended = true;
    });
  };
  transport::Limits limits;
  limits.handshake_ns = 2 * kNsPerSecond;
  StartScripted({Leg(SEC_I_CONTINUE_NEEDED, "one", RecordText('a')), late}, limits);
  RawPeer peer = Dial();
  Talk(peer, Record('a'), "one");
  peer.Send(Record('b'));
  ASSERT_TRUE(monitor_.Wait([&] { return suspended; }));
  EXPECT_TRUE(peer.ReceiveToEnd().empty());
  EXPECT_EQ(server_.Statistics().connections, 1U) << "its memory waits for the leg";
  token.Resume();
  ExpectServerEnded(EndKind::kHandshakeTimeout);
  KtlsimStatistics statistics{};
  statistics.cbSize = sizeof(statistics);
  do {
    std::this_thread::yield();
    ASSERT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
  } while (statistics.cSecurityContexts != 0);
}

}  // namespace
}  // namespace ktlsim::test
