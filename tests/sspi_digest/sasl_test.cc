// SASL's DIGEST-MD5 (RFC 2831) through the public functions: authentication both ways, signatures,
// sealed messages.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/sasl_scene.h"

namespace ktlsim::test {
namespace {

struct Quality {
  const char* name;
  ULONG client;
  ULONG server;
};

class DigestSaslTest : public testing::Test {
 protected:
  void Begin(ULONG client_flags = 0, ULONG server_flags = 0) {
    client_ = std::make_unique<SaslEnd>(account_.credential(), false, client_flags);
    server_ = std::make_unique<SaslEnd>(users_.credential(), true, server_flags);
  }
  // Challenge and response.
  std::string Response() {
    std::string token;
    EXPECT_EQ(server_->Leg("", &token), SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
    EXPECT_EQ(client_->Leg(token, &token), SEC_I_CONTINUE_NEEDED) << KtlsimLastErrorText();
    return token;
  }
  void Establish(ULONG client_flags = 0, ULONG server_flags = 0) {
    Begin(client_flags, server_flags);
    std::string token = Response();
    ASSERT_EQ(server_->Leg(token, &token), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_TRUE(token.starts_with("rspauth="));
    ASSERT_EQ(client_->Leg(token, &token), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_TRUE(token.empty());
  }

  DigestServer users_;
  DigestClient account_;
  std::unique_ptr<SaslEnd> client_;
  std::unique_ptr<SaslEnd> server_;
};

TEST_F(DigestSaslTest, BothProveThatTheyKnowThePassword) {
  Establish();
  EXPECT_NE(client_->attributes() & ISC_RET_MUTUAL_AUTH, 0U);
  SecPkgContext_NamesA names{};
  ASSERT_EQ(QueryContextAttributesA(server_->context(), SECPKG_ATTR_NAMES, &names), SEC_E_OK);
  EXPECT_STREQ(names.sUserName, "Mufasa");
  FreeContextBuffer(names.sUserName);
  SecPkgContext_Sizes sizes{};
  ASSERT_EQ(QueryContextAttributesA(client_->context(), SECPKG_ATTR_SIZES, &sizes), SEC_E_OK);
  EXPECT_EQ(sizes.cbMaxSignature, 16U);
  EXPECT_EQ(sizes.cbBlockSize, 0U);
  EXPECT_EQ(sizes.cbSecurityTrailer, 16U);
}

TEST_F(DigestSaslTest, BothTellWhichServiceTheClientMeans) {
  Establish();
  for (const CtxtHandle* const context : {client_->context(), server_->context()}) {
    SecPkgContext_ClientSpecifiedTarget target{};
    ASSERT_EQ(QueryContextAttributesW(const_cast<CtxtHandle*>(context),
                                      SECPKG_ATTR_CLIENT_SPECIFIED_TARGET, &target),
              SEC_E_OK);
    const std::u16string expected = u"imap/elwood.example.org";
    EXPECT_EQ(std::u16string(reinterpret_cast<const char16_t*>(target.sTargetName)), expected);
    EXPECT_EQ(FreeContextBuffer(target.sTargetName), SEC_E_OK);
  }
}

TEST_F(DigestSaslTest, ClientMayBeCalledBeforeTheChallengeIsThere) {
  Begin();
  std::string token = "x";
  EXPECT_EQ(client_->Leg("", &token), SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(token.empty());
  token = Response();
  EXPECT_EQ(server_->Leg(token, &token), SEC_E_OK);
  EXPECT_EQ(client_->Leg(token, &token), SEC_E_OK);
}

TEST_F(DigestSaslTest, WrongPasswordAndWrongServerAreFound) {
  DigestClient wrong("Mufasa", "wrong");
  Begin();
  client_ = std::make_unique<SaslEnd>(wrong.credential(), false, 0);
  std::string token = Response();
  EXPECT_EQ(server_->Leg(token, &token), SEC_E_LOGON_DENIED);
  Begin();
  token = Response();
  EXPECT_EQ(client_->Leg("rspauth=00000000000000000000000000000000", &token),
            SEC_E_WRONG_PRINCIPAL);
}

TEST_F(DigestSaslTest, ResponseIsTakenOnce) {
  Establish();
  std::string token;
  EXPECT_EQ(server_->Leg("x", &token), kLogonFailure);
  // Nor is it another context's.
  Begin();
  const std::string response = Response();
  Begin();
  Response();
  EXPECT_EQ(server_->Leg(response, &token), SEC_E_LOGON_DENIED);
}

TEST_F(DigestSaslTest, SignaturesAreInOrder) {
  Establish(ISC_REQ_INTEGRITY, ASC_REQ_INTEGRITY);
  EXPECT_NE(client_->attributes() & ISC_RET_INTEGRITY, 0U);
  std::string first;
  std::string second;
  ASSERT_EQ(client_->Sign("one", &first), SEC_E_OK);
  ASSERT_EQ(client_->Sign("two", &second), SEC_E_OK);
  EXPECT_EQ(server_->Verify("two", second), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(server_->Verify("One", first), SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(server_->Verify("one", first), SEC_E_OK);
  EXPECT_EQ(server_->Verify("one", first), SEC_E_OUT_OF_SEQUENCE);
  EXPECT_EQ(server_->Verify("two", second), SEC_E_OK);
  // The other direction has numbers and keys of its own.
  ASSERT_EQ(server_->Sign("three", &first), SEC_E_OK);
  EXPECT_EQ(server_->Verify("three", first), SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_->Verify("three", first), SEC_E_OK);
  // Signed only, as a message.
  std::string text = "four";
  EXPECT_EQ(client_->Seal(&text), SEC_E_QOP_NOT_SUPPORTED);
  ASSERT_EQ(client_->Seal(&text, SECQOP_WRAP_NO_ENCRYPT), SEC_E_OK);
  EXPECT_TRUE(text.starts_with("four"));
  ULONG qop = 0;
  ASSERT_EQ(server_->Open(&text, &qop), SEC_E_OK);
  EXPECT_EQ(text, "four");
  EXPECT_EQ(qop, SECQOP_WRAP_NO_ENCRYPT);
}

TEST_F(DigestSaslTest, SealedMessages) {
  Begin(ISC_REQ_CONFIDENTIALITY, ASC_REQ_CONFIDENTIALITY);
  std::string token;
  if (server_->Leg("", &token) == SEC_E_SECURITY_QOS_FAILED) {
    GTEST_SKIP() << KtlsimLastErrorText();
  }
  ASSERT_EQ(client_->Leg(token, &token), SEC_I_CONTINUE_NEEDED);
  ASSERT_EQ(server_->Leg(token, &token), SEC_E_OK);
  ASSERT_EQ(client_->Leg(token, &token), SEC_E_OK);
  EXPECT_NE(client_->attributes() & ISC_RET_CONFIDENTIALITY, 0U);
  for (int i = 0; i < 3; ++i) {
    std::string text = "a message, number " + std::to_string(i);
    const std::string plain = text;
    ASSERT_EQ(client_->Seal(&text), SEC_E_OK);
    EXPECT_EQ(text.find("message"), std::string::npos);
    ULONG qop = 1;
    ASSERT_EQ(server_->Open(&text, &qop), SEC_E_OK);
    EXPECT_EQ(text, plain);
    EXPECT_EQ(qop, 0U);
    ASSERT_EQ(server_->Seal(&text), SEC_E_OK);
    ASSERT_EQ(client_->Open(&text, &qop), SEC_E_OK);
    EXPECT_EQ(text, plain);
  }
  std::string text = "last";
  ASSERT_EQ(client_->Seal(&text), SEC_E_OK);
  text[0] = static_cast<char>(text[0] ^ 1);
  ULONG qop = 0;
  EXPECT_EQ(server_->Open(&text, &qop), SEC_E_MESSAGE_ALTERED);
  std::string signature;
  EXPECT_EQ(client_->Sign("x", &signature), SEC_E_UNSUPPORTED_FUNCTION);
}

TEST_F(DigestSaslTest, ServerInsistsOnWhatItAskedFor) {
  Begin(0, ASC_REQ_INTEGRITY);
  std::string token = Response();
  EXPECT_NE(token.find("qop=auth-int"), std::string::npos);
  EXPECT_NE(client_->attributes() & ISC_RET_INTEGRITY, 0U);
  std::string weaker = With(token, "qop=auth-int", "qop=auth");
  EXPECT_EQ(server_->Leg(weaker, &weaker), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(server_->Leg(token, &token), SEC_E_OK);
}

TEST_F(DigestSaslTest, WithoutAgreedProtectionThereIsNone) {
  Establish();
  std::string text = "x";
  EXPECT_EQ(client_->Seal(&text), SEC_E_QOP_NOT_SUPPORTED);
  EXPECT_EQ(client_->Sign("x", &text), SEC_E_UNSUPPORTED_FUNCTION);
  ULONG qop = 0;
  EXPECT_EQ(server_->Open(&text, &qop), SEC_E_UNSUPPORTED_FUNCTION);
}

TEST_F(DigestSaslTest, MalformedTokens) {
  for (const char* const token : {"x", "nonce=\"n\"", "realm=\"", "username=\"a\",nonce=\"b\""}) {
    Begin();
    std::string made;
    EXPECT_EQ(client_->Leg(token, &made), SEC_E_INVALID_TOKEN) << token;
    ASSERT_EQ(server_->Leg("", &made), SEC_I_CONTINUE_NEEDED);
    EXPECT_EQ(server_->Leg(token, &made), SEC_E_INVALID_TOKEN) << token;
  }
}

TEST_F(DigestSaslTest, ChannelBindingsAreNotCarried) {
  std::array<char, 32> bindings{};
  SecBuffer in[2] = {
      {0, SECBUFFER_TOKEN, nullptr},
      {bindings.size(), SECBUFFER_CHANNEL_BINDINGS | SECBUFFER_READONLY, bindings.data()}};
  SecBufferDesc input = {SECBUFFER_VERSION, 2, in};
  std::array<char, 4096> room;
  SecBuffer out = {room.size(), SECBUFFER_TOKEN, room.data()};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  ULONG attributes = 0;
  EXPECT_EQ(AcceptSecurityContext(users_.credential(), nullptr, &input, 0, 0, &context, &output,
                                  &attributes, nullptr),
            SEC_E_BAD_BINDINGS);
}

}  // namespace
}  // namespace ktlsim::test
