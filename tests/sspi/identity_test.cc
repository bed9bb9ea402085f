// The credential side of a terminator and its clients, through the public API: certificates by
// name, clients' certificates, groups, the attributes of credentials, which sessions are forgotten.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tests/support/sspi_pair.h"
#include "tests/support/temporary_folder.h"
#include "tls/identity/certificate.h"

namespace ktlsim::test {
namespace {

// A certificate that can be written to a file as a trust anchor.
struct Identity {
  explicit Identity(const std::string& name, tls::KeyType type = tls::KeyType::kEcdsaP256) {
    const auto made = tls::Certificate::SelfSigned(name, type).value();
    pem = made->ChainPem().value();
    EXPECT_EQ(KtlsimLoadCertificatePem(pem.c_str(), made->KeyPem().value().c_str(), &context),
              SEC_E_OK);
    leaf.assign(made->leaf().begin(), made->leaf().end());
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  ~Identity() { CertFreeCertificateContext(context); }

  std::string pem;
  Bytes leaf;
  PCCERT_CONTEXT context = nullptr;
};

// A self-signed certificate, as PEM. All of them have one key: only their names matter.
std::string AuthorityNamed(const std::string& name) {
  using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  static const KeyPtr key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> made(X509_new(), &X509_free);
  X509_set_version(made.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  // An attribute has 64 bytes at most.
  for (std::size_t at = 0; at < name.size(); at += 60) {
    const std::string part = name.substr(at, 60);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "OU", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(part.c_str()), -1, -1, 0);
  }
  X509_set_issuer_name(made.get(), X509_get_subject_name(made.get()));
  X509_set_pubkey(made.get(), key.get());
  EXPECT_GT(X509_sign(made.get(), key.get(), EVP_sha256()), 0);
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
  EXPECT_EQ(PEM_write_bio_X509(bio.get(), made.get()), 1);
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(bytes)};
}

class PemFile {
 public:
  explicit PemFile(const std::string& pem) : path_(folder_.Write("file.pem", pem)) {}
  const char* path() const { return path_.c_str(); }

 private:
  const TemporaryFolder folder_;
  const std::string path_;
};

class Credential {
 public:
  Credential(ULONG use, ULONG disabled, ULONG flags, std::vector<PCCERT_CONTEXT> certificates) {
    TLS_PARAMETERS parameters{};
    parameters.grbitDisabledProtocols = disabled;
    SCH_CREDENTIALS cred{};
    cred.dwVersion = SCH_CREDENTIALS_VERSION;
    cred.dwFlags = flags;
    cred.cTlsParameters = 1;
    cred.pTlsParameters = &parameters;
    cred.cCreds = static_cast<DWORD>(certificates.size());
    cred.paCred = certificates.data();
    char name[] = UNISP_NAME_A;
    status = AcquireCredentialsHandleA(nullptr, name, use, nullptr, &cred, nullptr, nullptr,
                                       &handle, nullptr);
    EXPECT_EQ(status, SEC_E_OK) << KtlsimLastErrorText();
  }
  Credential(const Credential&) = delete;
  Credential& operator=(const Credential&) = delete;
  ~Credential() { EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK); }

  PCredHandle get() { return &handle; }
  template <typename Attribute>
  SECURITY_STATUS Set(ULONG number, Attribute value) {
    return SetCredentialsAttributesA(&handle, number, &value, sizeof(value));
  }
  void RequireClients(ULONG policy, const char* trust) {
    EXPECT_EQ(Set(KTLSIM_ATTR_CLIENT_AUTH, KtlsimCred_ClientAuth{policy, trust}), SEC_E_OK)
        << KtlsimLastErrorText();
  }

