// Our client path against our server path: versions, resumption, sizes, back-pressure, closing.

#include <thread>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

class ExchangeTest : public TransportTest {};

TEST_F(ExchangeTest, SpeaksTls13AndNamesWhatWasNegotiated) {
  ServerOptions options = DefaultServer();
  options.tls.alpn = {"h2", "http/1.1"};
  StartServer(options);
  StartClient();
  TlsOptions client = DefaultClient();
  client.alpn = {"http/1.1", "h2"};
  ClientTalk talk(monitor_, "");
  Exchange(MakeProfile(client), "hello", talk);
  EXPECT_EQ(talk.info.version, 0x0304);
  EXPECT_STREQ(talk.info.version_text(), "TLS 1.3");
  EXPECT_EQ(talk.info.alpn, "h2");
  EXPECT_NE(talk.info.cipher_suite, 0);
  EXPECT_FALSE(talk.info.resumed);
  ExpectServerEnded(EndKind::kCompleted);
}

TEST_F(ExchangeTest, SpeaksTls12) {
  TestCredential old = TestCredential::Client(SP_PROT_TLS1_3_CLIENT);
  StartServer(DefaultServer());
  StartClient();
  TlsOptions client = DefaultClient();
  client.credential = *old.get();
  ClientTalk talk(monitor_, "");
  Exchange(MakeProfile(client), Pattern(40000), talk);
  EXPECT_EQ(talk.info.version, 0x0303);
  client_.Stop();
}

TEST_F(ExchangeTest, SecondConnectionResumes) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  ClientTalk first(monitor_, "");
  Exchange(profile, "one", first);
  ClientTalk second(monitor_, "");
  Exchange(profile, "two", second);
  EXPECT_TRUE(second.info.resumed);
  WaitForEnded(2);
  EXPECT_EQ(server_.Statistics().resumed, 1U);
}

TEST_F(ExchangeTest, EchoesEverySmallSize) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  for (std::size_t size = 1; size <= 300; size += size < 40 ? 1 : 13) {
    ClientTalk talk(monitor_, "");
    Exchange(profile, Pattern(size), talk);
  }
}

TEST_F(ExchangeTest, EchoesAroundTheRecordSizeAndALot) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  for (const std::size_t size : {16383U, 16384U, 16385U, 32768U, 65535U, 65536U, 65537U, 131072U,
                                 1024U * 1024U, 8U * 1024U * 1024U}) {
    ClientTalk talk(monitor_, "");
    Exchange(profile, Pattern(size), talk);
  }
}

TEST_F(ExchangeTest, ManyConnectionsLeaveNothingBehind) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  constexpr std::size_t kConnections = 1000;
  constexpr std::size_t kAtOnce = 50;
  for (std::size_t begun = 0; begun < kConnections; begun += kAtOnce) {
    std::vector<std::unique_ptr<ClientTalk>> talks;
    for (std::size_t i = 0; i < kAtOnce; ++i) {
      talks.push_back(std::make_unique<ClientTalk>(monitor_, Pattern(100 + begun + i)));
      ASSERT_NE(Connect(profile, *talks.back()), nullptr);
    }
    for (const auto& talk : talks) {
      ASSERT_TRUE(monitor_.Wait([&] { return talk->ended; }));
      EXPECT_EQ(talk->received, talk->message) << talk->reason.ToString();
    }
  }
  ExpectServerEnded(EndKind::kCompleted, kConnections);
  // A connection has ended before its memory is returned.
  ASSERT_TRUE(WaitUntil([&] { return server_.Statistics().connections == 0; }));
  const TransportStatistics statistics = server_.Statistics();
  EXPECT_EQ(statistics.established, kConnections);
  EXPECT_EQ(statistics.buffers, 0U);
  EXPECT_EQ(statistics.security_contexts, 0U);
}

