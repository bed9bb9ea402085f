// Walks the tables from numbers to words: every entry has a text.
#include "tls/handshake/failure.h"

#include <string>

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "tls/alert_text.h"
#include "tls/crypto_failure.h"
#include "tls/identity/verify_error.h"

namespace ktlsim::tls {
namespace {

TEST(FailureTest, EveryAlertHasWords) {
  for (int i = 0; i < 256; ++i) {
    const auto description = static_cast<AlertDescription>(i);
    const std::string name = AlertName(description);
    const bool known = name != "unknown_alert";
    for (const Role own : {Role::kClient, Role::kServer}) {
      const std::string text = ReceivedAlertText(description, own);
      EXPECT_TRUE(text.starts_with(own == Role::kServer ? "the client " : "the server ")) << text;
      EXPECT_EQ(text.ends_with(" (alert " + name + " received)"), known) << text;
    }
  }
  EXPECT_STREQ(ReceivedAlertText(AlertDescription::kUnknownCa, Role::kServer),
               "the client refused our certificate (alert unknown_ca received)");
  EXPECT_STREQ(AlertName(AlertDescription::kNoApplicationProtocol), "no_application_protocol");
  EXPECT_STREQ(AlertName(static_cast<AlertDescription>(200)), "unknown_alert");
}

TEST(FailureTest, EveryVerifyErrorHasWords) {
  EXPECT_STREQ(VerifyErrorText(0), "");
  for (int i = 1; i < 120; ++i) EXPECT_STRNE(VerifyErrorText(i), "") << i;
}

TEST(FailureTest, TheQueueIsDrainedAndItsCauseTold) {
  ERR_raise(ERR_LIB_EVP, ERR_R_INTERNAL_ERROR);
  ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
  Status status =
      DrainFailure(Role::kServer, {}, FatalAlert(AlertDescription::kHandshakeFailure), 0);
  EXPECT_EQ(ERR_peek_error(), 0U);
  EXPECT_EQ(status.category(), Category::kTls);
  EXPECT_EQ(status.code(), 40);
  EXPECT_STREQ(status.what(), "the client offered no cipher suite we accept");
  ERR_raise(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE);
  status = DrainFailure(Role::kServer, {}, {}, 0);
  EXPECT_EQ(status.category(), Category::kResource);
  status = DrainFailure(Role::kServer, {}, FatalAlert(AlertDescription::kDecodeError), 0);
  EXPECT_EQ(status.category(), Category::kTls);
  EXPECT_STREQ(status.what(), "the handshake failed");
}

TEST(FailureTest, WantOfMemoryHasManyNamesAndOneStatus) {
  ERR_raise(ERR_LIB_SSL, SSL_R_CERTIFICATE_VERIFY_FAILED);
  EXPECT_EQ(DrainFailure(Role::kServer, {}, FatalAlert(AlertDescription::kInternalError),
                         X509_V_ERR_OUT_OF_MEM)
                .category(),
            Category::kResource);
  const Alert received = FatalAlert(AlertDescription::kInternalError);
  EXPECT_EQ(DrainFailure(Role::kServer, received, {}, 0).category(), Category::kTls)
      << "the peer's alert, not ours";
  ERR_raise(ERR_LIB_ASN1, ERR_R_MALLOC_FAILURE);
  ERR_raise(ERR_LIB_PEM, ERR_R_ASN1_LIB);
  EXPECT_EQ(CryptoFailure("a certificate is damaged").category(), Category::kResource);
  ERR_raise(ERR_LIB_PEM, ERR_R_ASN1_LIB);
  EXPECT_STREQ(CryptoFailure("a certificate is damaged").what(), "a certificate is damaged");
  EXPECT_EQ(ERR_peek_error(), 0U);
}

}  // namespace
}  // namespace ktlsim::tls
