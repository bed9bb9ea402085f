// Peers that are silent, slow, broken or gone: each connection ends with its reason and its
// counter, and nothing is left over (TransportTest checks that at the end of every test). Exact
// times of the limits: limits_test.cc.

#include <thread>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

using transport::FailureClass;

// On real rings; on a seeded machine without faults; and with seeds where bytes come in pieces,
// completions come late and in another order, and buffers and queues run out.
struct Ground {
  std::uint64_t seed = 0;  // 0: real rings
  bool faults = false;
};

std::string NameOf(const testing::TestParamInfo<Ground>& ground) {
  if (ground.param.seed == 0) return "Real";
  return (ground.param.faults ? "SeededFaults" : "Seeded") + std::to_string(ground.param.seed);
}

const auto kGrounds =
    testing::Values(Ground{}, Ground{.seed = 1}, Ground{.seed = 2, .faults = true},
                    Ground{.seed = 3, .faults = true});

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

TEST_P(HostileTest, ASilentClientEndsAtTheLegLimitWhileOthersAreServed) {
  ServerOptions options = DefaultServer();
  options.tls.limits.leg_ns = 50 * kNsPerMs;
  StartServer(options);
  StartClient();
  RawPeer silent = Dial();
  ClientTalk talk(monitor_, "");
  Exchange(MakeProfile(DefaultClient()), "served meanwhile", talk);
  EXPECT_TRUE(silent.ReceiveToEnd().empty());
  WaitForEnded(2);
  EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kLegTimeout), 1U) << Ends();
  EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kCompleted), 1U) << Ends();
}

TEST_P(HostileTest, SilenceAfterTheFirstLegEndsAtTheLegLimit) {
  ServerOptions options = DefaultServer();
  options.tls.limits.leg_ns = 50 * kNsPerMs;
  StartServer(options);
  RawPeer peer = Dial();
  peer.Send(ClientHello());
  EXPECT_FALSE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kLegTimeout);
}

TEST_P(HostileTest, AByteAtATimeEndsAtTheHandshakeLimit) {
  ServerOptions options = DefaultServer();
  options.tls.limits.handshake_ns = 80 * kNsPerMs;
  StartServer(options);
  RawPeer peer = Dial();
  const Bytes hello = ClientHello();
  for (std::size_t i = 0; i + 1 < hello.size(); ++i) peer.Send({hello[i]});
  EXPECT_TRUE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kHandshakeTimeout);
}

TEST_P(HostileTest, AWholeHandshakeAByteAtATimeSucceeds) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  for (const unsigned char byte : client.Leg(client_credential_->get())) peer.Send({byte});
  while (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
    const Bytes some = peer.ReceiveSome();
    ASSERT_FALSE(some.empty());
    Append(client.inbox, some);
    for (const unsigned char byte : client.Leg(client_credential_->get())) peer.Send({byte});
  }
  ASSERT_EQ(client.status, SEC_E_OK);
  for (const unsigned char byte : client.Seal(ToBytes("slow"))) peer.Send({byte});
  Bytes answer;
  while (answer.size() < 4) {
    const Bytes some = peer.ReceiveSome();
    ASSERT_FALSE(some.empty());
    Append(client.inbox, some);
    Append(answer, client.Open(client_credential_->get()));
  }
  EXPECT_EQ(ToText(answer), "slow");
  peer.Close();
  ExpectServerEnded(EndKind::kTruncatedByPeer);
}

TEST_P(HostileTest, PlainHttpIsNotTls) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  peer.Send(ToBytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  peer.Fin();
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kNotTls);
}

