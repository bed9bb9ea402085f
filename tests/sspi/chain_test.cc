// Issued certificates: chains with an authority in between, certificates out of date, the names of
// trusted authorities that a server sends, and ASC_REQ_MUTUAL_AUTH.
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/support/sspi_pair.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_authority.h"

namespace ktlsim::test {
namespace {

constexpr long kDay = 86400;

struct Loaded {
  Loaded(const std::string& chain_pem, const std::string& key_pem) {
    EXPECT_EQ(KtlsimLoadCertificatePem(chain_pem.c_str(), key_pem.c_str(), &context), SEC_E_OK)
        << KtlsimLastErrorText();
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded() { CertFreeCertificateContext(context); }
  PCCERT_CONTEXT context = nullptr;
};

class TrustFile {
 public:
  explicit TrustFile(const IssuedCertificate& root)
      : path_(folder_.Write("trust.pem", root.Pem())) {}
  const char* path() const { return path_.c_str(); }

 private:
  const TemporaryFolder folder_;
  const std::string path_;
};

class ChainTest : public testing::TestWithParam<ULONG> {
 protected:
  class Credential {
   public:
    Credential(ULONG use, ULONG flags, PCCERT_CONTEXT certificate) {
      TLS_PARAMETERS parameters{};
      parameters.grbitDisabledProtocols = GetParam();
      SCH_CREDENTIALS cred{};
      cred.dwVersion = SCH_CREDENTIALS_VERSION;
      cred.dwFlags = flags;
      cred.cTlsParameters = 1;
      cred.pTlsParameters = &parameters;
      cred.cCreds = certificate != nullptr ? 1 : 0;
      cred.paCred = &certificate;
      char name[] = UNISP_NAME_A;
      EXPECT_EQ(AcquireCredentialsHandleA(nullptr, name, use, nullptr, &cred, nullptr, nullptr,
                                          &handle_, nullptr),
                SEC_E_OK)
          << KtlsimLastErrorText();
    }
    ~Credential() { EXPECT_EQ(FreeCredentialsHandle(&handle_), SEC_E_OK); }
    Credential(const Credential&) = delete;
    Credential& operator=(const Credential&) = delete;

    PCredHandle get() { return &handle_; }
    void Trust(const TrustFile& file) {
      KtlsimCred_Trust trust{file.path()};
      EXPECT_EQ(SetCredentialsAttributesA(&handle_, KTLSIM_ATTR_TRUST, &trust, sizeof(trust)),
                SEC_E_OK);
    }
    void AskClients(ULONG policy, const TrustFile& file) {
      KtlsimCred_ClientAuth wanted{policy, file.path()};
      EXPECT_EQ(
          SetCredentialsAttributesA(&handle_, KTLSIM_ATTR_CLIENT_AUTH, &wanted, sizeof(wanted)),
          SEC_E_OK);
    }

   private:
    CredHandle handle_{};
  };

  // A client that verifies the server, and a server that presents `chain`.
  SECURITY_STATUS Judge(const std::string& chain, const IssuedCertificate& leaf,
                        TestEnd& client_end) {
    const Loaded own(chain, leaf.KeyPem());
    Credential server(SECPKG_CRED_INBOUND, 0, own.context);
    Credential client(SECPKG_CRED_OUTBOUND, 0, nullptr);
    client.Trust(trust_);
    TestEnd server_end(true);
    RunHandshake(client_end, client.get(), server_end, server.get());
    return client_end.status;
  }
  // A server that requires and verifies a certificate, and a client that presents `chain`.
  SECURITY_STATUS JudgeClient(const std::string& chain, const IssuedCertificate& leaf) {
    const Loaded own(chain, leaf.KeyPem());
    Credential server(SECPKG_CRED_INBOUND, 0, LocalhostCertificate());
    server.AskClients(KTLSIM_CLIENT_AUTH_REQUIRE, trust_);
    Credential client(SECPKG_CRED_OUTBOUND, SCH_CRED_MANUAL_CRED_VALIDATION, own.context);
    TestEnd client_end(false);
    TestEnd server_end(true);
    RunHandshake(client_end, client.get(), server_end, server.get());
    return server_end.status;
  }

