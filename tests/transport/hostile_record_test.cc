// Clients that are established, and then break the rules, leave, or say nothing more.
#include <string>

#include "tests/transport/hostile_test_support.h"

namespace ktlsim::test {
namespace {

class HostileRecordTest : public HostileTest {};

INSTANTIATE_TEST_SUITE_P(, HostileRecordTest, Grounds(), NameOf);

// Longer than any opened record may be, but not longer than a protected record may be.
TEST_P(HostileRecordTest, RecordsOfSeventeenKibibytesEnd) {
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

TEST_P(HostileRecordTest, ADamagedRecordIsAnsweredWithAnAlert) {
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

TEST_P(HostileRecordTest, AnOverlongRecordEnds) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  peer.Send({0x17, 3, 3, 0xff, 0xff, 1, 2, 3});
  peer.ReceiveToEnd();
  peer.Close();
  ExpectServerEnded(EndKind::kRecordFailed);
}

TEST_P(HostileRecordTest, FinWithoutCloseNotifyIsTruncation) {
  StartServer(DefaultServer());
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  ExpectEcho(peer, client, "cut");
  peer.Fin();
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kTruncatedByPeer);
}

TEST_P(HostileRecordTest, ACloseNotifyIsAnsweredInOrder) {
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

TEST_P(HostileRecordTest, AnIdleConnectionEnds) {
  ServerOptions options = DefaultServer();
  options.tls.limits.idle_ns = 2 * kNsPerSecond;  // enough for the exchange on a busy machine
  StartServer(options);
  RawPeer peer = Dial();
  TestEnd client(false);
  ASSERT_TRUE(Established(peer, client));
  ExpectEcho(peer, client, "then nothing");
  peer.ReceiveToEnd();
  ExpectServerEnded(EndKind::kIdleTimeout);
}

// A lot of application data that arrives before the server has processed Finished.
TEST_P(HostileRecordTest, DataRightBehindFinishedIsNotLost) {
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

}  // namespace
}  // namespace ktlsim::test