TEST_P(HostileTest, GarbageOfEveryLengthEnds) {
  ServerOptions options = DefaultServer();
  options.tls.limits.leg_ns = 100 * kNsPerMs;
  StartServer(options);
  std::uint64_t count = 0;
  for (const int fill : {0x00, 0x14, 0x15, 0x16, 0x17, 0x80, 0xff}) {
    for (const std::size_t size : {1U, 4U, 5U, 6U, 100U, 20000U, 70000U}) {
      RawPeer peer = Dial();
      Bytes garbage(size, static_cast<unsigned char>(fill));
      if (fill == 0x16 && size > 2) garbage[1] = 3;
      peer.Send(garbage);
      peer.Fin();
      peer.ReceiveToEnd();
      ++count;
    }
  }
  WaitForEnded(count);
  EXPECT_EQ(server_.Statistics().established, 0U);
  EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kCompleted), 0U) << Ends();
}

TEST_P(HostileTest, AFlippedByteInTheClientHelloNeverHurts) {
  ServerOptions options = DefaultServer();
  options.tls.limits.leg_ns = 20 * kNsPerMs;
  StartServer(options);
  const Bytes hello = ClientHello();
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < hello.size(); i += 3) {
    RawPeer peer = Dial();
    Bytes changed = hello;
    changed[i] = static_cast<unsigned char>(changed[i] ^ 0x41);
    peer.Send(changed);
    peer.Fin();
    peer.ReceiveToEnd();
    ++count;
  }
  WaitForEnded(count);
  EXPECT_EQ(server_.Statistics().established, 0U);
}

TEST_P(HostileTest, ATruncatedClientHelloAndFinIsClosedInHandshake) {
  StartServer(DefaultServer());
  const Bytes hello = ClientHello();
  std::uint64_t count = 0;
  for (const int size : {1, 4, 5, 6, 50}) {
    RawPeer peer = Dial();
    peer.Send(Bytes(hello.begin(), hello.begin() + size));
    peer.Fin();
    EXPECT_TRUE(peer.ReceiveToEnd().empty());
    ++count;
  }
  ExpectServerEnded(EndKind::kClosedInHandshake, count);
}

TEST_P(HostileTest, AClientHelloCutAtEveryByteEnds) {
  StartServer(DefaultServer());
  const Bytes hello = ClientHello();
  std::uint64_t count = 0;
  for (std::size_t size = 1; size < hello.size(); ++size) {
    RawPeer peer = Dial();
    peer.Send(Bytes(hello.begin(), hello.begin() + static_cast<std::ptrdiff_t>(size)));
    if (size % 2 == 0) {
      peer.Reset();
    } else {
      peer.Fin();
    }
    ++count;
  }
  WaitForEnded(count);
  const TransportStatistics statistics = server_.Statistics();
  EXPECT_EQ(statistics.ended_by_kind(EndKind::kResetByPeer) +
                statistics.ended_by_kind(EndKind::kClosedInHandshake),
            count)
      << Ends();
  EXPECT_GT(statistics.ended_by_kind(EndKind::kClosedInHandshake), 0U) << Ends();
}

// Longer than any opened record may be, but not longer than a protected record may be.
TEST_P(HostileTest, RecordsOfSeventeenKibibytesEnd) {
  StartServer(DefaultServer());
  constexpr std::size_t kFragment = 17 * 1024;
  Bytes record = {0x16, 3, 3, kFragment >> 8, kFragment & 0xff};
  record.resize(5 + kFragment, 1);
  RawPeer first = Dial();
  first.Send(record);
  first.ReceiveToEnd();
  first.Close();
  ExpectServerEnded(EndKind::kHandshakeFailed);
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  record[0] = 0x17;
  peer.Send(record);
  peer.ReceiveToEnd();
  peer.Close();
  WaitForEnded(2);
  EXPECT_EQ(server_.Statistics().ended_by_kind(EndKind::kRecordFailed), 1U) << Ends();
}

TEST_P(HostileTest, FinAtOnceIsClosedBeforeHandshake) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  peer.Close();
  ExpectServerEnded(EndKind::kClosedBeforeHandshake);
}

