// Several records per call: EncryptMessage seals all that the descriptor holds, DecryptMessage
// opens as many records as have buffers.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

using Texts = std::vector<std::string>;

class SeveralRecordsTest : public testing::TestWithParam<ULONG> {
 protected:
  void SetUp() override {
    server_credential_.SetTickets(0);
    ASSERT_TRUE(RunHandshake(client_, client_credential_.get(), server_, server_credential_.get()));
    ASSERT_EQ(QueryContextAttributesA(&client_.context, SECPKG_ATTR_STREAM_SIZES, &sizes_),
              SEC_E_OK);
  }

  // One EncryptMessage over all of `texts`.
  Bytes SealAll(const Texts& texts, ULONG qop = 0) {
    Bytes wire;
    for (const std::string& text : texts) {
      wire.resize(wire.size() + sizes_.cbHeader);
      Append(wire, ToBytes(text));
      wire.resize(wire.size() + sizes_.cbTrailer);
    }
    std::vector<SecBuffer> buffers;
    unsigned char* at = wire.data();
    const auto add = [&](ULONG type, std::size_t bytes) {
      buffers.push_back({static_cast<ULONG>(bytes), type, at});
      at += bytes;
    };
    for (const std::string& text : texts) {
      add(SECBUFFER_STREAM_HEADER, sizes_.cbHeader);
      add(SECBUFFER_DATA, text.size());
      add(SECBUFFER_STREAM_TRAILER, sizes_.cbTrailer);
    }
    buffers.push_back({0, SECBUFFER_EMPTY, nullptr});
    SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers.size()), buffers.data()};
    status_ = EncryptMessage(&client_.context, qop, &message, 0);
    return wire;
  }

  // One DecryptMessage with room for `triples`; returns what it opened. The rest stays in `wire`.
  Texts OpenSome(Bytes& wire, std::size_t triples) {
    buffers_.assign(3 * triples + 1, {0, SECBUFFER_EMPTY, nullptr});
    buffers_[0] = {static_cast<ULONG>(wire.size()), SECBUFFER_DATA, wire.data()};
    SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers_.size()),
                             buffers_.data()};
    status_ = DecryptMessage(&server_.context, &message, 0, nullptr);
    Texts texts;
    std::size_t at = 0;
    while (at + 3 < buffers_.size() && buffers_[at].BufferType == SECBUFFER_STREAM_HEADER) {
      EXPECT_EQ(buffers_[at + 1].BufferType, ULONG{SECBUFFER_DATA});
      EXPECT_EQ(buffers_[at + 2].BufferType, ULONG{SECBUFFER_STREAM_TRAILER});
      const SecBuffer& data = buffers_[at + 1];
      texts.emplace_back(static_cast<const char*>(data.pvBuffer), data.cbBuffer);
      at += 3;
    }
    Bytes rest;
    if (status_ >= 0 && buffers_[at].BufferType == SECBUFFER_EXTRA) {
      const auto* extra = static_cast<const unsigned char*>(buffers_[at].pvBuffer);
      rest.assign(extra, extra + buffers_[at].cbBuffer);
    }
    if (status_ != SEC_E_INCOMPLETE_MESSAGE) wire = rest;
    return texts;
  }

  bool tls13() const { return GetParam() == SP_PROT_TLS1_2; }

  TestCredential server_credential_ = TestCredential::Server(GetParam());
  TestCredential client_credential_ = TestCredential::Client(GetParam());
  TestEnd client_{false};
  TestEnd server_{true};
  SecPkgContext_StreamSizes sizes_{};
  std::vector<SecBuffer> buffers_;
  SECURITY_STATUS status_ = SEC_E_OK;
};

