// Clients that send more than anybody needs, and more of them than there is room for.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/transport/hostile_test_support.h"

namespace ktlsim::test {
namespace {

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

INSTANTIATE_TEST_SUITE_P(, FloodTest, Grounds(), NameOf);

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

class OverloadTest : public GroundTest {
 protected:
  void SetUp() override { StartOnGround(/*queue_depth=*/1); }
};

INSTANTIATE_TEST_SUITE_P(, OverloadTest, Grounds(), NameOf);

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