  CredHandle handle{};
  SECURITY_STATUS status = SEC_E_OK;
};

Bytes RemoteLeaf(TestEnd& end) {
  PCCERT_CONTEXT context = nullptr;
  if (QueryContextAttributesA(&end.context, SECPKG_ATTR_REMOTE_CERT_CONTEXT, &context) !=
      SEC_E_OK) {
    return {};
  }
  const Bytes leaf(context->pbCertEncoded, context->pbCertEncoded + context->cbCertEncoded);
  EXPECT_TRUE(CertFreeCertificateContext(context));
  return leaf;
}

class IdentityTest : public testing::TestWithParam<ULONG> {
 protected:
  static ULONG Disabled() { return GetParam(); }
  static bool Tls13() { return GetParam() == SP_PROT_TLS1_2; }
  static constexpr ULONG kAnyServer = SCH_CRED_MANUAL_CRED_VALIDATION;

  // The client's ticket arrives with data in TLS 1.3.
  static void Talk(TestEnd& client, PCredHandle client_cred, TestEnd& server) {
    Append(client.inbox, server.Seal(ToBytes("hello")));
    EXPECT_EQ(ToText(client.Open(client_cred)), "hello");
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, IdentityTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13";
                         });

TEST_P(IdentityTest, TrustThatCannotBeReadIsRefusedAndChangesNothing) {
  const Identity own("a.test");
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {own.context});
  Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {});
  for (const char* path : {"/", "/dev/zero", "/proc/self/mem", "/dev/null", "/no/file", ""}) {
    EXPECT_EQ(server.Set(KTLSIM_ATTR_CLIENT_AUTH,
                         KtlsimCred_ClientAuth{KTLSIM_CLIENT_AUTH_REQUIRE, path}),
              SEC_E_UNKNOWN_CREDENTIALS)
        << path;
    EXPECT_NE(std::string(KtlsimLastErrorText()).find(path), std::string::npos);
    EXPECT_EQ(client.Set(KTLSIM_ATTR_TRUST, KtlsimCred_Trust{path}), SEC_E_UNKNOWN_CREDENTIALS)
        << path;
  }
  TestEnd client_end(false);
  TestEnd server_end(true);
  EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
}

TEST_P(IdentityTest, ADamagedCertificateAmongTheTrustedIsNotLeftOutSilently) {
  const Identity own("a.test");
  const PemFile trust(own.pem +
                      "-----BEGIN CERTIFICATE-----\nbm8gY2VydA==\n-----END CERTIFICATE-----\n");
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {own.context});
  EXPECT_EQ(server.Set(KTLSIM_ATTR_CLIENT_AUTH,
                       KtlsimCred_ClientAuth{KTLSIM_CLIENT_AUTH_REQUIRE, trust.path()}),
            SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_NE(std::string(KtlsimLastErrorText()).find("damaged"), std::string::npos)
      << KtlsimLastErrorText();
}

// More names than the message can hold (RFC 8446 4.2: 65,535 bytes), and more than a client reads.
TEST_P(IdentityTest, AuthoritiesThatAreTooManyToBeNamedAreTrustedAllTheSame) {
  const Identity good("client.test");
  std::string pem = good.pem;
  const std::string padding(200, 'x');
  for (int i = 0; i < 400; ++i) pem += AuthorityNamed(padding + std::to_string(i));
  const PemFile trust(pem);
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {LocalhostCertificate()});
  server.RequireClients(KTLSIM_CLIENT_AUTH_REQUIRE, trust.path());
  Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {good.context});
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  EXPECT_EQ(RemoteLeaf(server_end), good.leaf);
}