TEST_P(HostileTest, FinBehindTheClientHelloIsClosedInHandshakeAfterItsLeg) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  peer.Send(ClientHello());
  peer.Fin();
  EXPECT_FALSE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kClosedInHandshake);
}

TEST_P(HostileTest, ResetInEveryLegIsToldAsSuch) {
  TestCredential old = TestCredential::Client(SP_PROT_TLS1_3_CLIENT);
  StartServer(DefaultServer());
  std::uint64_t count = 0;
  for (PCredHandle credential : {client_credential_->get(), old.get()}) {
    for (const int legs : {0, 1, 2}) {
      RawPeer peer = Dial();
      TestEnd client(false);
      Handshake(peer, client, credential, legs);
      if (legs == 1) peer.ReceiveSome();
      peer.Reset();
      ++count;
    }
  }
  WaitForEnded(count);
  const TransportStatistics statistics = server_.Statistics();
  // The last leg may have completed the handshake.
  EXPECT_EQ(statistics.ended_by_kind(EndKind::kResetByPeer), count) << Ends();
}

TEST_P(HostileTest, ADamagedRecordIsAnsweredWithAnAlert) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  ExpectEcho(peer, client, "fine so far");
  Bytes record = client.Seal(ToBytes("this one is damaged"));
  record.back() ^= 1;
  peer.Send(record);
  Append(client.inbox, peer.ReceiveToEnd());
  client.Open(client_credential_->get());
  EXPECT_EQ(client.status, SEC_E_MESSAGE_ALTERED);  // bad_record_mac
  peer.Close();
  ExpectServerEnded(EndKind::kRecordFailed);
  EXPECT_EQ(server_.Statistics().failed_by_class(FailureClass::kRecordProtection), 1U);
}

TEST_P(HostileTest, AnOverlongRecordEnds) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  peer.Send({0x17, 3, 3, 0xff, 0xff, 1, 2, 3});
  peer.ReceiveToEnd();
  peer.Close();
  ExpectServerEnded(EndKind::kRecordFailed);
}

TEST_P(HostileTest, FinWithoutCloseNotifyIsTruncation) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  ExpectEcho(peer, client, "cut");
  peer.Fin();
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kTruncatedByPeer);
}

TEST_P(HostileTest, ACloseNotifyIsAnsweredInOrder) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  peer.Send(client.Seal({1, 0}, SECQOP_WRAP_OOB_DATA));
  Append(client.inbox, peer.ReceiveToEnd());
  client.Open(client_credential_->get());
  EXPECT_EQ(client.status, SEC_I_CONTEXT_EXPIRED);
  ExpectServerEnded(EndKind::kCompleted);
}

// The message in records of `bytes` each.
Bytes CutIntoRecords(const Bytes& record, std::size_t bytes) {
  constexpr std::size_t kHeader = 5;
  Bytes cut;
  for (std::size_t at = kHeader; at < record.size(); at += bytes) {
    const std::size_t part = std::min(bytes, record.size() - at);
    const Bytes header = {record[0], record[1], record[2], static_cast<unsigned char>(part >> 8),
                          static_cast<unsigned char>(part & 0xff)};
    Append(cut, header);
    Append(cut, Bytes(record.begin() + static_cast<std::ptrdiff_t>(at),
                      record.begin() + static_cast<std::ptrdiff_t>(at + part)));
  }
  return cut;
}

class NameTeller final : public ConnectionHandler {
 public:
  explicit NameTeller(std::string& name) : name_(name) {}
  void OnEstablished(Connection& connection) override {
    CtxtHandle context = connection.security_context();
    KtlsimContext_ServerName name{};
    EXPECT_EQ(QueryContextAttributesA(&context, KTLSIM_ATTR_CONTEXT_SERVER_NAME, &name), SEC_E_OK);
    EXPECT_EQ(QueryContextAttributesExW(&context, KTLSIM_ATTR_CONTEXT_SERVER_NAME, &name,
                                        sizeof(name) - 1),
              SEC_E_BUFFER_TOO_SMALL);
    EXPECT_EQ(std::strlen(name.szName), name.cbName);
    name_ = name.szName;
    connection.Close();
  }
  void OnPlaintext(Connection&, std::span<std::byte>) override {}
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  std::string& name_;
};

