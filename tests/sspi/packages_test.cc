// Package information, function tables, memory of the library, certificates, and the name in a
// ClientHello.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::test {
namespace {

TEST(PackageInfoTest, EnumeratesBothNamesOfTheTlsPackage) {
  const ULONGLONG live = Statistics().cContextBuffers;
  ULONG count = 0;
  PSecPkgInfoA narrow = nullptr;
  ASSERT_EQ(EnumerateSecurityPackagesA(&count, &narrow), SEC_E_OK);
  int found = 0;
  for (ULONG i = 0; i < count; ++i) {
    const std::string name = narrow[i].Name;
    if (name != UNISP_NAME_A && name != SCHANNEL_NAME_A) continue;
    ++found;
    EXPECT_EQ(narrow[i].fCapabilities, 0x004107B3U);
    EXPECT_EQ(narrow[i].wVersion, 1);
    EXPECT_EQ(narrow[i].wRPCID, 14);
    EXPECT_EQ(narrow[i].cbMaxToken, 24576U);
    EXPECT_STREQ(narrow[i].Comment, "Schannel Security Package");
  }
  EXPECT_EQ(found, 2);
  EXPECT_EQ(Statistics().cContextBuffers, live + 1) << "one allocation, strings and all";
  EXPECT_EQ(FreeContextBuffer(narrow), SEC_E_OK);
  unsigned long wide_count = ~0UL;
  PSecPkgInfoW wide = nullptr;
  ASSERT_EQ(EnumerateSecurityPackagesW(&wide_count, &wide), SEC_E_OK);
  EXPECT_EQ(wide_count, count);
  EXPECT_EQ(std::u16string(wide[0].Name).empty(), false);
  EXPECT_EQ(FreeContextBuffer(wide), SEC_E_OK);
  EXPECT_EQ(Statistics().cContextBuffers, live);
}

TEST(PackageInfoTest, QueriesOnePackage) {
  char name[] = "sChannel";
  PSecPkgInfoA narrow = nullptr;
  ASSERT_EQ(QuerySecurityPackageInfoA(name, &narrow), SEC_E_OK);
  EXPECT_STREQ(narrow->Name, "Schannel");
  EXPECT_EQ(narrow->cbMaxToken, 24576U);
  EXPECT_EQ(FreeContextBuffer(narrow), SEC_E_OK);
  WCHAR wide_name[] = u"Microsoft Unified Security Protocol Provider";
  PSecPkgInfoW wide = nullptr;
  ASSERT_EQ(QuerySecurityPackageInfoW(wide_name, &wide), SEC_E_OK);
  EXPECT_EQ(std::u16string(wide->Name), wide_name);
  EXPECT_EQ(wide->wRPCID, 14);
  EXPECT_EQ(FreeContextBuffer(wide), SEC_E_OK);
}

TEST(PackageInfoTest, RefusesUnknownNamesAndMissingPlaces) {
  char unknown[] = "no such package";
  PSecPkgInfoA info = nullptr;
  EXPECT_EQ(QuerySecurityPackageInfoA(unknown, &info), SEC_E_SECPKG_NOT_FOUND);
  EXPECT_EQ(QuerySecurityPackageInfoA(nullptr, &info), SEC_E_SECPKG_NOT_FOUND);
  EXPECT_EQ(info, nullptr);
  char known[] = "Schannel";
  EXPECT_LT(QuerySecurityPackageInfoA(known, nullptr), 0);
  ULONG count = 0;
  EXPECT_LT(EnumerateSecurityPackagesA(&count, nullptr), 0);
  EXPECT_LT(EnumerateSecurityPackagesA(nullptr, &info), 0);
}

TEST(FunctionTableTest, TablesAreStaticAndComplete) {
  PSecurityFunctionTableA narrow = InitSecurityInterfaceA();
  PSecurityFunctionTableW wide = InitSecurityInterfaceW();
  ASSERT_NE(narrow, nullptr);
  ASSERT_NE(wide, nullptr);
  EXPECT_EQ(narrow, InitSecurityInterfaceA());
  EXPECT_EQ(wide, InitSecurityInterfaceW());
  for (const ULONG version : {narrow->dwVersion, wide->dwVersion}) {
    EXPECT_GE(version, 1U);
    EXPECT_LE(version, 5U);
  }
  // The tables differ only in the members that take strings.
  EXPECT_EQ(reinterpret_cast<void*>(narrow->AcceptSecurityContext),
            reinterpret_cast<void*>(wide->AcceptSecurityContext));
  EXPECT_EQ(narrow->DeleteSecurityContext, wide->DeleteSecurityContext);
  EXPECT_EQ(narrow->EncryptMessage, wide->EncryptMessage);
  EXPECT_EQ(reinterpret_cast<void*>(narrow->DecryptMessage),
            reinterpret_cast<void*>(wide->DecryptMessage));
  EXPECT_NE(reinterpret_cast<void*>(narrow->AcquireCredentialsHandleA),
            reinterpret_cast<void*>(wide->AcquireCredentialsHandleW));
}

TEST(FunctionTableTest, FunctionsOfTheTableWork) {
  PSecurityFunctionTableW table = InitSecurityInterfaceW();
  WCHAR name[] = u"Schannel";
  CredHandle credential{};
  ASSERT_EQ(table->AcquireCredentialsHandleW(nullptr, name, SECPKG_CRED_OUTBOUND, nullptr, nullptr,
                                             nullptr, nullptr, &credential, nullptr),
            SEC_E_OK);
  CtxtHandle context{};
  ULONG attributes = 0;
  Bytes memory(4096);
  SecBuffer token = {4096, SECBUFFER_TOKEN, memory.data()};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &token};
  WCHAR target[] = u"localhost";
  EXPECT_EQ(table->InitializeSecurityContextW(&credential, nullptr, target, ISC_REQ_STREAM, 0,
                                              SECURITY_NATIVE_DREP, nullptr, 0, &context, &output,
                                              &attributes, nullptr),
            SEC_I_CONTINUE_NEEDED);
  EXPECT_GT(token.cbBuffer, 50U);
  EXPECT_EQ(table->DeleteSecurityContext(&context), SEC_E_OK);
  EXPECT_EQ(table->FreeCredentialsHandle(&credential), SEC_E_OK);
}

