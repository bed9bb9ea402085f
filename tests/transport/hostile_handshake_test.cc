// Clients that never come as far as a connection. Exact times of the limits: limits_test.cc.
#include <algorithm>
#include <cstring>
#include <string>

#include "tests/transport/hostile_test_support.h"

namespace ktlsim::test {
namespace {

class HostileHandshakeTest : public HostileTest {};

INSTANTIATE_TEST_SUITE_P(, HostileHandshakeTest, Grounds(), NameOf);

TEST_P(HostileHandshakeTest, ASilentClientEndsAtTheLegLimitWhileOthersAreServed) {
  ServerOptions options = DefaultServer();
  options.tls.limits.leg_ns = 2 * kNsPerSecond;  // enough for the others on a busy machine
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

TEST_P(HostileHandshakeTest, SilenceAfterTheFirstLegEndsAtTheLegLimit) {
  ServerOptions options = DefaultServer();
  options.tls.limits.leg_ns = 2 * kNsPerSecond;  // enough for the first leg on a busy machine
  StartServer(options);
  RawPeer peer = Dial();
  peer.Send(ClientHello());
  EXPECT_FALSE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kLegTimeout);
}

TEST_P(HostileHandshakeTest, AByteAtATimeEndsAtTheHandshakeLimit) {
  ServerOptions options = DefaultServer();
  options.tls.limits.handshake_ns = 80 * kNsPerMs;
  StartServer(options);
  RawPeer peer = Dial();
  const Bytes hello = ClientHello();
  for (std::size_t i = 0; i + 1 < hello.size(); ++i) peer.Send({hello[i]});
  EXPECT_TRUE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kHandshakeTimeout);
}

TEST_P(HostileHandshakeTest, AWholeHandshakeAByteAtATimeSucceeds) {
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

TEST_P(HostileHandshakeTest, PlainHttpIsNotTls) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  peer.Send(ToBytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  peer.Fin();
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kNotTls);
}

TEST_P(HostileHandshakeTest, GarbageOfEveryLengthEnds) {
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

TEST_P(HostileHandshakeTest, AFlippedByteInTheClientHelloNeverHurts) {
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

TEST_P(HostileHandshakeTest, ATruncatedClientHelloAndFinIsClosedInHandshake) {
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

TEST_P(HostileHandshakeTest, AClientHelloCutAtEveryByteEnds) {
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

TEST_P(HostileHandshakeTest, FinAtOnceIsClosedBeforeHandshake) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  peer.Close();
  ExpectServerEnded(EndKind::kClosedBeforeHandshake);
}

TEST_P(HostileHandshakeTest, FinBehindTheClientHelloIsClosedInHandshakeAfterItsLeg) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  peer.Send(ClientHello());
  peer.Fin();
  EXPECT_FALSE(peer.ReceiveToEnd().empty());
  ExpectServerEnded(EndKind::kClosedInHandshake);
}

TEST_P(HostileHandshakeTest, ResetInEveryLegIsToldAsSuch) {
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

TEST_P(HostileHandshakeTest, TheServerNameIsKnownHoweverTheHelloIsCut) {
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

// A peer may cut its flight as it likes (RFC 8446 5.1): bytes and time are bounded, not records.
TEST_P(HostileHandshakeTest, AHelloInAHundredRecordsIsTaken) {
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
TEST_P(HostileHandshakeTest, AHelloThatAnnouncesTooMuchIsToldSo) {
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

TEST_P(HostileHandshakeTest, AHelloBeyondTheLimitIsTooManyBytes) {
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

TEST_P(HostileHandshakeTest, TooManyLegsEnd) {
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

TEST_P(HostileHandshakeTest, NoCommonApplicationProtocolIsToldWithItsAlert) {
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

}  // namespace
}  // namespace ktlsim::test
