// What QueryContextAttributes tells of a context of Digest, in either width.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

class DigestAttributesTest : public testing::Test {
 protected:
  template <typename Value>
  SECURITY_STATUS Query(ULONG attribute, Value* value) {
    return QueryContextAttributesA(&context_.context, attribute, value);
  }

  const ULONGLONG buffers_ = Statistics().cContextBuffers;
  DigestServer server_;
  DigestClient client_;
  Established context_{server_, client_};
};

TEST_F(DigestAttributesTest, Sizes) {
  SecPkgContext_Sizes sizes{};
  ASSERT_EQ(Query(SECPKG_ATTR_SIZES, &sizes), SEC_E_OK);
  EXPECT_EQ(sizes.cbMaxToken, 4096U);
  EXPECT_EQ(sizes.cbMaxSignature, 4096U);
  EXPECT_EQ(sizes.cbBlockSize, 0U);
  EXPECT_EQ(sizes.cbSecurityTrailer, 0U);
}

TEST_F(DigestAttributesTest, KeyInfo) {
  SecPkgContext_KeyInfoA narrow{};
  ASSERT_EQ(Query(SECPKG_ATTR_KEY_INFO, &narrow), SEC_E_OK);
  EXPECT_STREQ(narrow.sSignatureAlgorithmName, "MD5");
  EXPECT_STREQ(narrow.sEncryptAlgorithmName, "");
  EXPECT_EQ(narrow.KeySize, 128U);
  EXPECT_EQ(FreeContextBuffer(narrow.sSignatureAlgorithmName), SEC_E_OK);
  EXPECT_EQ(FreeContextBuffer(narrow.sEncryptAlgorithmName), SEC_E_OK);
  SecPkgContext_KeyInfoW wide{};
  ASSERT_EQ(QueryContextAttributesW(client_.context(), SECPKG_ATTR_KEY_INFO, &wide), SEC_E_OK);
  EXPECT_EQ(std::u16string(wide.sSignatureAlgorithmName), u"MD5");
  EXPECT_EQ(FreeContextBuffer(wide.sSignatureAlgorithmName), SEC_E_OK);
  EXPECT_EQ(FreeContextBuffer(wide.sEncryptAlgorithmName), SEC_E_OK);
  EXPECT_EQ(Statistics().cContextBuffers, buffers_);
}

TEST_F(DigestAttributesTest, PackageInfo) {
  SecPkgContext_PackageInfoA narrow{};
  ASSERT_EQ(Query(SECPKG_ATTR_PACKAGE_INFO, &narrow), SEC_E_OK);
  EXPECT_STREQ(narrow.PackageInfo->Name, "WDigest");
  EXPECT_EQ(narrow.PackageInfo->cbMaxToken, 4096U);
  EXPECT_EQ(FreeContextBuffer(narrow.PackageInfo), SEC_E_OK);
  SecPkgContext_PackageInfoW wide{};
  ASSERT_EQ(QueryContextAttributesW(client_.context(), SECPKG_ATTR_PACKAGE_INFO, &wide), SEC_E_OK);
  EXPECT_EQ(std::u16string(wide.PackageInfo->Comment), u"Digest Authentication for Windows");
  EXPECT_EQ(FreeContextBuffer(wide.PackageInfo), SEC_E_OK);
  EXPECT_EQ(Statistics().cContextBuffers, buffers_);
}

TEST_F(DigestAttributesTest, SessionKeyIsTheSameOnBothSides) {
  SecPkgContext_SessionKey server{};
  SecPkgContext_SessionKey client{};
  ASSERT_EQ(Query(SECPKG_ATTR_SESSION_KEY, &server), SEC_E_OK);
  ASSERT_EQ(QueryContextAttributesW(client_.context(), SECPKG_ATTR_SESSION_KEY, &client), SEC_E_OK);
  EXPECT_EQ(std::string(reinterpret_cast<char*>(server.SessionKey), server.SessionKeyLength),
            std::string(reinterpret_cast<char*>(client.SessionKey), client.SessionKeyLength));
  EXPECT_EQ(server.SessionKeyLength, 16U);
  EXPECT_EQ(FreeContextBuffer(server.SessionKey), SEC_E_OK);
  EXPECT_EQ(FreeContextBuffer(client.SessionKey), SEC_E_OK);
}

TEST_F(DigestAttributesTest, BeginsWhenItIsEstablishedAndNeverExpires) {
  SecPkgContext_Lifespan lifespan{};
  SecPkgContext_Lifespan later{};
  ASSERT_EQ(Query(SECPKG_ATTR_LIFESPAN, &lifespan), SEC_E_OK);
  EXPECT_GT(lifespan.tsStart.QuadPart, 0);
  EXPECT_EQ(lifespan.tsExpiry.QuadPart, 0x7FFFFFFFFFFFFFFF);
  EXPECT_EQ(server_.Serve(client_.Sign()), SEC_E_OK);
  ASSERT_EQ(QueryContextAttributesA(client_.context(), SECPKG_ATTR_LIFESPAN, &later), SEC_E_OK);
  EXPECT_EQ(later.tsStart.QuadPart, lifespan.tsStart.QuadPart);
}

TEST_F(DigestAttributesTest, Flags) {
  SecPkgContext_Flags flags{};
  ASSERT_EQ(QueryContextAttributesA(client_.context(), SECPKG_ATTR_FLAGS, &flags), SEC_E_OK);
  EXPECT_EQ(flags.Flags, client_.attributes());
}

TEST_F(DigestAttributesTest, OthersAreNotThere) {
  SecPkgContext_AccessToken token{};
  EXPECT_EQ(Query(SECPKG_ATTR_ACCESS_TOKEN, &token), SEC_E_NO_IMPERSONATION) << "nobody maps";
  for (const int attribute : {SECPKG_ATTR_CLIENT_SPECIFIED_TARGET, SECPKG_ATTR_STREAM_SIZES,
                              SECPKG_ATTR_AUTHORITY, SECPKG_ATTR_PASSWORD_EXPIRY}) {
    EXPECT_EQ(Query(static_cast<ULONG>(attribute), &token), SEC_E_UNSUPPORTED_FUNCTION)
        << attribute;
  }
  SecPkgContext_Sizes sizes{};
  EXPECT_EQ(QueryContextAttributesExA(&context_.context, SECPKG_ATTR_SIZES, &sizes, 4),
            SEC_E_BUFFER_TOO_SMALL);
}

TEST_F(DigestAttributesTest, ClientWhoseServerWasForgottenHasNoKey) {
  // As though the cache had made room.
  SecPkgContext_SessionKey key{};
  CtxtHandle partial = server_.Challenge().context;
  EXPECT_LT(QueryContextAttributesA(&partial, SECPKG_ATTR_SESSION_KEY, &key), 0);
  EXPECT_EQ(DigestServer::Delete(partial), SEC_E_OK);
}

TEST_F(DigestAttributesTest, CredentialsHaveTheNameOfTheirUser) {
  SecPkgCredentials_NamesA names{};
  ASSERT_EQ(QueryCredentialsAttributesA(client_.credential(), SECPKG_CRED_ATTR_NAMES, &names),
            SEC_E_OK);
  EXPECT_STREQ(names.sUserName, "Mufasa");
  EXPECT_EQ(FreeContextBuffer(names.sUserName), SEC_E_OK);
  EXPECT_EQ(QueryCredentialsAttributesA(server_.credential(), SECPKG_CRED_ATTR_NAMES, &names),
            SEC_E_NO_CREDENTIALS);
}

}  // namespace
}  // namespace ktlsim::test