TEST(ContextBufferTest, NullIsFineAndForeignMemoryDoesNotCrash) {
  EXPECT_EQ(FreeContextBuffer(nullptr), SEC_E_OK);
  alignas(64) static char foreign[256];
  FreeContextBuffer(foreign + 64);
  const auto heap = std::make_unique<char[]>(64);
  FreeContextBuffer(heap.get());
  FreeContextBuffer(reinterpret_cast<void*>(8));
}

TEST(ContextBufferTest, SecondFreeDoesNotCrash) {
  char name[] = "Schannel";
  PSecPkgInfoA info = nullptr;
  ASSERT_EQ(QuerySecurityPackageInfoA(name, &info), SEC_E_OK);
  EXPECT_EQ(FreeContextBuffer(info), SEC_E_OK);
  FreeContextBuffer(info);
}

// ---- SslGetServerIdentity

Bytes ClientHello(const std::string& target) {
  TestCredential credential = TestCredential::Client();
  TestEnd client(false);
  client.target = target;
  return client.Leg(credential.get());
}

TEST(ServerIdentityTest, FindsTheNameInsideTheClientHello) {
  for (const std::string name : {"localhost", "a", "very.long.example.org"}) {
    Bytes hello = ClientHello(name);
    PBYTE identity = nullptr;
    ULONG size = 0;
    ASSERT_EQ(
        SslGetServerIdentity(hello.data(), static_cast<DWORD>(hello.size()), &identity, &size, 0),
        SEC_E_OK);
    EXPECT_EQ(std::string(identity, identity + size), name);
    EXPECT_GT(identity, hello.data());
    EXPECT_LE(identity + size, hello.data() + hello.size());
    unsigned long wide = ~0UL;
    ASSERT_EQ(
        SslGetServerIdentity(hello.data(), static_cast<DWORD>(hello.size()), &identity, &wide, 0),
        SEC_E_OK);
    EXPECT_EQ(wide, name.size());
  }
}