TEST_P(IdentityTest, NamesChooseCertificatesAndStrictRefusesOthers) {
  const Identity first("a.test");
  const Identity second("b.test");
  const Identity third("c.test", tls::KeyType::kRsa2048);
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {first.context, second.context});
  const KtlsimCred_ServerName names[] = {{"*.d.test", third.context}, {"e.test", first.context}};
  ASSERT_EQ(server.Set(KTLSIM_ATTR_SERVER_NAMES,
                       KtlsimCred_ServerNames{2, names, KTLSIM_SERVER_NAMES_STRICT}),
            SEC_E_OK);
  Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {});
  const std::pair<const char*, const Identity*> cases[] = {
      {"a.test", &first}, {"B.TEST", &second}, {"x.d.test", &third}, {"e.test", &first}};
  for (const auto& [name, expected] : cases) {
    TestEnd client_end(false);
    TestEnd server_end(true);
    client_end.target = name;
    ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get())) << name;
    EXPECT_EQ(RemoteLeaf(client_end), expected->leaf) << name;
    EXPECT_EQ(RemoteLeaf(server_end), Bytes()) << "the client has sent none";
    PCCERT_CONTEXT local = nullptr;
    ASSERT_EQ(QueryContextAttributesA(&server_end.context, SECPKG_ATTR_LOCAL_CERT_CONTEXT, &local),
              SEC_E_OK);
    EXPECT_EQ(Bytes(local->pbCertEncoded, local->pbCertEncoded + local->cbCertEncoded),
              expected->leaf);
    CertFreeCertificateContext(local);
  }
  TestEnd client_end(false);
  TestEnd server_end(true);
  client_end.target = "z.test";
  Append(server_end.inbox, client_end.Leg(client.get()));
  const Bytes alert = server_end.Leg(server.get());
  EXPECT_EQ(server_end.status, SEC_E_TARGET_UNKNOWN);
  ASSERT_EQ(alert.size(), 7U);
  EXPECT_EQ(alert[5], TLS1_ALERT_FATAL);
  EXPECT_EQ(alert[6], 112);
  // Without the attribute's names again: the certificates' own names remain.
  ASSERT_EQ(server.Set(KTLSIM_ATTR_SERVER_NAMES, KtlsimCred_ServerNames{0, nullptr, 0}), SEC_E_OK);
  TestEnd again(false);
  TestEnd server_again(true);
  again.target = "x.d.test";
  ASSERT_TRUE(RunHandshake(again, client.get(), server_again, server.get()));
  EXPECT_EQ(RemoteLeaf(again), first.leaf);
}

TEST_P(IdentityTest, ClientsCertificatesAreAskedForAndJudged) {
  const Identity good("client.test");
  const Identity rsa("rsa.test", tls::KeyType::kRsa2048);
  const Identity stranger("stranger.test");
  const PemFile trust(good.pem + rsa.pem);
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {LocalhostCertificate()});
  Credential anonymous(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {});
  struct Case {
    const char* what;
    ULONG policy;
    const Identity* client;
    SECURITY_STATUS expected;
    int alert;
  };
  const int missing_alert = Tls13() ? 116 : 40;
  const Case cases[] = {
      {"request, none", KTLSIM_CLIENT_AUTH_REQUEST, nullptr, SEC_E_OK, 0},
      {"request, good", KTLSIM_CLIENT_AUTH_REQUEST, &good, SEC_E_OK, 0},
      {"require, RSA", KTLSIM_CLIENT_AUTH_REQUIRE, &rsa, SEC_E_OK, 0},
      {"require, none", KTLSIM_CLIENT_AUTH_REQUIRE, nullptr, SEC_E_NO_CREDENTIALS, missing_alert},
      {"request, stranger", KTLSIM_CLIENT_AUTH_REQUEST, &stranger, SEC_E_UNTRUSTED_ROOT, 48},
      {"require, stranger", KTLSIM_CLIENT_AUTH_REQUIRE, &stranger, SEC_E_UNTRUSTED_ROOT, 48}};
  for (const Case& test : cases) {
    SCOPED_TRACE(test.what);
    server.RequireClients(test.policy, trust.path());
    std::vector<PCCERT_CONTEXT> own;
    if (test.client != nullptr) own.push_back(test.client->context);
    Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, own);
    TestEnd client_end(false);
    TestEnd server_end(true);
    const bool done = RunHandshake(client_end, client.get(), server_end, server.get());
    EXPECT_EQ(server_end.status, test.expected) << std::hex << server_end.status;
    EXPECT_EQ(done, test.expected == SEC_E_OK);
    if (!done) continue;
    EXPECT_EQ(RemoteLeaf(server_end), test.client != nullptr ? test.client->leaf : Bytes());
    // The same holds after resumption.
    Talk(client_end, client.get(), server_end);
    TestEnd second(false);
    TestEnd second_server(true);
    ASSERT_TRUE(RunHandshake(second, client.get(), second_server, server.get()));
    EXPECT_EQ(second_server.Resumed(), 1U);
    EXPECT_EQ(RemoteLeaf(second_server), test.client != nullptr ? test.client->leaf : Bytes());
  }
}

