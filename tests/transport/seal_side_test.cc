// The seal side of a connection, without connection and socket: real records, and injected
// failures.
#include "kernel_sim/transport/seal_side.h"

#include "tests/transport/sides_test_support.h"

namespace ktlsim::test {
namespace {

using transport::SealSide;
using Outcome = SealSide::Outcome;

class SealSideTest : public TransportTest {
 protected:
  void SetUp() override {
    StartSeeded({});
    client_end_.emplace(false);
    server_end_.emplace(true);
    ASSERT_TRUE(RunHandshake(*client_end_, client_credential_->get(), *server_end_,
                             server_credential_->get()));
    TlsOptions options;
    options.credential = *server_credential_->get();
    options.records_between_key_checks = 3;
    Result<TlsProfile> profile = TlsProfile::Create(TlsProfile::Side::kServer, options);
    ASSERT_TRUE(profile.ok());
    profile_.emplace(std::move(*profile));
    call_.emplace();
    side_.emplace(call_->async(), buffers_, *profile_);
    SecPkgContext_StreamSizes sizes{};
    ASSERT_EQ(QueryContextAttributesA(&server_end_->context, SECPKG_ATTR_STREAM_SIZES, &sizes),
              SEC_E_OK);
    side_->queue().Configure({.header = sizes.cbHeader,
                              .trailer = sizes.cbTrailer,
                              .message_max = sizes.cbMaximumMessage});
  }
  void TearDown() override {
    side_.reset();
    EXPECT_EQ(buffers_.in_use(), 0U);
    call_.reset();
    client_end_.reset();
    server_end_.reset();
    TransportTest::TearDown();
  }

  void Commit(const std::string& text) {
    const std::span<std::byte> space = side_->queue().Space(machine_->NowNs());
    ASSERT_GE(space.size(), text.size());
    std::memcpy(space.data(), text.data(), text.size());
    side_->queue().Commit(text.size());
  }
  // Seals what is due, and returns the status of EncryptMessage.
  SECURITY_STATUS Encrypt() {
    EXPECT_TRUE(side_->Describe());
    EXPECT_EQ(side_->Submit(server_end_->context), SEC_E_OK);
    EXPECT_TRUE(side_->in_flight());
    EXPECT_FALSE(side_->Due(true)) << "one call at a time";
    return call_->Wait();
  }
  // The same, but the connection is given `status`.
  Outcome EncryptAndSay(SECURITY_STATUS status) {
    Encrypt();
    return side_->Finish(status, /*keys_may_change=*/true);
  }
  // The plaintext that the peer reads from the sealed bytes.
  std::string Read(bool plaintext_among_it) {
    Append(client_end_->inbox, Copy(side_->BeginSend()));  // after tickets
    EXPECT_EQ(side_->Sent(machine_->NowNs()), plaintext_among_it);
    return ToText(client_end_->Open(client_credential_->get()));
  }

  transport::BufferPool buffers_;
  std::optional<TestEnd> client_end_;
  std::optional<TestEnd> server_end_;
  std::optional<TlsProfile> profile_;
  std::optional<AwaitedCall> call_;
  std::optional<SealSide> side_;
};

TEST_F(SealSideTest, WhatIsCommittedIsSealedAndThenTheClose) {
  EXPECT_FALSE(side_->Due(false));
  Commit("hello ");
  Commit("peer");
  ASSERT_TRUE(side_->Due(false));
  EXPECT_EQ(side_->Finish(Encrypt(), true), Outcome::kSealed);
  EXPECT_EQ(side_->plaintext_bytes(), 10U);
  EXPECT_EQ(Read(true), "hello peer");
  EXPECT_TRUE(side_->queue().idle());
  EXPECT_FALSE(side_->Due(false));
  ASSERT_TRUE(side_->Due(/*close_due=*/true));
  EXPECT_EQ(side_->Finish(Encrypt(), true), Outcome::kSealedClose);
  EXPECT_EQ(Read(false), "");
  EXPECT_EQ(client_end_->status, SEC_I_CONTEXT_EXPIRED);
}

TEST_F(SealSideTest, AShortageOfMemoryIsTriedAgain) {
  Commit("x");
  EXPECT_EQ(EncryptAndSay(SEC_E_INSUFFICIENT_MEMORY), Outcome::kShortOfMemory);
  EXPECT_TRUE(side_->retry_due());
  EXPECT_TRUE(side_->Due(false));
  EXPECT_EQ(EncryptAndSay(SEC_E_OK), Outcome::kSealed);
  EXPECT_FALSE(side_->Due(false));
}

// A post-handshake message came while a record was being sealed: the record waits for the leg.
TEST_F(SealSideTest, ARecordThatMeetsAHoldIsSealedAfterIt) {
  for (const bool released_before : {false, true}) {
    Commit("x");
    Encrypt();
    side_->Hold();
    if (released_before) side_->Release();
    EXPECT_EQ(side_->Finish(SEC_E_CONTEXT_EXPIRED, true), Outcome::kLater);
    EXPECT_FALSE(side_->key_check_due());
    EXPECT_EQ(side_->Due(true), released_before);
    side_->Release();
    EXPECT_TRUE(side_->Due(false));
    EXPECT_EQ(EncryptAndSay(SEC_E_OK), Outcome::kSealed);
  }
}

TEST_F(SealSideTest, AKeyThatMaySealNoMoreIsAskedForOnce) {
  Commit("x");
  EXPECT_EQ(EncryptAndSay(SEC_E_CONTEXT_EXPIRED), Outcome::kLater);
  EXPECT_TRUE(side_->key_check_due());
  EXPECT_FALSE(side_->Due(true));
  side_->BeginKeyCheck();
  EXPECT_TRUE(side_->Due(false));
  // The next key, if there was one, changed nothing.
  EXPECT_EQ(EncryptAndSay(SEC_E_CONTEXT_EXPIRED), Outcome::kFailed);
  EXPECT_FALSE(side_->retry_due());
}

TEST_F(SealSideTest, AfterTheHandshakeHasFailedNoKeyIsAskedFor) {
  Commit("x");
  Encrypt();
  EXPECT_EQ(side_->Finish(SEC_E_CONTEXT_EXPIRED, /*keys_may_change=*/false), Outcome::kFailed);
  EXPECT_FALSE(side_->key_check_due());
}

TEST_F(SealSideTest, AKeyCheckIsDueAfterSoManyRecords) {
  for (int record = 1; record <= 6; ++record) {
    Commit("x");
    EXPECT_EQ(side_->Finish(Encrypt(), true), Outcome::kSealed);
    EXPECT_EQ(side_->key_check_due(), record % 3 == 0) << record;
    if (side_->key_check_due()) side_->BeginKeyCheck();
  }
  EXPECT_EQ(Read(true), "xxxxxx");
}

TEST_F(SealSideTest, WhatIsBeingSealedHoldsItsBuffer) {
  Commit("one");
  EXPECT_EQ(side_->Finish(Encrypt(), true), Outcome::kSealed);
  Commit("two");
  ASSERT_TRUE(side_->Describe());
  ASSERT_EQ(side_->Submit(server_end_->context), SEC_E_OK);
  EXPECT_TRUE(side_->HoldsFront());
  EXPECT_EQ(side_->Finish(call_->Wait(), true), Outcome::kSealed);
  EXPECT_FALSE(side_->HoldsFront());
  EXPECT_EQ(Read(true), "onetwo");
}

}  // namespace
}  // namespace ktlsim::test