  const IssuedCertificate root_ = IssuedCertificate::Root("The Root");
  const IssuedCertificate between_ = root_.Authority("In Between");
  const TrustFile trust_{root_};
};

INSTANTIATE_TEST_SUITE_P(Versions, ChainTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13";
                         });

DWORD CertificatesOf(TestEnd& end) {
  SecPkgContext_Certificates chain{};
  if (QueryContextAttributesA(&end.context, SECPKG_ATTR_REMOTE_CERTIFICATES, &chain) != SEC_E_OK) {
    return 0;
  }
  EXPECT_EQ(FreeContextBuffer(chain.pbCertificateChain), SEC_E_OK);
  return chain.cCertificates;
}

TEST_P(ChainTest, AnAuthorityInBetweenIsSentAlong) {
  const IssuedCertificate leaf = between_.Leaf("localhost");
  TestEnd with(false);
  EXPECT_EQ(Judge(leaf.Pem() + between_.Pem(), leaf, with), SEC_E_OK);
  EXPECT_EQ(CertificatesOf(with), 2U);
  TestEnd without(false);
  EXPECT_EQ(Judge(leaf.Pem(), leaf, without), SEC_E_UNTRUSTED_ROOT);
  // The root may be sent, too, and makes no difference.
  TestEnd with_root(false);
  EXPECT_EQ(Judge(leaf.Pem() + between_.Pem() + root_.Pem(), leaf, with_root), SEC_E_OK);
  const IssuedCertificate other = IssuedCertificate::Root("The Root");
  const IssuedCertificate false_leaf = other.Leaf("localhost");
  TestEnd pretender(false);
  EXPECT_LT(Judge(false_leaf.Pem() + other.Pem(), false_leaf, pretender), 0);
}

TEST_P(ChainTest, OfAClient) {
  const IssuedCertificate leaf = between_.Leaf("client.test");
  EXPECT_EQ(JudgeClient(leaf.Pem() + between_.Pem(), leaf), SEC_E_OK);
  EXPECT_EQ(JudgeClient(leaf.Pem(), leaf), SEC_E_UNTRUSTED_ROOT);
}

TEST_P(ChainTest, ACredentialIsNotMadeOfACertificateOutOfDate) {
  const auto acquire = [](const IssuedCertificate& leaf, ULONG use) {
    const Loaded own(leaf.Pem(), leaf.KeyPem());
    SCH_CREDENTIALS cred{};
    cred.dwVersion = SCH_CREDENTIALS_VERSION;
    cred.cCreds = 1;
    PCCERT_CONTEXT certificate = own.context;
    cred.paCred = &certificate;
    char name[] = UNISP_NAME_A;
    CredHandle handle{};
    const SECURITY_STATUS status = AcquireCredentialsHandleA(nullptr, name, use, nullptr, &cred,
                                                             nullptr, nullptr, &handle, nullptr);
    if (status == SEC_E_OK) {
      EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
    }
    return status;
  };
  for (const ULONG use : {ULONG{SECPKG_CRED_INBOUND}, ULONG{SECPKG_CRED_OUTBOUND}}) {
    EXPECT_EQ(acquire(root_.Leaf("localhost"), use), SEC_E_OK);
    EXPECT_EQ(acquire(root_.Leaf("localhost", {-2 * kDay, -kDay}), use), SEC_E_CERT_EXPIRED);
    EXPECT_EQ(KtlsimLastErrorText(), std::string("the certificate for CN = localhost has expired"));
    EXPECT_EQ(acquire(root_.Leaf("localhost", {kDay, 2 * kDay}), use), SEC_E_CERT_EXPIRED);
  }
}

TEST_P(ChainTest, AnAuthorityOutOfDateIsRefused) {
  const IssuedCertificate old = root_.Authority("Old", {-2 * kDay, -kDay});
  const IssuedCertificate leaf = old.Leaf("localhost");
  TestEnd client(false);
  EXPECT_EQ(Judge(leaf.Pem() + old.Pem(), leaf, client), SEC_E_CERT_EXPIRED);
  EXPECT_EQ(JudgeClient(leaf.Pem() + old.Pem(), leaf), SEC_E_CERT_EXPIRED);
}

TEST_P(ChainTest, MutualAuthRequiresACertificateWhateverThePolicy) {
  const IssuedCertificate leaf = root_.Leaf("client.test");
  const Loaded own(leaf.Pem(), leaf.KeyPem());
  Credential nobody(SECPKG_CRED_OUTBOUND, SCH_CRED_MANUAL_CRED_VALIDATION, nullptr);
  Credential somebody(SECPKG_CRED_OUTBOUND, SCH_CRED_MANUAL_CRED_VALIDATION, own.context);
  for (const ULONG policy : {ULONG{KTLSIM_CLIENT_AUTH_NONE}, ULONG{KTLSIM_CLIENT_AUTH_REQUEST}}) {
    Credential server(SECPKG_CRED_INBOUND, 0, LocalhostCertificate());
    server.AskClients(policy, trust_);
    for (const bool required : {false, true}) {
      SCOPED_TRACE(std::to_string(policy) + (required ? " required" : ""));
      TestEnd client_end(false);
      TestEnd server_end(true);
      if (required) server_end.more_flags = ASC_REQ_MUTUAL_AUTH;
      RunHandshake(client_end, nobody.get(), server_end, server.get());
      EXPECT_EQ(server_end.status, required ? SEC_E_NO_CREDENTIALS : SEC_E_OK);
    }
    TestEnd client_end(false);
    TestEnd server_end(true);
    server_end.more_flags = ASC_REQ_MUTUAL_AUTH;
    EXPECT_TRUE(RunHandshake(client_end, somebody.get(), server_end, server.get()));
    EXPECT_EQ(CertificatesOf(server_end), 1U);
    // The flag is for clients that were mapped to an account.
    EXPECT_EQ(server_end.attributes & ASC_RET_MUTUAL_AUTH, 0U);
  }
}

// libssl as the client, because it shows the names that the server has sent.
class AskedClient {
 public:
  explicit AskedClient(ULONG disabled)
      : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free),
        ssl_(SSL_new(context_.get()), &SSL_free) {
    const int version = disabled == SP_PROT_TLS1_3 ? TLS1_2_VERSION : TLS1_3_VERSION;
    SSL_set_min_proto_version(ssl_.get(), version);
    SSL_set_max_proto_version(ssl_.get(), version);
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
    SSL_set_cert_cb(
        ssl_.get(),
        [](SSL* ssl, void* self) {
          static_cast<AskedClient*>(self)->Note(SSL_get0_peer_CA_list(ssl));
          return 1;
        },
        this);
  }
  // Takes the server's bytes and returns the bytes to send.
  Bytes Leg(const Bytes& input) {
    BIO_write(SSL_get_rbio(ssl_.get()), input.data(), static_cast<int>(input.size()));
    SSL_do_handshake(ssl_.get());
    Bytes output(BIO_ctrl_pending(SSL_get_wbio(ssl_.get())));
    BIO_read(SSL_get_wbio(ssl_.get()), output.data(), static_cast<int>(output.size()));
    return output;
  }
  bool asked() const { return asked_; }
  const std::vector<std::string>& names() const { return names_; }