TEST_P(IdentityTest, AManualServerIsToldWhatItWouldHaveRefused) {
  const Identity stranger("stranger.test");
  Credential server(SECPKG_CRED_INBOUND, Disabled(), SCH_CRED_MANUAL_CRED_VALIDATION,
                    {LocalhostCertificate()});
  server.RequireClients(KTLSIM_CLIENT_AUTH_REQUIRE, nullptr);
  Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {stranger.context});
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  SecPkgContext_CertificateValidationResult result{};
  ASSERT_EQ(QueryContextAttributesA(&server_end.context, SECPKG_ATTR_CERT_CHECK_RESULT, &result),
            SEC_E_OK);
  EXPECT_EQ(result.hrVerifyChainStatus, CERT_E_UNTRUSTEDROOT);
  SecPkgContext_Certificates chain{};
  ASSERT_EQ(QueryContextAttributesA(&server_end.context, SECPKG_ATTR_REMOTE_CERTIFICATES, &chain),
            SEC_E_OK);
  EXPECT_EQ(chain.cCertificates, 1U);
  EXPECT_EQ(
      Bytes(chain.pbCertificateChain + 4, chain.pbCertificateChain + chain.cbCertificateChain),
      stranger.leaf);
  EXPECT_EQ(FreeContextBuffer(chain.pbCertificateChain), SEC_E_OK);
}

// One leg of a client without ISC_REQ_USE_SUPPLIED_CREDS.
SECURITY_STATUS AskingLeg(TestEnd& end, PCredHandle credential, ULONG more_flags, Bytes* token) {
  Bytes input = end.inbox;
  token->assign(32768, 0);
  SecBuffer in[2] = {{static_cast<ULONG>(input.size()), SECBUFFER_TOKEN, input.data()},
                     {0, SECBUFFER_EMPTY, nullptr}};
  SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
  SecBuffer out = {static_cast<ULONG>(token->size()), SECBUFFER_TOKEN, token->data()};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  const bool first = !SecIsValidHandle(&end.context);
  const ULONG flags = (end.Flags() & ~ULONG{ISC_REQ_USE_SUPPLIED_CREDS}) | more_flags;
  const SECURITY_STATUS status = InitializeSecurityContextA(
      credential, first ? nullptr : &end.context, first ? end.target.data() : nullptr, flags, 0, 0,
      &in_desc, 0, &end.context, &out_desc, &end.attributes, nullptr);
  token->resize(out.cbBuffer);
  EXPECT_NE(status == SEC_I_INCOMPLETE_CREDENTIALS && in[1].BufferType == SECBUFFER_EXTRA, true);
  return status;
}

TEST_P(IdentityTest, AClientWithoutACertificateIsAskedOnce) {
  const Identity good("client.test");
  const PemFile trust(good.pem);
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {LocalhostCertificate()});
  server.RequireClients(KTLSIM_CLIENT_AUTH_REQUEST, trust.path());
  Credential empty(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {});
  Credential full(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {good.context});
  for (const bool supplies : {false, true}) {
    TestEnd client(false);
    TestEnd server_end(true);
    Bytes token;
    ASSERT_EQ(AskingLeg(client, empty.get(), 0, &token), SEC_I_CONTINUE_NEEDED);
    server_end.inbox = token;
    client.inbox = server_end.Leg(server.get());
    ASSERT_EQ(AskingLeg(client, empty.get(), 0, &token), SEC_I_INCOMPLETE_CREDENTIALS);
    EXPECT_TRUE(token.empty());
    // Other input is no retry, and changes nothing.
    Bytes whole = client.inbox;
    client.inbox.back() ^= 1;
    EXPECT_EQ(AskingLeg(client, empty.get(), 0, &token), SEC_E_INVALID_TOKEN);
    client.inbox = whole;
    const SECURITY_STATUS status =
        AskingLeg(client, supplies ? full.get() : empty.get(), 0, &token);
    ASSERT_EQ(status, Tls13() ? SEC_E_OK : SEC_I_CONTINUE_NEEDED) << std::hex << status;
    server_end.inbox = token;
    client.inbox = server_end.Leg(server.get());
    ASSERT_EQ(server_end.status, SEC_E_OK) << std::hex << server_end.status;
    EXPECT_EQ(RemoteLeaf(server_end), supplies ? good.leaf : Bytes());
  }
}