// Callbacks on the notification pool: the work is posted back to the loop, and nothing else
// differs.
TEST_F(ExchangeTest, CallbacksOfThePoolComeBackToTheLoop) {
  ServerOptions options = DefaultServer();
  options.notify_mode = KTLSIM_NOTIFY_POOL;
  StartServer(options);
  StartClient(KTLSIM_NOTIFY_POOL);
  const auto on_processors = [] {
    KtlsimProcessorStatistics one{};
    one.cbSize = sizeof(one);
    ULONGLONG sum = 0;
    for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &one) == SEC_E_OK; ++i) {
      sum += one.cCallbacks;
    }
    return sum;
  };
  const ULONGLONG before = on_processors();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  constexpr std::size_t kConnections = 40;
  std::vector<std::unique_ptr<ClientTalk>> talks;
  for (std::size_t i = 0; i < kConnections; ++i) {
    talks.push_back(std::make_unique<ClientTalk>(monitor_, Pattern(5000 + 997 * i)));
    ASSERT_NE(Connect(profile, *talks.back()), nullptr);
  }
  for (const auto& talk : talks) {
    ASSERT_TRUE(monitor_.Wait([&] { return talk->ended; }));
    EXPECT_EQ(talk->received, talk->message) << talk->reason.ToString();
  }
  ExpectServerEnded(EndKind::kCompleted, kConnections);
  EXPECT_EQ(on_processors(), before);
  KtlsimStatistics all{};
  all.cbSize = sizeof(all);
  ASSERT_EQ(KtlsimQueryStatistics(&all), SEC_E_OK);
  EXPECT_GT(all.cCallbacks, kConnections);
}

// A stop while calls are in flight, and their callbacks are on their way back to the loop.
TEST_F(ExchangeTest, AStopWaitsForCallbacksOfThePool) {
  ServerOptions options = DefaultServer();
  options.notify_mode = KTLSIM_NOTIFY_POOL;
  options.drain_ns = 0;
  StartServer(options);
  StartClient(KTLSIM_NOTIFY_POOL);
  const TlsProfile& profile = MakeProfile(DefaultClient());
  std::vector<std::unique_ptr<ClientTalk>> talks;
  for (std::size_t i = 0; i < 50; ++i) {
    talks.push_back(std::make_unique<ClientTalk>(monitor_, Pattern(100000)));
    ASSERT_NE(Connect(profile, *talks.back()), nullptr);
  }
  ASSERT_TRUE(WaitUntil([&] { return server_.Statistics().legs > 0; }));
  server_.Stop();
  client_.Stop();
  for (const auto& talk : talks) EXPECT_TRUE(talk->ended);
  EXPECT_EQ(server_.Statistics().connections, 0U);
}

// Sends without end and counts what could be handed over.
class Flood final : public ConnectionHandler {
 public:
  explicit Flood(Monitor& monitor) : monitor_(monitor) {}
  void OnEstablished(Connection& connection) override { Fill(connection); }
  void OnWritable(Connection& connection) override { Fill(connection); }
  void OnPlaintext(Connection&, std::span<std::byte>) override {}
  void OnEnded(Connection&, const EndReason& why) override {
    monitor_.Update([&] {
      reason = why;
      ended = true;
    });
  }

  EndReason reason;
  bool ended = false;

 private:
  void Fill(Connection& connection) {
    for (std::span<std::byte> space = connection.SendSpace(); !space.empty();
         space = connection.SendSpace()) {
      std::memset(space.data(), 'x', space.size());
      connection.CommitSend(space.size());
    }
  }
  Monitor& monitor_;
};

TEST_F(ExchangeTest, AReaderThatStopsHoldsTheSenderBackAndEndsIdle) {
  ServerOptions options = DefaultServer();
  options.tls.limits.idle_ns = 300 * kNsPerMs;
  Flood flood(monitor_);
  StartServer(options, [&](Connection&) { return &flood; });
  RawPeer peer = Dial();
  TestEnd client(false);
  while (client.status == SEC_I_CONTINUE_NEEDED) {
    peer.Send(client.Leg(client_credential_->get()));
    if (client.status == SEC_I_CONTINUE_NEEDED) Append(client.inbox, peer.ReceiveSome());
  }
  ASSERT_EQ(client.status, SEC_E_OK);
  // The peer reads nothing any more.
  ASSERT_TRUE(monitor_.Wait([&] { return flood.ended; }));
  EXPECT_EQ(flood.reason.kind, EndKind::kIdleTimeout) << flood.reason.ToString();
  // At most two buffers are sealed beyond what the kernel took.
  EXPECT_LT(server_.Statistics().plaintext_sent, 64U << 20);
}

// Pauses reading in the call with its first plaintext, and never resumes.
class Pauser final : public ConnectionHandler {
 public:
  explicit Pauser(Monitor& monitor) : monitor_(monitor) {}
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    monitor_.Update([&] {
      received += plaintext.size();
      one = &connection;
    });
    if (!resumed) connection.PauseReading();
  }
  void OnEnded(Connection&, const EndReason& why) override {
    monitor_.Update([&] {
      reason = why;
      ended = true;
    });
  }

  std::size_t received = 0;
  Connection* one = nullptr;
  bool resumed = false;
  bool ended = false;
  EndReason reason;

 private:
  Monitor& monitor_;
};

