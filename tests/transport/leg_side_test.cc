// The leg side of a connection, without connection and socket: two leg sides talk in memory.
#include "kernel_sim/transport/leg_side.h"

#include "tests/transport/sides_test_support.h"

namespace ktlsim::test {
namespace {

using transport::LegCall;
using transport::LegOutcome;
using transport::LegSide;
using transport::OwedLeg;

TlsProfile ProfileOf(TlsProfile::Side side, const CredHandle& credential) {
  TlsOptions options;
  options.credential = credential;
  if (side == TlsProfile::Side::kClient) options.target_name = "localhost";
  Result<TlsProfile> profile = TlsProfile::Create(side, options);
  EXPECT_TRUE(profile.ok());
  return std::move(*profile);
}

// One end: what a connection does with its leg side, and nothing else.
struct End {
  End(TlsProfile::Side which, const CredHandle& credential)
      : profile(ProfileOf(which, credential)), side(call.async(), profile, chunks, buffers) {
    SecInvalidateHandle(&context);
  }
  ~End() {
    if (SecIsValidHandle(&context)) {
      EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
    }
    side.input().Clear();
    side.token().Drop();
    EXPECT_EQ(buffers.in_use(), 0U);
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  SECURITY_STATUS Submit(LegCall what, std::span<std::byte> input) {
    EXPECT_TRUE(side.token().Prepare());
    EXPECT_EQ(side.SubmitLeg(what, context, input), SEC_E_OK);
    EXPECT_EQ(side.call(), what);
    const SECURITY_STATUS status = call.Wait();
    EXPECT_EQ(side.Finish(), what);
    EXPECT_TRUE(side.idle());
    contexts += side.TakeContext(&context) ? 1 : 0;
    return status;
  }
  LegOutcome Leg() {
    const bool first = side.owed() == OwedLeg::kFirst;
    return side.OnLeg(Submit(LegCall::kLeg, first ? std::span<std::byte>() : side.NextInput()));
  }
  void Take(const Bytes& bytes) {
    EXPECT_TRUE(side.input().AppendCopy(std::as_bytes(std::span(bytes))));
  }
  // Hands the token over, if there is one.
  void SendTo(End& peer) {
    if (!side.token().due()) return;
    side.token().BeginSend();
    EXPECT_TRUE(side.token().sending());
    EXPECT_TRUE(peer.side.input().AppendCopy(side.token().bytes()));
    side.token().Drop();
  }

  transport::ChunkPool chunks;
  transport::BufferPool buffers;
  TlsProfile profile;
  AwaitedCall call;
  LegSide side;
  CtxtHandle context;
  int contexts = 0;  // stored by a leg
};

class LegSideTest : public TransportTest {
 protected:
  void SetUp() override {
    StartSeeded({});
    client_end_.emplace(TlsProfile::Side::kClient, *client_credential_->get());
    server_end_.emplace(TlsProfile::Side::kServer, *server_credential_->get());
    client_end_->side.Owe(OwedLeg::kFirst);
  }
  void TearDown() override {
    client_end_.reset();
    server_end_.reset();
    TransportTest::TearDown();
  }
  // Legs until the server is established; its last token is in the client's input.
  void Establish() {
    LegOutcome client = client_end_->Leg();
    ASSERT_EQ(client, LegOutcome::kAnswered);
    EXPECT_EQ(client_end_->side.owed(), OwedLeg::kNone);
    LegOutcome server = LegOutcome::kAgain;
    for (int round = 0; round < 10 && server != LegOutcome::kEstablished; ++round) {
      client_end_->SendTo(*server_end_);
      server = server_end_->Leg();
      server_end_->SendTo(*client_end_);
      if (client != LegOutcome::kEstablished) client = client_end_->Leg();
    }
    ASSERT_EQ(client, LegOutcome::kEstablished);
    ASSERT_EQ(server, LegOutcome::kEstablished);
  }

