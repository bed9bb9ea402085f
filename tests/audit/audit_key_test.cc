// Keys against OpenSSL's HKDF, which is an implementation of its own.
#include "kernel_sim/audit/audit_key.h"

#include <string>

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "tests/audit/audit_test_support.h"

namespace ktlsim::audit {
namespace {

Mac HkdfOfOpenSsl(std::span<const std::byte> secret, std::span<const std::byte> salt,
                  std::string label, int mode) {
  EVP_KDF* const kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(kdf);
  char hash[] = "SHA256";
  std::vector<OSSL_PARAM> parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::byte*>(secret.data()),
                                        secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, label.data(), label.size())};
  if (!salt.empty()) {
    parameters.push_back(OSSL_PARAM_construct_octet_string(
        OSSL_KDF_PARAM_SALT, const_cast<std::byte*>(salt.data()), salt.size()));
  }
  parameters.push_back(OSSL_PARAM_construct_end());
  Mac out{};
  EXPECT_EQ(EVP_KDF_derive(context, reinterpret_cast<unsigned char*>(out.data()), out.size(),
                           parameters.data()),
            1);
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  return out;
}

Mac BytesOf(const ChainKey& key) {
  Mac bytes;
  std::ranges::copy(key.bytes(), bytes.begin());
  return bytes;
}

TEST(AuditKeyTest, IsMadeAsRfc5869Says) {
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  LogId log{};
  log[3] = std::byte{7};
  const auto secret = test::SecretBytes(test::kSecretText);
  ChainKey key;
  ASSERT_TRUE(key.Derive(*engine, secret, log));
  EXPECT_EQ(BytesOf(key),
            HkdfOfOpenSsl(secret, log, "ktlsim audit first", EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND));
  const Mac first = BytesOf(key);
  ASSERT_TRUE(key.Step(*engine));
  EXPECT_EQ(BytesOf(key),
            HkdfOfOpenSsl(first, {}, "ktlsim audit next", EVP_KDF_HKDF_MODE_EXPAND_ONLY));
  KeyId id;
  ASSERT_TRUE(IdOfSecret(*engine, secret, &id));
  const Mac whole =
      HkdfOfOpenSsl(secret, {}, "ktlsim audit key id", EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND);
  EXPECT_TRUE(std::equal(id.begin(), id.end(), whole.begin()));
}

// HMAC-SHA-256 of RFC 4231, test case 2.
TEST(AuditKeyTest, MacsAreThoseOfRfc4231) {
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  Mac mac;
  ASSERT_TRUE(engine->Compute(test::SecretBytes("Jefe"), test::SecretBytes("what do ya want "),
                              test::SecretBytes("for nothing?"), &mac));
  std::string text;
  AppendHex(mac, &text);
  EXPECT_EQ(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(AuditKeyTest, LinesHeadsAndOtherLogsHaveOtherMacs) {
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  const auto secret = test::SecretBytes(test::kSecretText);
  LogId log{};
  ChainKey key;
  ASSERT_TRUE(key.Derive(*engine, secret, log));
  Mac line;
  Mac head;
  ASSERT_TRUE(key.MacOfLine(*engine, "x", &line));
  ASSERT_TRUE(key.MacOfHead(*engine, test::SecretBytes("x"), &head));
  EXPECT_FALSE(SameMac(line, head));
  log[0] = std::byte{1};
  ChainKey other;
  ASSERT_TRUE(other.Derive(*engine, secret, log));
  EXPECT_NE(BytesOf(other), BytesOf(key));
}

}  // namespace
}  // namespace ktlsim::audit