TEST_F(ExchangeTest, PausedReadingReachesTheSenderAndGoesOn) {
  Pauser pauser(monitor_);
  StartServer(DefaultServer(), [&](Connection&) { return &pauser; });
  StartClient();
  ClientTalk talk(monitor_, Pattern(32 * 1024 * 1024));
  talk.close_when_done = false;
  Connection* connection = Connect(MakeProfile(DefaultClient()), talk);
  ASSERT_NE(connection, nullptr);
  ASSERT_TRUE(monitor_.Wait([&] { return pauser.received > 0; }));
  // Another connection is served meanwhile, and memory does not grow.
  EXPECT_LT(server_.Statistics().plaintext_received, talk.message.size());
  transport::RunOnLoop(pauser.one->loop(), [&] {
    pauser.resumed = true;
    pauser.one->ResumeReading();
  });
  ASSERT_TRUE(monitor_.Wait([&] { return pauser.received == talk.message.size(); }));
  transport::RunOnLoop(connection->loop(), [&] { connection->Close(); });
  ASSERT_TRUE(monitor_.Wait([&] { return pauser.ended && talk.ended; }));
  EXPECT_EQ(pauser.reason.kind, EndKind::kCompleted) << pauser.reason.ToString();
}

// Replies only after the client has closed its half.
class AnswersAfterClose final : public ConnectionHandler {
 public:
  void OnPlaintext(Connection&, std::span<std::byte> plaintext) override {
    received_ += plaintext.size();
  }
  void OnPeerClosed(Connection& connection, bool truncated) override {
    const std::string answer = (truncated ? "cut " : "whole ") + std::to_string(received_);
    connection.Send(std::as_bytes(std::span(answer)));
    connection.Close();
  }
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  std::size_t received_ = 0;
};

struct HalfCloser final : ConnectionHandler {
  explicit HalfCloser(Monitor& shared) : monitor(shared) {}
  void OnEstablished(Connection& connection) override {
    const std::string text = Pattern(50000);
    EXPECT_EQ(connection.Send(std::as_bytes(std::span(text))), text.size());
    connection.ShutdownSend();
  }
  void OnPlaintext(Connection&, std::span<std::byte> plaintext) override {
    answer.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size());
  }
  void OnEnded(Connection&, const EndReason& why) override {
    monitor.Update([&] {
      reason = why;
      ended = true;
    });
  }
  Monitor& monitor;
  std::string answer;
  EndReason reason;
  bool ended = false;
};

TEST_F(ExchangeTest, HalfClosedConnectionsStillAnswer) {
  StartServer(DefaultServer(), [](Connection&) { return new AnswersAfterClose(); });
  StartClient();
  HalfCloser closer(monitor_);
  ASSERT_NE(Connect(MakeProfile(DefaultClient()), closer), nullptr);
  ASSERT_TRUE(monitor_.Wait([&] { return closer.ended; }));
  EXPECT_EQ(closer.answer, "whole 50000");
  EXPECT_EQ(closer.reason.kind, EndKind::kCompleted) << closer.reason.ToString();
  ExpectServerEnded(EndKind::kCompleted);
}

// Sends more than a socket holds, and then admits that it is not the whole.
class CutsItsResponse final : public ConnectionHandler {
 public:
  explicit CutsItsResponse(std::size_t bytes) : text_(Pattern(bytes)) {}
  void OnEstablished(Connection& connection) override { OnWritable(connection); }
  void OnPlaintext(Connection&, std::span<std::byte>) override {}
  void OnWritable(Connection& connection) override {
    sent_ += connection.Send(std::as_bytes(std::span(text_)).subspan(sent_));
    if (sent_ == text_.size()) connection.CutFor(EndKind::kBackendFailed);
  }
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  const std::string text_;
  std::size_t sent_ = 0;
};

struct CutReader final : ConnectionHandler {
  explicit CutReader(Monitor& shared) : monitor(shared) {}
  void OnPlaintext(Connection&, std::span<std::byte> plaintext) override {
    received += plaintext.size();
  }
  void OnPeerClosed(Connection& connection, bool truncated) override {
    cut = truncated;
    connection.Close();
  }
  void OnEnded(Connection&, const EndReason&) override {
    monitor.Update([&] { ended = true; });
  }
  Monitor& monitor;
  std::size_t received = 0;
  bool cut = false;
  bool ended = false;
};

