// Clients with certificates and their accounts: a directory that KtlsimLoadAccounts has read,
// through real handshakes.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "tests/authority/authority_test_support.h"
#include "tests/sspi_digest/digest_scene.h"
#include "tests/support/scripted_store.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/test_authority.h"

namespace ktlsim::test {
namespace {

constexpr char kAlice[] = "S-1-5-21-1-2-3-1001";
constexpr char kBob[] = "S-1-5-21-1-2-3-1002";

// SHA-256 of the certificate's key, as a file of accounts has it.
std::string KeyText(const IssuedCertificate& certificate) {
  const std::string pem = certificate.Pem();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> read(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  unsigned char* der = nullptr;
  const int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(read.get()), &der);
  std::array<std::uint8_t, 32> id{};
  EXPECT_EQ(
      EVP_Digest(der, static_cast<std::size_t>(bytes), id.data(), nullptr, EVP_sha256(), nullptr),
      1);
  OPENSSL_free(der);
  std::string text;
  for (const std::uint8_t byte : id) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// Its serial number, in hexadecimal digits.
std::string SerialOf(const IssuedCertificate& certificate) {
  const std::string pem = certificate.Pem();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> read(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(read.get()), nullptr), &BN_free);
  char* const digits = BN_bn2hex(number.get());
  const std::string text = digits;
  OPENSSL_free(digits);
  return text;
}

class ClientCertificate {
 public:
  explicit ClientCertificate(const IssuedCertificate& leaf) {
    EXPECT_EQ(KtlsimLoadCertificatePem(leaf.Pem().c_str(), leaf.KeyPem().c_str(), &certificate_),
              SEC_E_OK);
  }
  ClientCertificate(const ClientCertificate&) = delete;
  ClientCertificate& operator=(const ClientCertificate&) = delete;
  ~ClientCertificate() { CertFreeCertificateContext(certificate_); }
  PCCERT_CONTEXT get() const { return certificate_; }

 private:
  PCCERT_CONTEXT certificate_ = nullptr;
};

class StillClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return kNsPerSecond; }
};

// Who the client of a server's context is: the user, or the status that both functions return.
struct Mapped {
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  std::string user{};
};

// The parameter is the version that is disabled.
class MappedClientsTest : public AuthorityTest, public testing::WithParamInterface<ULONG> {
 protected:
  MappedClientsTest()
      : leaf_(root_.Leaf("alice.test")),
        certificate_(leaf_),
        trust_(folder_.Write("trust.pem", root_.Pem())) {}

  static std::string Account(const char* name, const char* sid, const std::string& more = {}) {
    return AccountText(name, "sid = '" + std::string(sid) + "'\n" + more);
  }
  std::string ByKey(const char* name) const {
    return "[[mapping]]\nsubject-key = '" + KeyText(leaf_) + "'\naccount = '" + name + "'\n";
  }
  // Whoever has a certificate of the root.
  std::string ByIssuer(const char* name) const {
    return "[[group]]\nname = 'people'\n[[mapping]]\nissuer = '" + KeyText(root_) +
           "'\ngroup = 'people'\naccount = '" + name + "'\n";
  }
  TestCredential Server(ULONG flags = 0) const {
    TestCredential server = TestCredential::Server(GetParam(), KTLSIM_KEY_ECDSA_P256, flags);
    KtlsimCred_ClientAuth client_auth{KTLSIM_CLIENT_AUTH_REQUIRE, trust_.c_str()};
    EXPECT_EQ(SetCredentialsAttributesA(server.get(), KTLSIM_ATTR_CLIENT_AUTH, &client_auth,
                                        sizeof(client_auth)),
              SEC_E_OK)
        << KtlsimLastErrorText();
    return server;
  }
  TestCredential Client() const {
    return TestCredential::ClientWith(certificate_.get(), GetParam());
  }
  static Mapped ClientOf(CtxtHandle* context) {
    Mapped mapped;
    void* token = nullptr;
    mapped.status = QuerySecurityContextToken(context, &token);
    EXPECT_EQ(ImpersonateSecurityContext(context), mapped.status);
    if (mapped.status != SEC_E_OK) {
      EXPECT_EQ(authorization::ThreadToken(), nullptr);
      return mapped;
    }
    mapped.user = UserText(*StateOf(token));
    EXPECT_EQ(UserText(*authorization::ThreadToken()->state()), mapped.user);
    EXPECT_EQ(RevertSecurityContext(context), SEC_E_OK);
    EXPECT_EQ(CloseHandle(token), TRUE);
    return mapped;
  }
  // A connection, at whose end the client has its ticket.
  static Mapped Connect(TestCredential& client, TestCredential& server, bool resumed) {
    TestEnd client_end(false);
    TestEnd server_end(true);
    if (!RunHandshake(client_end, client.get(), server_end, server.get())) return {};
    const bool mutual = (server_end.attributes & ASC_RET_MUTUAL_AUTH) != 0;
    Append(client_end.inbox, server_end.Seal(ToBytes("x")));
    EXPECT_EQ(ToText(client_end.Open(client.get())), "x");
    EXPECT_EQ(server_end.Resumed() != 0, resumed);
    const Mapped mapped = ClientOf(&server_end.context);
    EXPECT_EQ(mutual, mapped.status == SEC_E_OK);
    return mapped;
  }
  static void Expect(const Mapped& mapped, SECURITY_STATUS status, const char* user = "") {
    EXPECT_EQ(mapped.status, status);
    EXPECT_EQ(mapped.user, user);
  }

