// Which certificates a credential accepts: those with which a handshake can succeed under its
// settings. Others are refused by name, at the acquisition and by every attribute.
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

KeyPtr EcKey(const char* curve) {
  return {EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve), &EVP_PKEY_free};
}
KeyPtr RsaKey(std::size_t bits) {
  return {EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits), &EVP_PKEY_free};
}
KeyPtr OtherKey(const char* kind) {
  return {EVP_PKEY_Q_keygen(nullptr, nullptr, kind), &EVP_PKEY_free};
}

template <typename Write>
std::string PemOf(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  EXPECT_EQ(write(bio.get()), 1);
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(bytes)};
}

struct Shape {
  const char* key_usage = nullptr;
  long from_s = -60;
  long until_s = 3600;
};

// A certificate for `name` with this key, issued by one of P-256.
class Own {
 public:
  Own(const std::string& name, const KeyPtr& key, Shape shape = {}) {
    static const KeyPtr issuer = EcKey("P-256");
    const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), &X509_free);
    X509_set_version(made.get(), X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), shape.from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), shape.until_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(made.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("issuer"), -1, -1, 0);
    EXPECT_EQ(X509_set_pubkey(made.get(), key.get()), 1);
    if (shape.key_usage != nullptr) {
      X509_EXTENSION* const usage =
          X509V3_EXT_conf_nid(nullptr, nullptr, NID_key_usage, shape.key_usage);
      EXPECT_EQ(X509_add_ext(made.get(), usage, -1), 1);
      X509_EXTENSION_free(usage);
    }
    EXPECT_GT(X509_sign(made.get(), issuer.get(), EVP_sha256()), 0);
    const std::string pem = PemOf([&](BIO* bio) { return PEM_write_bio_X509(bio, made.get()); });
    const std::string key_pem = PemOf([&](BIO* bio) {
      return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    EXPECT_EQ(KtlsimLoadCertificatePem(pem.c_str(), key_pem.c_str(), &context), SEC_E_OK)
        << KtlsimLastErrorText();
  }
  Own(const Own&) = delete;
  Own& operator=(const Own&) = delete;
  ~Own() { CertFreeCertificateContext(context); }

  PCCERT_CONTEXT context = nullptr;
};

class Credential {
 public:
  Credential(ULONG use, ULONG disabled, PCCERT_CONTEXT certificate, ULONG flags = 0) {
    TLS_PARAMETERS parameters{};
    parameters.grbitDisabledProtocols = disabled;
    SCH_CREDENTIALS cred{};
    cred.dwVersion = SCH_CREDENTIALS_VERSION;
    cred.dwFlags = flags;
    cred.cTlsParameters = 1;
    cred.pTlsParameters = &parameters;
    cred.cCreds = certificate != nullptr ? 1 : 0;
    cred.paCred = &certificate;
    char name[] = UNISP_NAME_A;
    status = AcquireCredentialsHandleA(nullptr, name, use, nullptr, &cred, nullptr, nullptr,
                                       &handle, nullptr);
    if (status != SEC_E_OK) why = KtlsimLastErrorText();
  }
  Credential(const Credential&) = delete;
  Credential& operator=(const Credential&) = delete;
  ~Credential() {
    if (status == SEC_E_OK) {
      EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
    }
  }
  template <typename Attribute>
  SECURITY_STATUS Set(ULONG number, Attribute value) {
    const SECURITY_STATUS set = SetCredentialsAttributesA(&handle, number, &value, sizeof(value));
    why = set == SEC_E_OK ? "" : KtlsimLastErrorText();
    return set;
  }
  bool Tells(const std::string& word) const { return why.find(word) != std::string::npos; }

  CredHandle handle{};
  SECURITY_STATUS status = SEC_E_OK;
  std::string why;
};

bool Shakes(Credential& server, ULONG disabled) {
  Credential client(SECPKG_CRED_OUTBOUND, disabled, nullptr, SCH_CRED_MANUAL_CRED_VALIDATION);
  TestEnd client_end(false);
  TestEnd server_end(true);
  return RunHandshake(client_end, &client.handle, server_end, &server.handle);
}

class UsableKeyTest : public testing::TestWithParam<ULONG> {
 protected:
  static ULONG Disabled() { return GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Versions, UsableKeyTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13";
                         });

TEST_P(UsableKeyTest, WhatIsTakenMakesHandshakes) {
  for (const KeyPtr& key :
       {EcKey("P-256"), EcKey("P-384"), RsaKey(2048), RsaKey(3072), OtherKey("ED25519")}) {
    const Own own("own.test", key, {.key_usage = "critical,digitalSignature"});
    Credential server(SECPKG_CRED_INBOUND, Disabled(), own.context);
    ASSERT_EQ(server.status, SEC_E_OK) << server.why;
    // In TLS 1.2 a client's groups apply to the curve, too.
    Credential client(SECPKG_CRED_OUTBOUND, Disabled(), nullptr, SCH_CRED_MANUAL_CRED_VALIDATION);
    ASSERT_EQ(client.Set(KTLSIM_ATTR_GROUPS, KtlsimCred_Groups{"P-256:P-384:P-521"}), SEC_E_OK);
    TestEnd client_end(false);
    TestEnd server_end(true);
    EXPECT_TRUE(RunHandshake(client_end, &client.handle, server_end, &server.handle))
        << EVP_PKEY_get0_type_name(key.get());
  }
}