TEST(ServerIdentityTest, EveryCutIsIncompleteAndTouchesNothing) {
  const Bytes hello = ClientHello("localhost");
  for (std::size_t cut = 1; cut < hello.size(); ++cut) {
    // A block of its own: the address sanitizer sees a read beyond the cut.
    Bytes part(hello.begin(), hello.begin() + static_cast<std::ptrdiff_t>(cut));
    part.shrink_to_fit();
    PBYTE identity = nullptr;
    ULONG size = 77;
    ASSERT_EQ(SslGetServerIdentity(part.data(), static_cast<DWORD>(cut), &identity, &size, 0),
              SEC_E_INCOMPLETE_MESSAGE)
        << cut;
    ASSERT_EQ(identity, nullptr);
    ASSERT_EQ(size, 77U);
  }
}

TEST(ServerIdentityTest, EveryFlippedByteIsSurvived) {
  const Bytes hello = ClientHello("localhost");
  for (std::size_t at = 0; at < hello.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes changed = hello;
      changed[at] = static_cast<unsigned char>(changed[at] ^ flip);
      PBYTE identity = nullptr;
      ULONG size = 0;
      if (SslGetServerIdentity(changed.data(), static_cast<DWORD>(changed.size()), &identity, &size,
                               0) == SEC_E_OK &&
          identity != nullptr) {
        ASSERT_GE(identity, changed.data());
        ASSERT_LE(identity + size, changed.data() + changed.size());
      }
    }
  }
}

TEST(ServerIdentityTest, RefusesWhatIsNoClientHello) {
  Bytes garbage = ToBytes("GET / HTTP/1.1\r\n\r\n");
  PBYTE identity = nullptr;
  ULONG size = 0;
  EXPECT_EQ(
      SslGetServerIdentity(garbage.data(), static_cast<DWORD>(garbage.size()), &identity, &size, 0),
      SEC_E_INVALID_TOKEN);
  EXPECT_LT(SslGetServerIdentity(nullptr, 10, &identity, &size, 0), 0);
  EXPECT_LT(SslGetServerIdentity(garbage.data(), 5, nullptr, &size, 0), 0);
}

// ---- Certificates

struct Pem {
  std::string certificate;
  std::string key;
};

std::string Drain(BIO* bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  std::string result(text, static_cast<std::size_t>(size));
  BIO_free(bio);
  return result;
}