  const IssuedCertificate root_ = IssuedCertificate::Root("root");
  const IssuedCertificate leaf_;
  const ClientCertificate certificate_;
  const std::string trust_;
};

INSTANTIATE_TEST_SUITE_P(Versions, MappedClientsTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13";
                         });

TEST_P(MappedClientsTest, ACertificateIsItsAccountAlsoWhenItsSessionIsResumed) {
  ASSERT_EQ(Load(Account("alice", kAlice) + ByKey("alice")), SEC_E_OK) << KtlsimLastErrorText();
  TestCredential server = Server();
  TestCredential client = Client();
  Expect(Connect(client, server, false), SEC_E_OK, kAlice);
  Expect(Connect(client, server, true), SEC_E_OK, kAlice);
}

// The accounts count that are loaded when the session is resumed.
TEST_P(MappedClientsTest, EachOutcomeHasItsStatusInAFullHandshakeAndInAResumedOne) {
  const std::string alice = Account("alice", kAlice);
  const std::string bob = Account("bob", kBob);
  const std::string two = "[[mapping]]\nissuer = '" + KeyText(root_) + "'\nserial = '" +
                          SerialOf(leaf_) + "'\naccount = 'bob'\n";
  const struct {
    std::string text;
    SECURITY_STATUS status;
    const char* user;
  } cases[] = {
      {alice + ByKey("alice"), SEC_E_OK, kAlice},
      {alice, SEC_E_NO_IMPERSONATION, ""},
      {alice + bob + ByKey("alice") + two, SEC_E_MULTIPLE_ACCOUNTS, ""},
      {Account("alice", kAlice, "disabled = true\n") + ByKey("alice"), SEC_E_LOGON_DENIED, ""},
      {Account("alice", kAlice, "expires = 2001-01-01T00:00:00Z\n") + ByKey("alice"),
       SEC_E_LOGON_DENIED, ""},
      {alice + bob + ByIssuer("bob"), SEC_E_OK, kBob}};
  TestCredential server = Server();
  TestCredential resuming = Client();
  bool resumed = false;
  for (const auto& one : cases) {
    ASSERT_EQ(Load(one.text), SEC_E_OK) << KtlsimLastErrorText();
    TestCredential fresh = Client();
    Expect(Connect(fresh, server, false), one.status, one.user);
    Expect(Connect(resuming, server, std::exchange(resumed, true)), one.status, one.user);
  }
  ASSERT_EQ(KtlsimLoadAccounts(nullptr), SEC_E_OK);
  Expect(Connect(resuming, server, true), SEC_E_NO_IMPERSONATION);
}

// Credentials that share tickets and sessions, as those of several nodes do.
TEST_P(MappedClientsTest, ASessionWithoutTheMapperIsNotMappedUnderAnotherCredential) {
  StillClock clock;
  auto& package = sspi::TlsPackage::Instance();
  ASSERT_TRUE(package.UseStore(std::make_shared<ScriptedStore>(clock)));
  ASSERT_EQ(Load(Account("alice", kAlice) + ByKey("alice")), SEC_E_OK) << KtlsimLastErrorText();
  {
    TestCredential unmapped = Server(SCH_CRED_NO_SYSTEM_MAPPER);
    TestCredential mapped = Server();
    TestCredential mapped_too = Server();
    TestCredential client = Client();
    Expect(Connect(client, unmapped, false), SEC_E_NO_IMPERSONATION);
    Expect(Connect(client, unmapped, true), SEC_E_NO_IMPERSONATION);
    Expect(Connect(client, mapped, false), SEC_E_OK, kAlice);
    Expect(Connect(client, mapped_too, true), SEC_E_OK, kAlice);
    Expect(Connect(client, unmapped, false), SEC_E_NO_IMPERSONATION);
  }
  EXPECT_TRUE(package.UseStore(nullptr));
}

// ---- With Digest

class MappedUsersTest : public AuthorityTest {};

TEST_F(MappedUsersTest, ADigestUserIsItsAccount) {
  const std::string line = UserLine("Mufasa", kPassword);
  const std::string rule = "digest = ['" + line.substr(0, line.size() - 1) + "']\n";
  ASSERT_EQ(Load(AccountText("lion", "sid = '" + std::string(kAlice) + "'\n" + rule)), SEC_E_OK)
      << KtlsimLastErrorText();
  DigestServer server;
  DigestClient client("Mufasa", kPassword);
  Established established(server, client);
  void* token = nullptr;
  ASSERT_EQ(QuerySecurityContextToken(&established.context, &token), SEC_E_OK);
  EXPECT_EQ(UserText(*StateOf(token)), kAlice);
  EXPECT_TRUE(StateOf(token)->IsMember(security::Sid(5, {64, 21})));
  EXPECT_EQ(CloseHandle(token), TRUE);
}

}  // namespace
}  // namespace ktlsim::test