TEST_P(UsableKeyTest, WhatCanMakeNoHandshakeIsRefusedByName) {
  struct Bad {
    KeyPtr key;
    const char* usage;
    const char* told;
  };
  Bad bad[] = {{EcKey("secp256k1"), nullptr, "secp256k1"},
               {EcKey("brainpoolP256r1"), nullptr, "brainpoolP256r1"},
               {OtherKey("X25519"), nullptr, "X25519"},
               {RsaKey(1024), nullptr, "2048 bits"},
               {EcKey("P-256"), "keyAgreement", "digitalSignature"},
               {RsaKey(2048), "keyEncipherment", "digitalSignature"}};
  const Own good("good.test", EcKey("P-256"));
  for (const Bad& one : bad) {
    const Own own("bad.test", one.key, {.key_usage = one.usage});
    const Credential server(SECPKG_CRED_INBOUND, Disabled(), own.context);
    EXPECT_EQ(server.status, SEC_E_UNKNOWN_CREDENTIALS) << one.told;
    EXPECT_TRUE(server.Tells("CN = bad.test") && server.Tells(one.told)) << server.why;
    const Credential client(SECPKG_CRED_OUTBOUND, Disabled(), own.context);
    EXPECT_EQ(client.status, SEC_E_UNKNOWN_CREDENTIALS) << one.told;
    // By name as well, and then nothing changes.
    Credential named(SECPKG_CRED_INBOUND, Disabled(), good.context);
    const KtlsimCred_ServerName name = {"bad.test", own.context};
    EXPECT_EQ(named.Set(KTLSIM_ATTR_SERVER_NAMES, KtlsimCred_ServerNames{1, &name, 0}),
              SEC_E_UNKNOWN_CREDENTIALS);
    EXPECT_TRUE(named.Tells("CN = bad.test") && named.Tells(one.told)) << named.why;
    EXPECT_TRUE(Shakes(named, Disabled()));
  }
}

TEST(UsableKeySettingsTest, SuitesThatTakeNotTheKeyAreRefused) {
  const Own ecdsa("ecdsa.test", EcKey("P-256"));
  Credential server(SECPKG_CRED_INBOUND, SP_PROT_TLS1_3, ecdsa.context);
  EXPECT_EQ(
      server.Set(KTLSIM_ATTR_CIPHER_SUITES, KtlsimCred_CipherSuites{"ECDHE-RSA-AES128-GCM-SHA256"}),
      SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_TRUE(server.Tells("ECDHE-ECDSA")) << server.why;
  EXPECT_TRUE(Shakes(server, SP_PROT_TLS1_3));
  Credential both(SECPKG_CRED_INBOUND, 0, ecdsa.context);
  EXPECT_EQ(both.Set(KTLSIM_ATTR_CIPHER_SUITES,
                     KtlsimCred_CipherSuites{"ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256"}),
            SEC_E_OK)
      << "TLS 1.3 takes it";
}

TEST(UsableKeySettingsTest, GroupsAndSuitesNotKnownAreNamed) {
  const Own own("own.test", EcKey("P-256"));
  Credential server(SECPKG_CRED_INBOUND, 0, own.context);
  EXPECT_EQ(server.Set(KTLSIM_ATTR_GROUPS, KtlsimCred_Groups{"P-256:secp256k1"}),
            SEC_E_INVALID_PARAMETER);
  EXPECT_TRUE(server.Tells("\"secp256k1\"")) << server.why;
  EXPECT_NE(server.Set(KTLSIM_ATTR_CIPHER_SUITES, KtlsimCred_CipherSuites{"A\nB"}), SEC_E_OK);
  EXPECT_TRUE(server.Tells("\"A?B\"")) << server.why;
  EXPECT_TRUE(Shakes(server, 0));
}

TEST(UsableKeySettingsTest, WhatIsOutOfDateIsTakenOnlyWhenTheFlagSaysSo) {
  const Own expired("expired.test", EcKey("P-256"), {.from_s = -3600, .until_s = -60});
  const Own early("early.test", EcKey("P-256"), {.from_s = 3600, .until_s = 7200});
  const Own good("good.test", EcKey("P-256"));
  for (const Own* own : {&expired, &early}) {
    EXPECT_EQ(Credential(SECPKG_CRED_INBOUND, 0, own->context).status, SEC_E_CERT_EXPIRED);
    Credential strict(SECPKG_CRED_INBOUND, 0, good.context);
    const KtlsimCred_ServerName name = {"name.test", own->context};
    EXPECT_EQ(strict.Set(KTLSIM_ATTR_SERVER_NAMES, KtlsimCred_ServerNames{1, &name, 0}),
              SEC_E_CERT_EXPIRED);
    Credential server(SECPKG_CRED_INBOUND, 0, own->context, KTLSIM_CRED_ACCEPT_EXPIRED);
    ASSERT_EQ(server.status, SEC_E_OK) << server.why;
    EXPECT_EQ(server.Set(KTLSIM_ATTR_SERVER_NAMES, KtlsimCred_ServerNames{1, &name, 0}), SEC_E_OK);
    EXPECT_TRUE(Shakes(server, 0));
  }
}

}  // namespace
}  // namespace ktlsim::test