TEST_F(ExchangeTest, ACutConnectionDeliversItsDataAndIsKnownToBeCut) {
  constexpr std::size_t kBytes = std::size_t{4} << 20;
  std::uint64_t connections = 0;
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, kBytes}) {
    StartServer(DefaultServer(), [&](Connection&) { return new CutsItsResponse(bytes); });
    StartClient();
    CutReader reader(monitor_);
    ASSERT_NE(Connect(MakeProfile(DefaultClient()), reader), nullptr);
    ASSERT_TRUE(monitor_.Wait([&] { return reader.ended; }));
    EXPECT_TRUE(reader.cut);
    EXPECT_EQ(reader.received, bytes);
    ExpectServerEnded(EndKind::kBackendFailed, ++connections);
    client_.Stop();
    server_.Stop();
  }
}

TEST_F(ExchangeTest, StopEndsLiveConnections) {
  StartServer(DefaultServer());
  StartClient();
  ClientTalk talk(monitor_, "stays");
  talk.close_when_done = false;
  ASSERT_NE(Connect(MakeProfile(DefaultClient()), talk), nullptr);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.received == talk.message; }));
  RawPeer silent = Dial();
  server_.Stop();
  EXPECT_EQ(server_.Statistics().connections, 0U);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
  EXPECT_EQ(talk.reason.kind, EndKind::kCompleted) << talk.reason.ToString();
}

TEST_F(ExchangeTest, AnUntrustedCertificateEndsBothWithWords) {
  StartServer(DefaultServer());
  StartClient();
  TestCredential strict = TestCredential::Client(0, 0);
  TlsOptions options = DefaultClient();
  options.credential = *strict.get();
  ClientTalk talk(monitor_, "never");
  ASSERT_NE(Connect(MakeProfile(options), talk), nullptr);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
  EXPECT_EQ(talk.reason.kind, EndKind::kHandshakeFailed) << talk.reason.ToString();
  EXPECT_EQ(talk.reason.status, SEC_E_UNTRUSTED_ROOT) << talk.reason.ToString();
  WaitForEnded(1);
  const std::size_t unknown_ca = transport::AlertKindOf(48);
  EXPECT_EQ(talk.reason.sent_alert, 48);
  EXPECT_EQ(talk.reason.received_alert, -1);
  EXPECT_NE(talk.reason.ToString().find("not trusted (alert unknown_ca sent)"), std::string::npos)
      << talk.reason.ToString();
  EXPECT_EQ(client_.Statistics().failed_by_class(transport::FailureClass::kCertificate), 1U);
  EXPECT_EQ(client_.Statistics().alerts_sent[unknown_ca], 1U);
  EXPECT_EQ(server_.Statistics().failed_by_class(transport::FailureClass::kPeerAlert), 1U)
      << Ends();
  EXPECT_EQ(server_.Statistics().alerts_received[unknown_ca], 1U);
  client_.Stop();
}

TEST_F(ExchangeTest, ConnectingToNobodyIsToldOnce) {
  StartServer(DefaultServer());
  server_.Stop();
  StartClient();
  ClientTalk talk(monitor_, "never");
  ASSERT_NE(Connect(MakeProfile(DefaultClient()), talk), nullptr);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
  EXPECT_EQ(talk.reason.kind, EndKind::kConnectFailed);
  EXPECT_EQ(talk.reason.error_number, ECONNREFUSED);
}

// Handshakes on crypto processors, records on the connection's own.
class PoolPlacementTest : public TransportTest {
 protected:
  void SetUp() override { StartRuntime(0, KTLSIM_PLACEMENT_POOL); }
};

TEST_F(PoolPlacementTest, ExchangesAndResumes) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  for (std::size_t size = 1; size < 400 * 1000; size *= 5) {
    ClientTalk talk(monitor_, "");
    Exchange(profile, Pattern(size), talk);
    EXPECT_EQ(talk.info.resumed, size > 1);
  }
}

TEST_F(PoolPlacementTest, ConnectionsDieWhileTheirLegsRun) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  std::vector<std::unique_ptr<ClientTalk>> talks;
  io::Loop& loop = *client_.loops().front();
  for (int i = 0; i < 100; ++i) {
    talks.push_back(std::make_unique<ClientTalk>(monitor_, "x"));
    Connection* connection = nullptr;
    transport::RunOnLoop(
        loop, [&] { connection = client_.Connect(loop, address_, profile, *talks.back()); });
    ASSERT_NE(connection, nullptr);
    transport::RunOnLoop(loop, [&] {
      // It may have ended already.
      if (!talks.back()->ended) connection->Abort();
    });
  }
  for (const auto& talk : talks) ASSERT_TRUE(monitor_.Wait([&] { return talk->ended; }));
  WaitForEnded(server_.Statistics().opened);
}

}  // namespace
}  // namespace ktlsim::test