TEST_P(HostileTest, TheServerNameIsKnownHoweverTheHelloIsCut) {
  for (const std::size_t bytes : {20U, 100U, 16384U}) {
    std::string name;
    StartServer(DefaultServer(), [&](Connection&) { return new NameTeller(name); });
    RawPeer peer = Dial();
    TestEnd client(false);
    peer.Send(CutIntoRecords(client.Leg(client_credential_->get()), bytes));
    while (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
      const Bytes more = peer.ReceiveSome();
      ASSERT_FALSE(more.empty());
      Append(client.inbox, more);
      peer.Send(client.Leg(client_credential_->get()));
    }
    peer.ReceiveToEnd();
    server_.Stop();
    EXPECT_EQ(name, client.target) << bytes;
  }
}

TEST_P(HostileTest, AnIdleConnectionEnds) {
  ServerOptions options = DefaultServer();
  options.tls.limits.idle_ns = 60 * kNsPerMs;
  StartServer(options);
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  ExpectEcho(peer, client, "then nothing");
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kIdleTimeout);
}

// A peer may cut its flight as it likes (RFC 8446 5.1): bytes and time are bounded, not records.
TEST_P(HostileTest, AHelloInAHundredRecordsIsTaken) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  const Bytes hello = client.Leg(client_credential_->get());
  for (std::size_t at = 5; at < hello.size(); at += 2) {
    const std::size_t end = std::min(at + 2, hello.size());
    Bytes record = {0x16, 3, 1, 0, static_cast<unsigned char>(end - at)};
    record.insert(record.end(), hello.begin() + static_cast<std::ptrdiff_t>(at),
                  hello.begin() + static_cast<std::ptrdiff_t>(end));
    peer.Send(record);
    // Each record has a leg of its own.
    const std::uint64_t legs = (at - 5) / 2 + 1;
    ASSERT_TRUE(WaitUntil([&] { return server_.Statistics().legs >= legs; })) << Ends();
  }
  ASSERT_GT(hello.size(), 5 + 2 * 100U);
  while (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
    const Bytes more = peer.ReceiveSome();
    ASSERT_FALSE(more.empty()) << Ends();
    Append(client.inbox, more);
    peer.Send(client.Leg(client_credential_->get()));
  }
  ASSERT_EQ(client.status, SEC_E_OK);
  ExpectEcho(peer, client, "all of it came");
}

// Longer than any ClientHello: refused by its header, with an alert, whatever the records are.
TEST_P(HostileTest, AHelloThatAnnouncesTooMuchIsToldSo) {
  StartServer(DefaultServer());
  const Bytes header = {1, 2, 1, 0x44};  // 131,396 bytes are to follow
  std::uint64_t count = 0;
  for (const bool cut : {false, true}) {
    RawPeer peer = Dial();
    if (cut) {
      for (const unsigned char byte : header) peer.Send({0x16, 3, 1, 0, 1, byte});
    } else {
      Bytes record = {0x16, 3, 1, 0, 4};
      Append(record, header);
      peer.Send(record);
    }
    const Bytes answer = peer.ReceiveToEnd();
    ASSERT_EQ(answer.size(), 7U);
    EXPECT_EQ(answer[0], 21) << "an alert";
    EXPECT_EQ(answer[5], 2) << "fatal";
    EXPECT_EQ(answer[6], 47) << "illegal_parameter";
    peer.Close();
    ++count;
  }
  ExpectServerEnded(EndKind::kHandshakeFailed, count);
  EXPECT_EQ(server_.Statistics().failed_by_class(FailureClass::kProtocolViolation), count);
}

