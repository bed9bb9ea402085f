#include "tls/identity/certificate.h"

#include <ctime>
#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "tests/support/temporary_folder.h"
#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

std::string EncryptedKey() {
  BIO* bio = BIO_new(BIO_s_mem());
  constexpr unsigned char kPassphrase[] = "secret";
  PEM_write_bio_PKCS8PrivateKey(bio, EcdsaCertificate()->private_key(), EVP_aes_128_cbc(),
                                reinterpret_cast<const char*>(kPassphrase), 6, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(bio);
  return pem;
}

TEST(CertificateTest, SelfSignedTellsItsFacts) {
  const auto certificate = EcdsaCertificate();
  EXPECT_TRUE(certificate->has_private_key());
  EXPECT_EQ(certificate->key_type(), KeyType::kEcdsaP256);
  EXPECT_EQ(RsaCertificate()->key_type(), KeyType::kRsa2048);
  EXPECT_EQ(certificate->subject(), std::string("CN = ") + kName);
  EXPECT_EQ(certificate->issuer(), certificate->subject());
  const std::int64_t now = time(nullptr);
  EXPECT_LE(certificate->not_before(), now - 86'000);
  EXPECT_NEAR(static_cast<double>(certificate->not_after() - now), 397 * 86400.0, 600.0);
}

TEST(CertificateTest, RefusesNamesThatAreNone) {
  for (const char* name : {"", "a b", "a,DNS:b", "x\ny"}) {
    EXPECT_FALSE(Certificate::SelfSigned(name, KeyType::kEcdsaP256).ok()) << name;
  }
  EXPECT_FALSE(Certificate::SelfSigned(std::string(254, 'a'), KeyType::kEcdsaP256).ok());
  EXPECT_TRUE(Certificate::SelfSigned(std::string(100, 'a'), KeyType::kEcdsaP256).ok());
  EXPECT_TRUE(Certificate::SelfSigned("::1", KeyType::kEcdsaP256).ok());
}

TEST(CertificateTest, PemAndDerMakeTheSame) {
  const auto original = EcdsaCertificate();
  auto again = Certificate::FromPem(original->ChainPem().value(), original->KeyPem().value());
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ((*again)->chain(), original->chain());
  EXPECT_EQ((*again)->sha1_thumbprint(), original->sha1_thumbprint());
  auto peer = Certificate::FromDer(original->leaf());
  ASSERT_TRUE(peer.ok());
  EXPECT_FALSE((*peer)->has_private_key());
  EXPECT_EQ((*peer)->sha1_thumbprint(), original->sha1_thumbprint());
  EXPECT_EQ((*peer)->KeyPem().value(), "");
}

TEST(CertificateTest, KeepsTheOrderOfAChain) {
  const std::string chain =
      EcdsaCertificate()->ChainPem().value() + RsaCertificate()->ChainPem().value();
  auto certificate = Certificate::FromPem(chain, "");
  ASSERT_TRUE(certificate.ok());
  ASSERT_EQ((*certificate)->chain().size(), 2U);
  EXPECT_EQ((*certificate)->chain()[1], RsaCertificate()->chain()[0]);
}

TEST(CertificateTest, SaysWhatIsWrong) {
  const std::string chain = EcdsaCertificate()->ChainPem().value();
  const std::string key = EcdsaCertificate()->KeyPem().value();
  EXPECT_STREQ(Certificate::FromPem("", key).status().what(), "there is no PEM certificate");
  EXPECT_STREQ(Certificate::FromPem(chain, "nonsense").status().what(),
               "there is no readable PEM private key");
  EXPECT_STREQ(Certificate::FromPem(chain, RsaCertificate()->KeyPem().value()).status().what(),
               "the private key does not belong to the certificate");
  EXPECT_STREQ(Certificate::FromPem(chain, EncryptedKey()).status().what(),
               "the private key is encrypted: decrypt it first (openssl pkey)");
  std::string damaged = chain;
  damaged[100] = '!';
  EXPECT_STREQ(Certificate::FromPem(damaged, key).status().what(),
               "a certificate in the chain is damaged");
  EXPECT_FALSE(Certificate::FromDer({}).ok());
  auto der = EcdsaCertificate()->chain()[0];
  der.push_back(0);
  EXPECT_FALSE(Certificate::FromDer(der).ok()) << "bytes after the certificate";
  der.resize(der.size() / 2);
  EXPECT_FALSE(Certificate::FromDer(der).ok());
}

TEST(CertificateTest, FilesAreNamedInTheMessage) {
  const ktlsim::test::TemporaryFolder folder;
  const std::string chain = folder.Write("chain.pem", EcdsaCertificate()->ChainPem().value());
  const std::string key = folder.Write("key.pem", EcdsaCertificate()->KeyPem().value());
  const std::string other = folder.Write("other.pem", RsaCertificate()->KeyPem().value());
  std::string message;
  EXPECT_TRUE(Certificate::FromPemFiles(chain, key, &message).ok()) << message;
  EXPECT_FALSE(Certificate::FromPemFiles("/nowhere.pem", key, &message).ok());
  EXPECT_EQ(message, "/nowhere.pem: open the file: No such file or directory");
  EXPECT_FALSE(Certificate::FromPemFiles(chain, other, &message).ok());
  EXPECT_TRUE(message.starts_with(other)) << message;
  EXPECT_FALSE(Certificate::FromPemFiles(key, key, &message).ok());
  EXPECT_TRUE(message.starts_with(key)) << message;
  EXPECT_FALSE(Certificate::FromPemFiles(folder.path(), key, &message).ok());
}

}  // namespace
}  // namespace ktlsim::tls::test
