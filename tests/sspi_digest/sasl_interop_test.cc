// Our server of DIGEST-MD5 through the public functions, a client of Cyrus SASL as the other end.

#include <sspi.h>

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/digest/cyrus_sasl.h"
#include "tests/sspi_digest/sasl_scene.h"

namespace ktlsim::test {
namespace {

// The four bytes of length that SASL puts in front of a protected message (RFC 4422 3.7).
std::string WithLength(const std::string& message) {
  std::string wire;
  for (int shift = 24; shift >= 0; shift -= 8) {
    wire.push_back(static_cast<char>(message.size() >> shift));
  }
  return wire + message;
}

class DigestSaslInteropTest : public testing::Test {
 protected:
  void Authenticate(ULONG flags) {
    std::string why;
    client_ = digest::test::CyrusClient::Create(
        {.username = "Mufasa", .password = "Circle of Life", .realm = std::string(kRealm)}, &why);
    if (client_ == nullptr) GTEST_SKIP() << why;
    server_ = std::make_unique<SaslEnd>(users_.credential(), true, flags);
    std::string token;
    ASSERT_EQ(server_->Leg("", &token), SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
    const std::optional<std::string> response = client_->Step(token);
    ASSERT_TRUE(response.has_value()) << token;
    ASSERT_EQ(server_->Leg(*response, &token), SEC_E_OK) << *response;
    ASSERT_TRUE(client_->Step(token).has_value()) << token;
  }
  void ExchangeMessages(ULONG qop) {
    for (int i = 0; i < 3; ++i) {
      const std::optional<std::string> wire = client_->Protect("to the server");
      ASSERT_TRUE(wire.has_value());
      std::string text = wire->substr(4);
      ULONG got = 0;
      ASSERT_EQ(server_->Open(&text, &got), SEC_E_OK);
      EXPECT_EQ(text, "to the server");
      text = "to the client";
      ASSERT_EQ(server_->Seal(&text, qop), SEC_E_OK);
      EXPECT_EQ(client_->Unprotect(WithLength(text)), "to the client");
    }
  }

  DigestServer users_;
  std::unique_ptr<digest::test::CyrusClient> client_;
  std::unique_ptr<SaslEnd> server_;
};

TEST_F(DigestSaslInteropTest, Authentication) { Authenticate(0); }

TEST_F(DigestSaslInteropTest, SignedMessages) {
  Authenticate(ASC_REQ_INTEGRITY);
  if (server_ != nullptr) ExchangeMessages(SECQOP_WRAP_NO_ENCRYPT);
}

TEST_F(DigestSaslInteropTest, SealedMessages) {
  Authenticate(ASC_REQ_CONFIDENTIALITY);
  if (server_ != nullptr) ExchangeMessages(0);
}

}  // namespace
}  // namespace ktlsim::test