  std::optional<End> client_end_;
  std::optional<End> server_end_;
};

TEST_F(LegSideTest, TwoOfThemMakeAHandshake) {
  Establish();
  for (const End* end : {&*client_end_, &*server_end_}) {
    EXPECT_EQ(end->contexts, 1) << "its owner gets the context once";
    EXPECT_TRUE(SecIsValidHandle(&end->context));
  }
}

TEST_F(LegSideTest, ATicketIsReadAndOwesALeg) {
  Establish();
  LegSide& side = client_end_->side;
  ASSERT_EQ(side.FirstRecordReady(LegSide::kRecordBytesMax, false), LegSide::Ready::kYes);
  const std::size_t before = side.input().size();
  ASSERT_EQ(side.SubmitDecrypt(client_end_->context), SEC_E_OK);
  EXPECT_EQ(side.call(), LegCall::kDecrypt);
  ASSERT_EQ(client_end_->call.Wait(), SEC_I_RENEGOTIATE);
  EXPECT_EQ(side.Finish(), LegCall::kDecrypt);
  side.OwePostHandshake(/*tls13=*/true);
  EXPECT_EQ(side.owed(), OwedLeg::kPostHandshake);
  EXPECT_TRUE(side.post_handshake_owed());
  const SECURITY_STATUS status = client_end_->Submit(LegCall::kPostHandshake, side.NextInput());
  EXPECT_EQ(side.OnPostHandshake(status, /*may_answer=*/true), LegOutcome::kAnswered);
  EXPECT_FALSE(side.post_handshake_owed());
  EXPECT_FALSE(side.token().due());
  EXPECT_LT(side.input().size(), before);
}

TEST_F(LegSideTest, AKeyCheckMayFindNothingDue) {
  Establish();
  LegSide& side = server_end_->side;
  side.Owe(OwedLeg::kWithoutInput);
  const SECURITY_STATUS status = server_end_->Submit(LegCall::kPostHandshake, {});
  EXPECT_EQ(side.OnPostHandshake(status, true), LegOutcome::kNothingDue);
  EXPECT_EQ(side.owed(), OwedLeg::kNone);
  EXPECT_FALSE(side.token().due());
}

TEST_F(LegSideTest, ARecordIsReadyWhenItIsWhole) {
  ASSERT_EQ(client_end_->Leg(), LegOutcome::kAnswered);
  const Bytes hello = Copy(client_end_->side.token().bytes());
  LegSide& side = server_end_->side;
  EXPECT_EQ(side.FirstRecordReady(40000, true), LegSide::Ready::kNo);
  for (const unsigned char byte : hello) {
    EXPECT_EQ(side.FirstRecordReady(40000, true), LegSide::Ready::kNo);
    server_end_->Take({byte});
  }
  EXPECT_EQ(side.FirstRecordReady(hello.size() - 1, true), LegSide::Ready::kTooLong);
  EXPECT_EQ(side.FirstRecordReady(40000, true), LegSide::Ready::kYes);
  EXPECT_EQ(side.NextInput().size(), hello.size());
  EXPECT_EQ(server_end_->Leg(), LegOutcome::kAnswered);
  EXPECT_EQ(side.answered(), 1U);
}

TEST_F(LegSideTest, WhatIsNoTlsIsRefusedWithAnAlert) {
  LegSide& side = server_end_->side;
  server_end_->Take(ToBytes("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(server_end_->Leg(), LegOutcome::kFailed);
  EXPECT_FALSE(side.speaks_tls());
  EXPECT_EQ(side.answered(), 0U);
}

TEST_F(LegSideTest, ABoundIsToldWithAnAlertInTheClear) {
  LegSide& side = server_end_->side;
  EXPECT_EQ(side.AlertToSend(), -1);
  side.set_bound_alert(22);
  ASSERT_TRUE(side.MakePlainAlert());
  EXPECT_EQ(Copy(side.token().bytes()), (Bytes{21, 3, 3, 0, 2, 2, 22}));
  EXPECT_EQ(side.AlertToSend(), 22);
}

TEST_F(LegSideTest, NothingIsSentAfterOurOwnClose) {
  Establish();
  LegSide& side = server_end_->side;
  const SECURITY_STATUS status = server_end_->Submit(LegCall::kFetchAlert, {});
  side.OnAlertFetched(status, /*may_answer=*/false);
  EXPECT_FALSE(side.token().due());
}

}  // namespace
}  // namespace ktlsim::test