TEST_P(IdentityTest, TheNameNeedNotFitWhenItIsNotChecked) {
  const Identity identity("a.test");
  const PemFile trust(identity.pem);
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {identity.context});
  struct Case {
    ULONG flags;
    bool trusts;
    const char* target;
    SECURITY_STATUS expected;
  };
  const Case cases[] = {{0, true, "a.test", SEC_E_OK},
                        {0, true, "b.test", SEC_E_WRONG_PRINCIPAL},
                        {SCH_CRED_NO_SERVERNAME_CHECK, true, "b.test", SEC_E_OK},
                        {SCH_CRED_NO_SERVERNAME_CHECK, true, "192.0.2.7", SEC_E_OK},
                        {SCH_CRED_NO_SERVERNAME_CHECK, false, "a.test", SEC_E_UNTRUSTED_ROOT}};
  for (const Case& test : cases) {
    Credential client(SECPKG_CRED_OUTBOUND, Disabled(), test.flags, {});
    if (test.trusts) {
      ASSERT_EQ(client.Set(KTLSIM_ATTR_TRUST, KtlsimCred_Trust{trust.path()}), SEC_E_OK);
    }
    TestEnd client_end(false);
    TestEnd server_end(true);
    client_end.target = test.target;
    RunHandshake(client_end, client.get(), server_end, server.get());
    EXPECT_EQ(client_end.status, test.expected) << test.target << std::hex << client_end.status;
  }
}

TEST_P(IdentityTest, GroupsAreAPreferenceOfEitherSide) {
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0,
                    {LocalhostCertificate(KTLSIM_KEY_RSA_2048)});
  Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer | SCH_CRED_DISABLE_RECONNECTS, {});
  for (const char* bad : {"", "X25519:", ":X25519", "P-192", "X25519:nonsense", "x 25519"}) {
    EXPECT_EQ(client.Set(KTLSIM_ATTR_GROUPS, KtlsimCred_Groups{bad}), SEC_E_INVALID_PARAMETER);
  }
  ASSERT_EQ(server.Set(KTLSIM_ATTR_GROUPS, KtlsimCred_Groups{"P-384:X25519"}), SEC_E_OK);
  const std::pair<const char*, DWORD> cases[] = {
      {"P-384", 24}, {"P-256:P-384", 24}, {"X25519", 29}, {"P-256", 0}};
  for (const auto& [groups, expected] : cases) {
    ASSERT_EQ(client.Set(KTLSIM_ATTR_GROUPS, KtlsimCred_Groups{groups}), SEC_E_OK);
    TestEnd client_end(false);
    TestEnd server_end(true);
    const bool done = RunHandshake(client_end, client.get(), server_end, server.get());
    EXPECT_EQ(done, expected != 0) << groups;
    if (!done) {
      EXPECT_EQ(server_end.status, SEC_E_ALGORITHM_MISMATCH);
      continue;
    }
    SecPkgContext_CipherInfo info{};
    info.dwVersion = SECPKGCONTEXT_CIPHERINFO_V1;
    ASSERT_EQ(QueryContextAttributesA(&client_end.context, SECPKG_ATTR_CIPHER_INFO, &info),
              SEC_E_OK);
    EXPECT_EQ(info.dwKeyType, expected) << groups;
  }
}