INSTANTIATE_TEST_SUITE_P(Versions, SeveralRecordsTest,
                         testing::Values(SP_PROT_TLS1_3, SP_PROT_TLS1_2), [](const auto& test) {
                           return std::string(test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13");
                         });

TEST_P(SeveralRecordsTest, AsManyAsTheDescriptorHoldsBothWays) {
  const Texts texts = {"one", "two", std::string(16384, 'x'), "", "five"};
  for (std::size_t triples = 1; triples <= 7; ++triples) {
    Bytes wire = SealAll(texts);
    ASSERT_EQ(status_, SEC_E_OK);
    Texts got;
    int calls = 0;
    for (; !wire.empty(); ++calls) {
      const Texts some = OpenSome(wire, triples);
      ASSERT_EQ(status_, SEC_E_OK);
      ASSERT_LE(some.size(), triples);
      got.insert(got.end(), some.begin(), some.end());
    }
    EXPECT_EQ(got, texts);
    EXPECT_EQ(calls, static_cast<int>((texts.size() + triples - 1) / triples));
  }
}

TEST_P(SeveralRecordsTest, BuffersInExcessStayEmptyAndOnesInBetweenCount) {
  Bytes wire = SealAll({"one"});
  OpenSome(wire, 4);
  ASSERT_EQ(status_, SEC_E_OK);
  for (std::size_t i = 3; i < buffers_.size(); ++i) {
    EXPECT_EQ(buffers_[i].BufferType, ULONG{SECBUFFER_EMPTY}) << i;
  }
  // A buffer of another type ends the buffers that DecryptMessage fills.
  wire = SealAll({"one", "two"});
  buffers_.assign(7, {0, SECBUFFER_EMPTY, nullptr});
  buffers_[0] = {static_cast<ULONG>(wire.size()), SECBUFFER_DATA, wire.data()};
  buffers_[5].BufferType = SECBUFFER_PKG_PARAMS;
  SecBufferDesc message = {SECBUFFER_VERSION, 7, buffers_.data()};
  ASSERT_EQ(DecryptMessage(&server_.context, &message, 0, nullptr), SEC_E_OK);
  EXPECT_EQ(buffers_[3].BufferType, ULONG{SECBUFFER_EXTRA});
  EXPECT_EQ(buffers_[5].BufferType, ULONG{SECBUFFER_PKG_PARAMS});
}

TEST_P(SeveralRecordsTest, EveryCutLeavesTheTailForTheNextCall) {
  const Texts texts = {"one", "two", "three"};
  Bytes first = SealAll(texts);
  const std::size_t whole = first.size();
  ASSERT_EQ(OpenSome(first, 3), texts);
  for (std::size_t cut = 1; cut < whole; ++cut) {
    const Bytes all = SealAll(texts);
    Bytes wire(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(cut));
    Texts got;
    while (!wire.empty()) {
      const Texts some = OpenSome(wire, 4);
      got.insert(got.end(), some.begin(), some.end());
      if (status_ == SEC_E_INCOMPLETE_MESSAGE) break;
      ASSERT_EQ(status_, SEC_E_OK) << cut;
    }
    wire.insert(wire.end(), all.begin() + static_cast<std::ptrdiff_t>(cut), all.end());
    const Texts some = OpenSome(wire, 4);
    ASSERT_EQ(status_, SEC_E_OK) << cut;
    got.insert(got.end(), some.begin(), some.end());
    ASSERT_EQ(got, texts) << cut;
  }
}

TEST_P(SeveralRecordsTest, WhatEndsTheConnectionIsToldBehindTheData) {
  Bytes wire = SealAll({"one", "two"});
  Append(wire, client_.Seal({1, 0}, SECQOP_WRAP_OOB_DATA));
  EXPECT_EQ(OpenSome(wire, 5), (Texts{"one", "two"}));
  ASSERT_EQ(status_, SEC_E_OK);
  ASSERT_FALSE(wire.empty()) << "the alert";
  Append(wire, ToBytes("behind"));
  EXPECT_EQ(OpenSome(wire, 5), Texts());
  EXPECT_EQ(status_, SEC_I_CONTEXT_EXPIRED);
  EXPECT_EQ(buffers_[3].cbBuffer, 6U);
  wire = ToBytes("behind");
  OpenSome(wire, 5);
  EXPECT_EQ(status_, SEC_E_CONTEXT_EXPIRED);
}

TEST_P(SeveralRecordsTest, AnAlertGoesAlone) {
  const std::string warning = {1, 90};
  SealAll({warning, warning}, SECQOP_WRAP_OOB_DATA);
  EXPECT_EQ(status_, SEC_E_INVALID_TOKEN);
  Bytes wire = SealAll({"still open"});
  EXPECT_EQ(OpenSome(wire, 1), Texts{"still open"});
}

TEST_P(SeveralRecordsTest, AForgeryBehindDataLosesNothingAndLooksLikeAnyOther) {
  Bytes wire = SealAll({"one", "two", "three"});
  wire[wire.size() / 2] = static_cast<unsigned char>(wire[wire.size() / 2] ^ 1);
  EXPECT_EQ(OpenSome(wire, 5), Texts{"one"});
  ASSERT_EQ(status_, SEC_E_OK);
  EXPECT_EQ(server_.Seal(ToBytes("still there")).empty(), false)
      << "the failure has not been reported yet";
  OpenSome(wire, 5);
  EXPECT_EQ(status_, SEC_E_MESSAGE_ALTERED);
  server_.Seal(ToBytes("too late"));
  EXPECT_EQ(server_.status, SEC_E_CONTEXT_EXPIRED);
  server_.inbox.clear();
  const Bytes alert = server_.Leg(server_credential_.get());
  EXPECT_EQ(server_.status, SEC_E_OK);
  EXPECT_EQ(alert.size(), sizes_.cbHeader + 2 + sizes_.cbTrailer);
}

TEST_P(SeveralRecordsTest, AHandshakeMessageInBetweenEndsTheCallBehindTheData) {
  if (!tls13()) return;  // TLS 1.2 has no such message.
  Bytes wire = SealAll({"one", "two"});
  KtlsimControl_KeyUpdate update = {KTLSIM_CONTROL_KEY_UPDATE, 0};
  SecBuffer control = {sizeof(update), SECBUFFER_TOKEN, &update};
  SecBufferDesc desc = {SECBUFFER_VERSION, 1, &control};
  ASSERT_EQ(ApplyControlToken(&client_.context, &desc), SEC_E_OK);
  Append(wire, client_.Leg(client_credential_.get()));
  Append(wire, SealAll({"three"}));
  EXPECT_EQ(OpenSome(wire, 5), (Texts{"one", "two", ""}));
  ASSERT_EQ(status_, SEC_I_RENEGOTIATE);
  server_.inbox = wire;
  EXPECT_EQ(server_.Leg(server_credential_.get()), Bytes());
  ASSERT_EQ(server_.status, SEC_E_OK);
  EXPECT_EQ(OpenSome(server_.inbox, 5), Texts{"three"});
}

TEST_P(SeveralRecordsTest, OneThatCannotBeSealedKeepsAllFromIt) {
  const std::string oversize(16385, 'x');
  const Bytes wire = SealAll({"one", oversize, "three"});
  EXPECT_EQ(status_, SEC_E_ENCRYPT_FAILURE);
  EXPECT_EQ(ToText(Bytes(wire.begin() + sizes_.cbHeader, wire.begin() + sizes_.cbHeader + 3)),
            "one")
      << "untouched";
  Append(server_.inbox, SealAll({"one", "three"}));
  EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "onethree")
      << "no sequence number was used";
}

}  // namespace
}  // namespace ktlsim::test