TEST_P(HostileTest, AHelloBeyondTheLimitIsTooManyBytes) {
  ServerOptions options = DefaultServer();
  options.tls.limits.incomplete_bytes_max = 1000;
  StartServer(options);
  RawPeer peer = Dial();
  Bytes hello = {0x16, 3, 1, 0x20, 0};
  hello.resize(4000, 1);
  peer.Send(hello);
  EXPECT_EQ(peer.ReceiveToEnd(), (Bytes{21, 3, 3, 0, 2, 2, 22})) << "record_overflow";
  peer.Close();
  ExpectServerEnded(EndKind::kTooManyBytes);
}

TEST_P(HostileTest, TooManyLegsEnd) {
  ServerOptions options = DefaultServer();
  options.tls.limits.legs_max = 1;
  StartServer(options);
  RawPeer peer = Dial();
  TestEnd client(false);
  // In TLS 1.2 the server's reply to the second flight is its second flight.
  TestCredential old = TestCredential::Client(SP_PROT_TLS1_3_CLIENT);
  for (int flights = 0; flights < 2;) {
    const Bytes token = client.Leg(old.get());
    flights += token.empty() ? 0 : 1;
    peer.Send(token);
    if (flights < 2) Append(client.inbox, peer.ReceiveSome());
  }
  EXPECT_EQ(peer.ReceiveToEnd(), (Bytes{21, 3, 3, 0, 2, 2, 10})) << "unexpected_message";
  peer.Close();
  ExpectServerEnded(EndKind::kTooManyLegs);
}

TEST_P(HostileTest, NoCommonApplicationProtocolIsToldWithItsAlert) {
  ServerOptions options = DefaultServer();
  options.tls.alpn = {"h2"};
  StartServer(options);
  StartClient();
  TlsOptions client = DefaultClient();
  client.alpn = {"http/1.1"};
  ClientTalk talk(monitor_, "never");
  ASSERT_NE(Connect(MakeProfile(client), talk), nullptr);
  ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
  EXPECT_EQ(talk.reason.status, SEC_E_APPLICATION_PROTOCOL_MISMATCH) << talk.reason.ToString();
  ExpectServerEnded(EndKind::kHandshakeFailed);
  EXPECT_EQ(server_.Statistics().failed_by_class(FailureClass::kApplicationProtocol), 1U);
}

// A lot of application data that arrives before the server has processed Finished.
TEST_P(HostileTest, DataRightBehindFinishedIsNotLost) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  peer.Send(client.Leg(client_credential_->get()));
  Bytes last;
  while (client.status == SEC_I_CONTINUE_NEEDED || client.status == SEC_E_INCOMPLETE_MESSAGE) {
    const Bytes some = peer.ReceiveSome();
    ASSERT_FALSE(some.empty());
    Append(client.inbox, some);
    last = client.Leg(client_credential_->get());
  }
  ASSERT_EQ(client.status, SEC_E_OK);
  const std::string text = Pattern(200 * 1000);
  for (std::size_t at = 0; at < text.size(); at += 10000) {
    Append(last, client.Seal(ToBytes(text.substr(at, 10000))));
  }
  peer.Send(last);
  std::string received;
  while (received.size() < text.size()) {
    const Bytes some = peer.ReceiveSome();
    ASSERT_FALSE(some.empty());
    Append(client.inbox, some);
    received += ToText(client.Open(client_credential_->get()));
  }
  EXPECT_TRUE(received == text);
}

constexpr const char* kOfNoUse = "the peer sends records of no use, or of no known type";