Pem MakePem() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  X509_sign(certificate, key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  Pem pem;
  pem.certificate = Drain(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  pem.key = Drain(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pem;
}

class TestFile {
 public:
  TestFile(const std::string& name, const std::string& text) : path_(folder_.Write(name, text)) {}
  const char* path() const { return path_.c_str(); }

 private:
  const TemporaryFolder folder_;
  const std::string path_;
};

constexpr CERT_CONTEXT kSomething{};
const PCCERT_CONTEXT kNotNull = &kSomething;

TEST(CertificateTest, LoadsFilesAndText) {
  const Pem pem = MakePem();
  const TestFile certificate("cert.pem", pem.certificate);
  const TestFile key("key.pem", pem.key);
  PCCERT_CONTEXT from_files = nullptr;
  ASSERT_EQ(KtlsimLoadCertificate(certificate.path(), key.path(), &from_files), SEC_E_OK)
      << KtlsimLastErrorText();
  PCCERT_CONTEXT from_text = nullptr;
  ASSERT_EQ(KtlsimLoadCertificatePem(pem.certificate.c_str(), pem.key.c_str(), &from_text),
            SEC_E_OK);
  EXPECT_EQ(from_files->dwCertEncodingType, DWORD{X509_ASN_ENCODING});
  ASSERT_EQ(from_files->cbCertEncoded, from_text->cbCertEncoded);
  EXPECT_EQ(from_files->pbCertEncoded[0], 0x30) << "DER";
  EXPECT_EQ(CertDuplicateCertificateContext(from_files), from_files);
  EXPECT_TRUE(CertFreeCertificateContext(from_files));
  EXPECT_EQ(from_files->pbCertEncoded[0], 0x30) << "one reference is left";
  EXPECT_TRUE(CertFreeCertificateContext(from_files));
  EXPECT_TRUE(CertFreeCertificateContext(from_text));
}

TEST(CertificateTest, TellsWhichFileIsMissing) {
  const Pem pem = MakePem();
  const TestFile certificate("cert.pem", pem.certificate);
  PCCERT_CONTEXT out = kNotNull;
  EXPECT_EQ(KtlsimLoadCertificate(certificate.path(), "/nonexistent/key.pem", &out),
            SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_EQ(out, nullptr);
  EXPECT_NE(std::string(KtlsimLastErrorText()).find("/nonexistent/key.pem"), std::string::npos)
      << KtlsimLastErrorText();
  EXPECT_EQ(KtlsimLoadCertificate("/nonexistent/cert.pem", certificate.path(), &out),
            SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_NE(std::string(KtlsimLastErrorText()).find("/nonexistent/cert.pem"), std::string::npos)
      << KtlsimLastErrorText();
}

TEST(CertificateTest, RefusesTextThatIsNoPemAndKeysThatDoNotFit) {
  const Pem pem = MakePem();
  const Pem other = MakePem();
  for (const auto& [certificate, key] :
       {std::pair<std::string, std::string>{"", pem.key},
        {"rubbish", "rubbish"},
        {pem.certificate, other.key},
        {pem.key, pem.certificate},
        {pem.certificate.substr(0, pem.certificate.size() / 2), pem.key}}) {
    PCCERT_CONTEXT out = kNotNull;
    EXPECT_EQ(KtlsimLoadCertificatePem(certificate.c_str(), key.c_str(), &out),
              SEC_E_UNKNOWN_CREDENTIALS)
        << certificate << key;
    EXPECT_EQ(out, nullptr) << "NULL on failure";
    EXPECT_FALSE(std::string(KtlsimLastErrorText()).empty());
  }
}

TEST(CertificateTest, RefusesAnEmptyKey) {
  const Pem pem = MakePem();
  PCCERT_CONTEXT out = kNotNull;
  EXPECT_EQ(KtlsimLoadCertificatePem(pem.certificate.c_str(), "", &out), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_EQ(out, nullptr);
}

TEST(CertificateTest, RefusesMissingArguments) {
  PCCERT_CONTEXT out = kNotNull;
  EXPECT_EQ(KtlsimLoadCertificate(nullptr, "x", &out), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(out, nullptr);
  EXPECT_EQ(KtlsimLoadCertificate("x", "x", nullptr), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimLoadCertificatePem("x", nullptr, &out), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimCreateSelfSignedCertificate(nullptr, KTLSIM_KEY_RSA_2048, &out),
            SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimCreateSelfSignedCertificate("x", 2, &out), SEC_E_INVALID_PARAMETER);
  EXPECT_EQ(KtlsimCreateSelfSignedCertificate("x", KTLSIM_KEY_RSA_2048, nullptr),
            SEC_E_INVALID_PARAMETER);
  EXPECT_TRUE(CertFreeCertificateContext(nullptr));
  EXPECT_EQ(CertDuplicateCertificateContext(nullptr), nullptr);
}

TEST(CertificateTest, LoadedCertificateServesAHandshake) {
  const Pem pem = MakePem();
  PCCERT_CONTEXT certificate = nullptr;
  ASSERT_EQ(KtlsimLoadCertificatePem(pem.certificate.c_str(), pem.key.c_str(), &certificate),
            SEC_E_OK);
  SCH_CREDENTIALS cred{};
  cred.dwVersion = SCH_CREDENTIALS_VERSION;
  cred.cCreds = 1;
  cred.paCred = &certificate;
  char name[] = UNISP_NAME_A;
  CredHandle server{};
  ASSERT_EQ(AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_INBOUND, nullptr, &cred, nullptr,
                                      nullptr, &server, nullptr),
            SEC_E_OK);
  CertFreeCertificateContext(certificate);
  TestCredential client = TestCredential::Client();
  TestEnd client_end(false);
  TestEnd server_end(true);
  EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, &server));
  EXPECT_EQ(FreeCredentialsHandle(&server), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