TEST_P(IdentityTest, ASessionTokenForbidsResumption) {
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {LocalhostCertificate()});
  enum class When { kNever, kClientBefore, kClientAfter, kServerBefore };
  for (const When when :
       {When::kClientBefore, When::kClientAfter, When::kServerBefore, When::kNever}) {
    Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {});
    SCHANNEL_SESSION_TOKEN session = {SCHANNEL_SESSION, SSL_SESSION_DISABLE_RECONNECTS};
    SecBuffer token = {sizeof(session), SECBUFFER_TOKEN, &session};
    SecBufferDesc desc = {SECBUFFER_VERSION, 1, &token};
    TestEnd client_end(false);
    TestEnd server_end(true);
    Append(server_end.inbox, client_end.Leg(client.get()));
    if (when == When::kClientBefore) {
      EXPECT_EQ(ApplyControlToken(&client_end.context, &desc), SEC_E_OK);
    }
    Append(client_end.inbox, server_end.Leg(server.get()));
    if (when == When::kServerBefore) {
      EXPECT_EQ(ApplyControlToken(&server_end.context, &desc), SEC_E_OK);
    }
    Append(server_end.inbox, client_end.Leg(client.get()));
    Append(client_end.inbox, server_end.Leg(server.get()));
    ASSERT_EQ(server_end.status, SEC_E_OK);
    if (!Tls13()) client_end.Leg(client.get());
    ASSERT_EQ(client_end.status, SEC_E_OK);
    EXPECT_EQ(ApplyControlToken(&server_end.context, &desc), SEC_E_UNSUPPORTED_FUNCTION);
    if (when == When::kClientAfter) {
      EXPECT_EQ(ApplyControlToken(&client_end.context, &desc), SEC_E_OK);
    }
    Talk(client_end, client.get(), server_end);
    TestEnd second(false);
    TestEnd second_server(true);
    ASSERT_TRUE(RunHandshake(second, client.get(), second_server, server.get()));
    EXPECT_EQ(second.Resumed(), when == When::kNever ? 1U : 0U) << static_cast<int>(when);
    session.dwFlags = 3;
    EXPECT_EQ(ApplyControlToken(&second.context, &desc), SEC_E_INVALID_TOKEN);
  }
}

TEST_P(IdentityTest, TheCacheForgetsOneTargetOrAll) {
  Credential server(SECPKG_CRED_INBOUND, Disabled(), 0, {LocalhostCertificate()});
  Credential client(SECPKG_CRED_OUTBOUND, Disabled(), kAnyServer, {});
  const auto resumes = [&](const char* target) {
    TestEnd client_end(false);
    TestEnd server_end(true);
    client_end.target = target;
    EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
    Talk(client_end, client.get(), server_end);
    return client_end.Resumed() == 1;
  };
  EXPECT_FALSE(resumes("a.test"));
  EXPECT_FALSE(resumes("b.test"));
  EXPECT_TRUE(resumes("a.test"));
  char name[] = "A.test";
  EXPECT_TRUE(SslEmptyCacheA(name, 0));
  EXPECT_FALSE(resumes("a.test"));
  EXPECT_TRUE(resumes("b.test"));
  EXPECT_TRUE(resumes("a.test"));
  SEC_WCHAR wide[] = u"b.test";
  EXPECT_TRUE(SslEmptyCacheW(wide, 0));
  EXPECT_TRUE(resumes("a.test"));
  EXPECT_FALSE(resumes("b.test"));
  EXPECT_TRUE(SslEmptyCacheA(nullptr, 0));
  EXPECT_FALSE(resumes("a.test"));
  EXPECT_FALSE(resumes("b.test"));
}