// Each costs us a decryption, or a key derivation, and brings no data.
class FloodTest : public HostileTest, private transport::EndObserver {
 protected:
  // Sends what `make` makes, again and again, and expects the connection to be ended.
  void ExpectRefused(const std::function<Bytes(TestEnd& client)>& make, const std::string& why) {
    ServerOptions options = DefaultServer();
    options.observer = this;
    StartServer(options);
    RawPeer peer = Dial();
    TestEnd client(false);
    ASSERT_TRUE(Established(peer, client));
    ExpectEcho(peer, client, "before the flood");
    Bytes flood;
    for (int i = 0; i < 300; ++i) Append(flood, make(client));
    ASSERT_FALSE(flood.empty());
    peer.Send(flood);
    peer.ReceiveToEnd();
    peer.Close();
    ExpectServerEnded(EndKind::kRecordFailed);
    EXPECT_EQ(server_.Statistics().plaintext_received, 16U);
    EXPECT_EQ(server_.Statistics().failed_by_class(FailureClass::kProtocolViolation), 1U)
        << "caused by the peer, not by us";
    server_.Stop();  // the reason is there when this returns
    EXPECT_NE(words_.find("failed: " + why + " ("), std::string::npos) << words_;
  }

 private:
  void OnConnectionEnded(const Connection&, const EndReason& reason) override {
    words_ = reason.ToString();
  }

  std::string words_;
};

INSTANTIATE_TEST_SUITE_P(, FloodTest, kGrounds, NameOf);

TEST_P(FloodTest, EmptyRecords) {
  ExpectRefused([](TestEnd& client) { return client.Seal({}); }, kOfNoUse);
}

TEST_P(FloodTest, WarningAlerts) {
  // user_canceled, the only alert that ends nothing (RFC 8446 6.1).
  ExpectRefused([](TestEnd& client) { return client.Seal({1, 90}, SECQOP_WRAP_OOB_DATA); },
                kOfNoUse);
}

TEST_P(FloodTest, KeyUpdates) {
  ExpectRefused(
      [this](TestEnd& client) {
        KtlsimControl_KeyUpdate update = {KTLSIM_CONTROL_KEY_UPDATE, 1};
        SecBuffer buffer = {sizeof(update), SECBUFFER_TOKEN, &update};
        SecBufferDesc desc = {SECBUFFER_VERSION, 1, &buffer};
        EXPECT_EQ(ApplyControlToken(&client.context, &desc), SEC_E_OK);
        return client.Leg(client_credential_->get());
      },
      "the peer does nothing but update its keys");
}

INSTANTIATE_TEST_SUITE_P(, HostileTest, kGrounds, NameOf);

class OverloadTest : public GroundTest {
 protected:
  void SetUp() override { StartOnGround(/*queue_depth=*/1); }
};

INSTANTIATE_TEST_SUITE_P(, OverloadTest, kGrounds, NameOf);

TEST_P(OverloadTest, AFullQueueIsBackPressureAndNobodyEstablishedIsHurt) {
  StartServer(DefaultServer());
  StartClient();
  const TlsProfile& profile = MakeProfile(DefaultClient());
  std::vector<std::unique_ptr<ClientTalk>> talks;
  for (std::size_t i = 0; i < 40; ++i) {
    talks.push_back(std::make_unique<ClientTalk>(monitor_, Pattern(50000)));
    ASSERT_NE(Connect(profile, *talks.back()), nullptr);
  }
  for (const auto& talk : talks) {
    ASSERT_TRUE(monitor_.Wait([&] { return talk->ended; }));
    if (!talk->established) continue;
    EXPECT_EQ(talk->reason.kind, EndKind::kCompleted) << talk->reason.ToString();
    EXPECT_TRUE(talk->received == talk->message);
  }
  WaitForEnded(server_.Statistics().opened);
  const TransportStatistics statistics = server_.Statistics();
  EXPECT_EQ(statistics.ended_by_kind(EndKind::kCompleted) +
                statistics.ended_by_kind(EndKind::kRefusedForOverload),
            statistics.ended)
      << Ends();
  EXPECT_GT(statistics.ended_by_kind(EndKind::kCompleted), 0U);
  EXPECT_GT(statistics.submissions_refused + client_.Statistics().submissions_refused, 0U);
}

}  // namespace
}  // namespace ktlsim::test
