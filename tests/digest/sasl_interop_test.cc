// Our side as a server of DIGEST-MD5, a client of Cyrus SASL as the other: authentication and each
// protection.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/digest/sasl_layer.h"
#include "kernel_sim/digest/sasl_messages.h"
#include "tests/digest/cyrus_sasl.h"

namespace ktlsim::digest {
namespace {

constexpr std::string_view kNonce = "c2VydmVyIG5vbmNl";

// The four bytes of length that SASL puts in front of a protected message (RFC 4422 3.7).
std::string WithLength(std::string_view message) {
  std::string wire;
  for (int shift = 24; shift >= 0; shift -= 8) {
    wire.push_back(static_cast<char>(message.size() >> shift));
  }
  return wire.append(message);
}

std::span<std::uint8_t> AsBytes(std::string& text) {
  return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

class SaslInteropTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    client_ = test::CyrusClient::Create(
        {.username = "chris", .password = "secret", .realm = "elwood"}, &why);
    if (client_ == nullptr) GTEST_SKIP() << why;
  }

  // The whole exchange of messages. False: a party refused.
  bool Authenticate(Qop qop, SaslCipher cipher, std::string_view password = "secret") {
    SaslChallenge challenge;
    challenge.realms[0] = "elwood";
    challenge.realm_count = 1;
    challenge.nonce = kNonce;
    challenge.qops = {qop};
    if (qop == Qop::kAuthConf) challenge.ciphers.Add(cipher);
    challenge.utf8 = true;
    const Written written = FormatSaslChallenge(challenge, room_);
    EXPECT_EQ(written.fault, Fault::kNone);
    const std::optional<std::string> answer = client_->Step({room_.data(), written.bytes});
    if (!answer.has_value()) return false;
    SaslResponse response;
    EXPECT_EQ(ParseSaslResponse(*answer, &response), Fault::kNone) << *answer;
    EXPECT_EQ(response.qop, qop);
    if (qop == Qop::kAuthConf) {
      EXPECT_EQ(response.cipher, cipher);
    }
    return Verify(response, password);
  }

  bool Verify(const SaslResponse& response, std::string_view password) {
    HashValue account;
    HashValue session;
    HashValue expected;
    HashValue rspauth;
    const RequestFacts request = {
        .method = kSaslMethod, .uri = response.digest_uri, .entity_hash = kSaslEntityHash};
    EXPECT_TRUE(ComputeAccountHash(hasher_, response.username, response.realm, password, &account));
    EXPECT_TRUE(ComputeSaslSessionHash(hasher_, account, response.nonce, response.cnonce,
                                       response.authzid, &session));
    EXPECT_TRUE(ComputeResponse(hasher_, session, response.nonce_facts(), request, &expected));
    if (!ConstantTimeEqual(expected.raw(), response.response.raw())) return false;
    EXPECT_TRUE(ComputeRspauth(hasher_, session, response.nonce_facts(), request, &rspauth));
    EXPECT_TRUE(DeriveSaslKeys(hasher_, session, response.cipher, &keys_));
    const Written written = FormatSaslRspauth(rspauth, room_);
    return client_->Step({room_.data(), written.bytes}).has_value();
  }

  Hasher hasher_{HashId::kMd5};
  SaslKeys keys_;
  std::array<char, 4096> room_{};
  std::unique_ptr<test::CyrusClient> client_;
};

TEST_F(SaslInteropTest, Authentication) {
  EXPECT_TRUE(Authenticate(Qop::kAuth, SaslCipher::kRc4));
  EXPECT_EQ(client_->Protect("as it is"), "as it is");
}

TEST_F(SaslInteropTest, AWrongPasswordIsSeen) {
  EXPECT_FALSE(Authenticate(Qop::kAuth, SaslCipher::kRc4, "Secret"));
}

TEST_F(SaslInteropTest, SignedMessages) {
  ASSERT_TRUE(Authenticate(Qop::kAuthInt, SaslCipher::kRc4));
  for (std::uint32_t sequence = 0; sequence < 5; ++sequence) {
    std::string message = "message " + std::to_string(sequence);
    std::optional<std::string> wire = client_->Protect(message);
    ASSERT_TRUE(wire.has_value());
    const Bytes bytes = Bytes(AsBytes(*wire)).subspan(4);
    const std::size_t content = bytes.size() - kSaslSignatureBytes;
    EXPECT_EQ(wire->substr(4, content), message);
    EXPECT_EQ(SaslVerify(hasher_, keys_.client_signs, sequence, bytes.first(content),
                         bytes.subspan(content)),
              SaslVerdict::kGood);
    std::array<std::uint8_t, kSaslSignatureBytes> signature{};
    ASSERT_TRUE(SaslSign(hasher_, keys_.server_signs, sequence, AsBytes(message), signature));
    const std::string reply = message + std::string(signature.begin(), signature.end());
    EXPECT_EQ(client_->Unprotect(WithLength(reply)), message);
  }
}

class SaslInteropSealTest : public SaslInteropTest,
                            public testing::WithParamInterface<SaslCipher> {};

TEST_P(SaslInteropSealTest, SealedMessages) {
  if (!AvailableSaslCiphers().Has(GetParam())) GTEST_SKIP() << "OpenSSL has no such cipher";
  const bool authenticated = Authenticate(Qop::kAuthConf, GetParam());
  if (!authenticated && GetParam() == SaslCipher::k3Des) {
    GTEST_SKIP() << "Cyrus SASL with OpenSSL 3 fails to set up triple DES, against any server";
  }
  ASSERT_TRUE(authenticated);
  const auto sealer = SaslSealer::Create(GetParam(), keys_.server_signs, keys_.server_seals);
  const auto opener = SaslOpener::Create(GetParam(), keys_.client_signs, keys_.client_seals);
  ASSERT_TRUE(sealer != nullptr && opener != nullptr);
  for (std::size_t bytes = 1; bytes < 30; ++bytes) {
    const std::string message(bytes, static_cast<char>('a' + bytes % 26));
    std::optional<std::string> wire = client_->Protect(message);
    ASSERT_TRUE(wire.has_value());
    std::size_t opened = 0;
    ASSERT_EQ(opener->Open(AsBytes(*wire).subspan(4), &opened), SaslVerdict::kGood) << bytes;
    EXPECT_EQ(wire->substr(4, opened), message);
    std::string reply = message;
    reply.resize(sealer->SealedBytes(bytes));
    ASSERT_TRUE(sealer->Seal(AsBytes(reply), bytes));
    ASSERT_EQ(client_->Unprotect(WithLength(reply)), message) << bytes;
  }
}

INSTANTIATE_TEST_SUITE_P(Ciphers, SaslInteropSealTest, testing::ValuesIn(kSaslCiphers),
                         [](const testing::TestParamInfo<SaslCipher>& cipher) {
                           std::string name(NameOf(cipher.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace ktlsim::digest