 private:
  void Note(const STACK_OF(X509_NAME) * names) {
    asked_ = true;
    for (int i = 0; i < sk_X509_NAME_num(names); ++i) {
      unsigned char* der = nullptr;
      const int bytes = i2d_X509_NAME(sk_X509_NAME_value(names, i), &der);
      names_.emplace_back(reinterpret_cast<char*>(der), static_cast<std::size_t>(bytes));
      OPENSSL_free(der);
    }
  }

  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  bool asked_ = false;
  std::vector<std::string> names_;
};

TEST_P(ChainTest, AClientIsToldWhomTheServerTrusts) {
  Credential server(SECPKG_CRED_INBOUND, 0, LocalhostCertificate());
  const auto ask = [&](AskedClient& client) {
    TestEnd server_end(true);
    server_end.inbox = client.Leg({});
    client.Leg(server_end.Leg(server.get()));
  };
  AskedClient before(GetParam());
  ask(before);
  EXPECT_FALSE(before.asked());
  server.AskClients(KTLSIM_CLIENT_AUTH_REQUEST, trust_);
  AskedClient after(GetParam());
  ask(after);
  EXPECT_TRUE(after.asked());
  EXPECT_EQ(after.names(), std::vector<std::string>{root_.NameDer()});
}

}  // namespace
}  // namespace ktlsim::test