TEST(CredentialAttributesTest, ACredentialTellsWhatItIs) {
  const Identity identity("a.test");
  Credential server(SECPKG_CRED_INBOUND, 0, 0, {identity.context});
  Credential client(SECPKG_CRED_OUTBOUND, 0, 0, {});
  SecPkgCredentials_NamesA name{};
  EXPECT_EQ(QueryCredentialsAttributesA(client.get(), SECPKG_CRED_ATTR_NAMES, &name),
            SEC_E_NO_CREDENTIALS);
  ASSERT_EQ(QueryCredentialsAttributesA(server.get(), SECPKG_CRED_ATTR_NAMES, &name), SEC_E_OK);
  EXPECT_STREQ(name.sUserName, "CN = a.test");
  EXPECT_EQ(FreeContextBuffer(name.sUserName), SEC_E_OK);
  SecPkgCredentials_NamesW wide{};
  ASSERT_EQ(QueryCredentialsAttributesW(server.get(), SECPKG_CRED_ATTR_NAMES, &wide), SEC_E_OK);
  EXPECT_EQ(std::u16string(wide.sUserName), u"CN = a.test");
  EXPECT_EQ(FreeContextBuffer(wide.sUserName), SEC_E_OK);
  SecPkgCred_CipherStrengths strengths{};
  ASSERT_EQ(QueryCredentialsAttributesA(client.get(), SECPKG_ATTR_CIPHER_STRENGTHS, &strengths),
            SEC_E_OK);
  EXPECT_EQ(strengths.dwMinimumCipherStrength, 128U);
  EXPECT_EQ(strengths.dwMaximumCipherStrength, 256U);
  EXPECT_EQ(QueryCredentialsAttributesExW(client.get(), SECPKG_ATTR_CIPHER_STRENGTHS, &strengths,
                                          sizeof(strengths) - 1),
            SEC_E_BUFFER_TOO_SMALL);
  SecPkgCred_SupportedAlgs algorithms{};
  ASSERT_EQ(QueryCredentialsAttributesW(client.get(), SECPKG_ATTR_SUPPORTED_ALGS, &algorithms),
            SEC_E_OK);
  EXPECT_EQ(
      std::vector<ALG_ID>(algorithms.palgSupportedAlgs,
                          algorithms.palgSupportedAlgs + algorithms.cSupportedAlgs),
      (std::vector<ALG_ID>{CALG_AES_128, CALG_SHA_256, CALG_AES_256, CALG_SHA_384, CALG_ECDHE}));
  EXPECT_EQ(FreeContextBuffer(algorithms.palgSupportedAlgs), SEC_E_OK);
}

TEST(CredentialAttributesTest, MalformedAttributesAreRefusedAndChangeNothing) {
  const Identity identity("a.test");
  CERT_CONTEXT keyless = *identity.context;
  Credential server(SECPKG_CRED_INBOUND, 0, 0, {identity.context});
  Credential client(SECPKG_CRED_OUTBOUND, 0, 0, {});
  const auto names = [](Credential& credential, const char* name, PCCERT_CONTEXT certificate,
                        ULONG count = 1, ULONG flags = 0) {
    const KtlsimCred_ServerName one{name, certificate};
    return credential.Set(KTLSIM_ATTR_SERVER_NAMES, KtlsimCred_ServerNames{count, &one, flags});
  };
  EXPECT_EQ(names(server, "a..test", identity.context), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(names(server, "192.0.2.7", identity.context), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(names(server, nullptr, identity.context), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(names(server, "a.test", nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(names(server, "a.test", &keyless), SEC_E_NO_CREDENTIALS);
  EXPECT_EQ(names(server, "a.test", identity.context, 1, 2), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(names(server, "a.test", identity.context, 4097), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(names(client, "a.test", identity.context), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(server.Set(KTLSIM_ATTR_SERVER_NAMES, KtlsimCred_ServerNames{1, nullptr, 0}),
            SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(server.Set(KTLSIM_ATTR_CLIENT_AUTH, KtlsimCred_ClientAuth{3, nullptr}),
            SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(client.Set(KTLSIM_ATTR_CLIENT_AUTH, KtlsimCred_ClientAuth{1, nullptr}),
            SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(server.Set(KTLSIM_ATTR_CLIENT_AUTH, KtlsimCred_ClientAuth{1, "/nowhere/at.all"}),
            SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_EQ(server.Set(KTLSIM_ATTR_CLIENT_AUTH, KtlsimCred_ClientAuth{1, "/dev/null"}),
            SEC_E_UNKNOWN_CREDENTIALS);
}

}  // namespace
}  // namespace ktlsim::test
