// Either end of DIGEST-MD5 through the public functions, with Cyrus SASL as the other one.

#include <sspi.h>

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/digest/cyrus_sasl.h"
#include "tests/sspi_digest/sasl_scene.h"
#include "tests/support/temporary_folder.h"

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

// ---- Our client

class DigestSaslServerInteropTest : public testing::Test {
 protected:
  // Begins, up to our response. False: there is no such server here.
  bool Respond(ULONG flags, const std::string& password, std::string* response) {
    std::string why;
    server_ = digest::test::CyrusServer::Create(
        {.username = "Mufasa", .password = "Circle of Life", .realm = "elwood.example.org"},
        folder_.File("accounts"), &why);
    if (server_ == nullptr) {
      missing_ = why;
      return false;
    }
    account_ = std::make_unique<DigestClient>("Mufasa", password);
    client_ = std::make_unique<SaslEnd>(account_->credential(), false, flags);
    const std::optional<std::string> challenge = server_->Start();
    EXPECT_TRUE(challenge.has_value());
    EXPECT_EQ(client_->Leg(challenge.value_or(""), response), SEC_I_CONTINUE_NEEDED)
        << KtlsimLastErrorText();
    return true;
  }
  // Both know then that the other one knows the password. False: there is no such server here.
  bool Authenticate(ULONG flags) {
    std::string token;
    if (!Respond(flags, "Circle of Life", &token)) return false;
    const std::optional<std::string> last = server_->Step(token);
    EXPECT_TRUE(last.has_value()) << token;
    EXPECT_EQ(client_->Leg(last.value_or(""), &token), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_TRUE(server_->Username().starts_with("Mufasa")) << server_->Username();
    return true;
  }
  void ExchangeMessages(ULONG qop) {
    for (int i = 0; i < 3; ++i) {
      std::string text = "to the server";
      ASSERT_EQ(client_->Seal(&text, qop), SEC_E_OK) << KtlsimLastErrorText();
      EXPECT_EQ(server_->Unprotect(WithLength(text)), "to the server");
      const std::optional<std::string> wire = server_->Protect("to the client");
      ASSERT_TRUE(wire.has_value());
      text = wire->substr(4);
      ULONG got = 0;
      ASSERT_EQ(client_->Open(&text, &got), SEC_E_OK) << KtlsimLastErrorText();
      EXPECT_EQ(text, "to the client");
    }
  }

  const TemporaryFolder folder_;
  std::string missing_;
  std::unique_ptr<digest::test::CyrusServer> server_;
  std::unique_ptr<DigestClient> account_;
  std::unique_ptr<SaslEnd> client_;
};

TEST_F(DigestSaslServerInteropTest, Authentication) {
  if (!Authenticate(0)) GTEST_SKIP() << missing_;
  EXPECT_NE(client_->attributes() & ISC_RET_MUTUAL_AUTH, 0U);
}

TEST_F(DigestSaslServerInteropTest, AWrongPasswordIsRefused) {
  std::string response;
  if (!Respond(0, "Circle of life", &response)) GTEST_SKIP() << missing_;
  EXPECT_EQ(server_->Step(response), std::nullopt);
}

TEST_F(DigestSaslServerInteropTest, SignedMessages) {
  if (!Authenticate(ISC_REQ_INTEGRITY)) GTEST_SKIP() << missing_;
  EXPECT_NE(client_->attributes() & ISC_RET_INTEGRITY, 0U);
  ExchangeMessages(SECQOP_WRAP_NO_ENCRYPT);
}

TEST_F(DigestSaslServerInteropTest, SealedMessages) {
  if (!Authenticate(ISC_REQ_CONFIDENTIALITY)) GTEST_SKIP() << missing_;
  if ((client_->attributes() & ISC_RET_CONFIDENTIALITY) == 0) {
    GTEST_SKIP() << "the two have no cipher in common";
  }
  ExchangeMessages(0);
}

}  // namespace
}  // namespace ktlsim::test
