// Credentials of the TLS package: every status of AcquireCredentialsHandle, what the two credential
// structures switch on and off, and how long the handles live.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

constexpr CredHandle kUntouched = {~ULONG_PTR{0}, ~ULONG_PTR{0}};

SECURITY_STATUS Acquire(const char* package, ULONG use, void* auth_data, PCredHandle handle,
                        PTimeStamp expiry = nullptr) {
  std::string name = package == nullptr ? "" : package;
  return AcquireCredentialsHandleA(nullptr, package == nullptr ? nullptr : name.data(), use,
                                   nullptr, auth_data, nullptr, nullptr, handle, expiry);
}

SCHANNEL_CRED OldForm(DWORD enabled = 0) {
  SCHANNEL_CRED cred{};
  cred.dwVersion = SCHANNEL_CRED_VERSION;
  cred.grbitEnabledProtocols = enabled;
  return cred;
}

SCH_CREDENTIALS NewForm() {
  SCH_CREDENTIALS cred{};
  cred.dwVersion = SCH_CREDENTIALS_VERSION;
  return cred;
}

// Acquires, expects SEC_E_OK, owns the handle.
class Owned {
 public:
  Owned(ULONG use, void* auth_data) {
    EXPECT_EQ(Acquire(UNISP_NAME_A, use, auth_data, &handle_), SEC_E_OK) << KtlsimLastErrorText();
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { EXPECT_EQ(FreeCredentialsHandle(&handle_), SEC_E_OK); }
  PCredHandle get() { return &handle_; }
  DWORD Protocols() {
    SecPkgCred_SupportedProtocols protocols{};
    EXPECT_EQ(QueryCredentialsAttributesA(&handle_, SECPKG_ATTR_SUPPORTED_PROTOCOLS, &protocols),
              SEC_E_OK);
    return protocols.grbitProtocol;
  }

 private:
  CredHandle handle_ = kUntouched;
};

void ExpectRefused(const char* package, ULONG use, void* auth_data, SECURITY_STATUS expected) {
  CredHandle handle = kUntouched;
  TimeStamp expiry{};
  expiry.QuadPart = 42;
  EXPECT_EQ(Acquire(package, use, auth_data, &handle, &expiry), expected);
  EXPECT_EQ(handle.dwLower, kUntouched.dwLower) << "untouched on failure";
  EXPECT_EQ(handle.dwUpper, kUntouched.dwUpper);
  EXPECT_EQ(expiry.QuadPart, 42);
}

TEST(CredentialTableTest, PackageNamesAreKnownWithoutRegardToCase) {
  for (const char* name : {"Microsoft Unified Security Protocol Provider", "Schannel", "SCHANNEL",
                           "microsoft unified security protocol provider", "Default TLS SSP"}) {
    CredHandle handle = kUntouched;
    EXPECT_EQ(Acquire(name, SECPKG_CRED_OUTBOUND, nullptr, &handle), SEC_E_OK) << name;
    EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
  }
}

TEST(CredentialTableTest, PackageNullOrUnknown) {
  ExpectRefused(nullptr, SECPKG_CRED_OUTBOUND, nullptr, SEC_E_SECPKG_NOT_FOUND);
  ExpectRefused("", SECPKG_CRED_OUTBOUND, nullptr, SEC_E_SECPKG_NOT_FOUND);
  ExpectRefused("Schanne", SECPKG_CRED_OUTBOUND, nullptr, SEC_E_SECPKG_NOT_FOUND);
  ExpectRefused("Schannel ", SECPKG_CRED_OUTBOUND, nullptr, SEC_E_SECPKG_NOT_FOUND);
  ExpectRefused("Kerberos", SECPKG_CRED_OUTBOUND, nullptr, SEC_E_SECPKG_NOT_FOUND);
}

TEST(CredentialTableTest, UseMustNameOneDirection) {
  SCH_CREDENTIALS cred = NewForm();
  for (const ULONG use : {0U, ULONG{SECPKG_CRED_BOTH}}) {
    ExpectRefused(UNISP_NAME_A, use, &cred, SEC_E_NO_CREDENTIALS);
    EXPECT_EQ(Acquire(UNISP_NAME_A, use, &cred, nullptr), SEC_E_NO_CREDENTIALS)
        << "checked before the handle";
  }
}

TEST(CredentialTableTest, InboundWithoutAuthData) {
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, nullptr, SEC_E_NO_CREDENTIALS);
  EXPECT_EQ(Acquire(UNISP_NAME_A, SECPKG_CRED_INBOUND, nullptr, nullptr), SEC_E_NO_CREDENTIALS);
}

TEST(CredentialTableTest, OutboundWithoutAuthDataIsAnAnonymousClient) {
  Owned client(SECPKG_CRED_OUTBOUND, nullptr);
  EXPECT_EQ(client.Protocols(), DWORD{SP_PROT_TLS1_2_CLIENT | SP_PROT_TLS1_3_CLIENT});
}

TEST(CredentialTableTest, InboundWithoutCertificateFailsLater) {
  SCHANNEL_CRED cred = OldForm();
  Owned server(SECPKG_CRED_INBOUND, &cred);
  TestCredential client = TestCredential::Client();
  TestEnd client_end(false);
  TestEnd server_end(true);
  Append(server_end.inbox, client_end.Leg(client.get()));
  server_end.Leg(server.get());
  EXPECT_EQ(server_end.status, SEC_E_NO_CREDENTIALS);
}

TEST(CredentialTableTest, NewFormWithNothingButItsVersionTakesTheDefaults) {
  SCH_CREDENTIALS cred = NewForm();
  Owned client(SECPKG_CRED_OUTBOUND, &cred);
  EXPECT_EQ(client.Protocols(), DWORD{SP_PROT_TLS1_2_CLIENT | SP_PROT_TLS1_3_CLIENT});
}

TEST(CredentialTableTest, UnknownVersionInEitherDirection) {
  for (const DWORD version : {0U, 1U, 2U, 3U, 6U, ~0U}) {
    SCH_CREDENTIALS cred = NewForm();
    cred.dwVersion = version;
    for (const ULONG use : {ULONG{SECPKG_CRED_INBOUND}, ULONG{SECPKG_CRED_OUTBOUND}}) {
      ExpectRefused(UNISP_NAME_A, use, &cred, SEC_E_UNKNOWN_CREDENTIALS);
      EXPECT_EQ(Acquire(UNISP_NAME_A, use, &cred, nullptr), SEC_E_UNKNOWN_CREDENTIALS);
    }
  }
}

TEST(CredentialTableTest, CertificateThatDoesNotParse) {
  std::array<BYTE, 64> rubbish{};
  CERT_CONTEXT bad{};
  bad.dwCertEncodingType = X509_ASN_ENCODING;
  bad.pbCertEncoded = rubbish.data();
  bad.cbCertEncoded = rubbish.size();
  std::array<PCCERT_CONTEXT, 2> contexts = {LocalhostCertificate(), &bad};
  SCH_CREDENTIALS cred = NewForm();
  cred.paCred = contexts.data();
  cred.cCreds = 2;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_UNKNOWN_CREDENTIALS);
  cred.paCred = &contexts[1];
  cred.cCreds = 1;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_UNKNOWN_CREDENTIALS);
  CERT_CONTEXT empty{};
  contexts[1] = &empty;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_UNKNOWN_CREDENTIALS);
  contexts[1] = nullptr;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_UNKNOWN_CREDENTIALS);
  cred.paCred = nullptr;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_UNKNOWN_CREDENTIALS);
  cred.cCreds = ~0U;
  cred.paCred = contexts.data();
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_UNKNOWN_CREDENTIALS);
}

TEST(CredentialTableTest, CertificateWithoutPrivateKey) {
  // The same certificate in a structure of the caller's own: it has no key.
  CERT_CONTEXT keyless = *LocalhostCertificate();
  PCCERT_CONTEXT context = &keyless;
  SCH_CREDENTIALS cred = NewForm();
  cred.paCred = &context;
  cred.cCreds = 1;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_NO_CREDENTIALS);
  SCHANNEL_CRED old = OldForm();
  old.paCred = &context;
  old.cCreds = 1;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &old, SEC_E_NO_CREDENTIALS);
}

TEST(CredentialTableTest, TwoGoodCertificates) {
  std::array<PCCERT_CONTEXT, 2> contexts = {LocalhostCertificate(KTLSIM_KEY_ECDSA_P256),
                                            LocalhostCertificate(KTLSIM_KEY_RSA_2048)};
  SCH_CREDENTIALS cred = NewForm();
  cred.paCred = contexts.data();
  cred.cCreds = 2;
  Owned server(SECPKG_CRED_INBOUND, &cred);
}

TEST(CredentialTableTest, CertificateHashOfAWindowsStoreIsUnknown) {
  SCHANNEL_CERT_HASH_STORE hash{};
  hash.dwLength = sizeof(hash);
  SCH_CREDENTIALS cred = NewForm();
  cred.dwCredFormat = SCH_CRED_FORMAT_CERT_HASH_STORE;
  cred.cCreds = 1;
  cred.paCred =
      reinterpret_cast<PCCERT_CONTEXT*>(&hash);  // the structure itself, as in kernel mode
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_UNKNOWN_CREDENTIALS);
}

TEST(CredentialTableTest, ProtocolBitsOfTheWrongDirectionOrKind) {
  PCCERT_CONTEXT certificate = LocalhostCertificate();
  for (const DWORD count : {0U, 1U}) {
    SCHANNEL_CRED cred = OldForm(SP_PROT_TLS1_2_CLIENT);
    cred.cCreds = count;
    cred.paCred = &certificate;
    ExpectRefused(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, SEC_E_ALGORITHM_MISMATCH);
  }
  SCHANNEL_CRED cred = OldForm(SP_PROT_TLS1_2_SERVER);
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, SEC_E_ALGORITHM_MISMATCH);
  cred = OldForm(SP_PROT_TLS1_2_CLIENT | SP_PROT_DTLS1_2_CLIENT);
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, SEC_E_ALGORITHM_MISMATCH);
}

TEST(CredentialTableTest, EverythingRightButNoPlaceForTheHandle) {
  EXPECT_EQ(Acquire(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, nullptr, nullptr), SEC_E_INVALID_PARAMETER);
}

TEST(CredentialTableTest, ExpiryIsTheCertificatesOrNever) {
  CredHandle handle = kUntouched;
  TimeStamp never{};
  ASSERT_EQ(Acquire(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, nullptr, &handle, &never), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
  PCCERT_CONTEXT certificate = LocalhostCertificate();
  SCH_CREDENTIALS cred = NewForm();
  cred.cCreds = 1;
  cred.paCred = &certificate;
  TimeStamp expiry{};
  ASSERT_EQ(Acquire(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, &handle, &expiry), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
  EXPECT_LT(expiry.QuadPart, never.QuadPart);
  EXPECT_GT(expiry.QuadPart, 0x01D000000000000) << "100 ns since 1601: after 2014";
  EXPECT_GT(never.QuadPart, 0x7FF000000000000);
}

TEST(CredentialTableTest, OldFormEchoesItsProtocolsAndEndsAtTls12ByDefault) {
  SCHANNEL_CRED defaults = OldForm();
  Owned by_default(SECPKG_CRED_OUTBOUND, &defaults);
  EXPECT_EQ(by_default.Protocols(), DWORD{SP_PROT_TLS1_2_CLIENT});
  SCHANNEL_CRED named = OldForm(SP_PROT_TLS1_2_CLIENT);
  Owned exactly(SECPKG_CRED_OUTBOUND, &named);
  EXPECT_EQ(exactly.Protocols(), DWORD{SP_PROT_TLS1_2_CLIENT});
}

TEST(CredentialTableTest, CredentialsWorkAfterTheCallersStructuresAreGone) {
  PCCERT_CONTEXT certificate = nullptr;
  ASSERT_EQ(KtlsimCreateSelfSignedCertificate("localhost", KTLSIM_KEY_ECDSA_P256, &certificate),
            SEC_E_OK);
  CredHandle server = kUntouched;
  {
    SCH_CREDENTIALS cred = NewForm();
    TLS_PARAMETERS parameters{};
    cred.cTlsParameters = 1;
    cred.pTlsParameters = &parameters;
    cred.cCreds = 1;
    cred.paCred = &certificate;
    ASSERT_EQ(Acquire(UNISP_NAME_A, SECPKG_CRED_INBOUND, &cred, &server), SEC_E_OK);
    parameters.grbitDisabledProtocols = ~0U;
  }
  EXPECT_TRUE(CertFreeCertificateContext(certificate));
  TestCredential client = TestCredential::Client();
  TestEnd client_end(false);
  TestEnd server_end(true);
  EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, &server));
  EXPECT_EQ(FreeCredentialsHandle(&server), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&server), SEC_E_INVALID_HANDLE);
}

TEST(CredentialTableTest, LimitsOfTheNewForm) {
  std::array<TLS_PARAMETERS, 17> parameters{};
  SCH_CREDENTIALS cred = NewForm();
  cred.pTlsParameters = parameters.data();
  cred.cTlsParameters = 17;
  CredHandle handle = kUntouched;
  EXPECT_LT(Acquire(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, &handle), 0);
  cred.cTlsParameters = 2;
  EXPECT_LT(Acquire(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, &handle), 0) << "no ALPN ids";
  cred.cTlsParameters = 1;
  std::array<CRYPTO_SETTINGS, 17> settings{};
  parameters[0].pDisabledCrypto = settings.data();
  parameters[0].cDisabledCrypto = 17;
  EXPECT_LT(Acquire(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, &handle), 0);
  parameters[0].cDisabledCrypto = 1;
  parameters[0].pDisabledCrypto = nullptr;
  EXPECT_LT(Acquire(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, &handle), 0);
  cred.pTlsParameters = nullptr;
  EXPECT_LT(Acquire(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, &handle), 0);
  EXPECT_FALSE(SecIsValidHandle(&handle));
}

TEST(CredentialTableTest, EverythingDisabledIsAMismatch) {
  TLS_PARAMETERS parameters{};
  parameters.grbitDisabledProtocols = ~0U;
  SCH_CREDENTIALS cred = NewForm();
  cred.cTlsParameters = 1;
  cred.pTlsParameters = &parameters;
  ExpectRefused(UNISP_NAME_A, SECPKG_CRED_OUTBOUND, &cred, SEC_E_ALGORITHM_MISMATCH);
}

// ---- Disabled crypto as the best known kernel client writes it: names whose Length counts the terminating NUL, and pairs of lengths that remain permitted.

template <std::size_t kUnits>
UNICODE_STRING Counted(const WCHAR (&text)[kUnits], bool with_nul) {
  const auto bytes = static_cast<USHORT>((with_nul ? kUnits : kUnits - 1) * sizeof(WCHAR));
  return {bytes, bytes, const_cast<PWSTR>(text)};
}

struct CryptoCase {
  const char* name;
  bool allow_128;
  bool allow_256;
  bool with_nul;
  DWORD expected_bits;
};

void PrintTo(const CryptoCase& test, std::ostream* out) { *out << test.name; }

class DisabledCryptoTest : public testing::TestWithParam<CryptoCase> {};

INSTANTIATE_TEST_SUITE_P(Cases, DisabledCryptoTest,
                         testing::Values(CryptoCase{"Only128", true, false, true, 128},
                                         CryptoCase{"Only256", false, true, true, 256},
                                         CryptoCase{"Only128WithoutNul", true, false, false, 128},
                                         CryptoCase{"Only256WithoutNul", false, true, false, 256},
                                         CryptoCase{"Both", true, true, true, 0}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(DisabledCryptoTest, NegotiatesWhatStaysPermitted) {
  const CryptoCase& test = GetParam();
  UNICODE_STRING ccm = Counted(u"ChainingModeCCM", test.with_nul);
  std::vector<CRYPTO_SETTINGS> settings(2);
  settings[0].eAlgorithmUsage = TlsParametersCngAlgUsageCipher;
  settings[0].strCngAlgId = Counted(u"CHACHA20_POLY1305", test.with_nul);
  settings[1].eAlgorithmUsage = TlsParametersCngAlgUsageCipher;
  settings[1].strCngAlgId = Counted(u"AES", test.with_nul);
  settings[1].cChainingModes = 1;
  settings[1].rgstrChainingModes = &ccm;
  const auto permit_only = [&](DWORD bits, UNICODE_STRING digest) {
    CRYPTO_SETTINGS cipher{};
    cipher.eAlgorithmUsage = TlsParametersCngAlgUsageCipher;
    cipher.strCngAlgId = Counted(u"AES", test.with_nul);
    cipher.dwMinBitLength = bits;
    cipher.dwMaxBitLength = bits;
    settings.push_back(cipher);
    CRYPTO_SETTINGS hash{};
    hash.eAlgorithmUsage = TlsParametersCngAlgUsageDigest;
    hash.strCngAlgId = digest;
    settings.push_back(hash);
  };
  if (!test.allow_256) permit_only(128, Counted(u"SHA384", test.with_nul));
  if (!test.allow_128) permit_only(256, Counted(u"SHA256", test.with_nul));
  TLS_PARAMETERS parameters{};
  parameters.grbitDisabledProtocols = ~DWORD{SP_PROT_TLS1_3_SERVER};
  parameters.cDisabledCrypto = static_cast<DWORD>(settings.size());
  parameters.pDisabledCrypto = settings.data();
  PCCERT_CONTEXT certificate = LocalhostCertificate();
  SCH_CREDENTIALS cred = NewForm();
  cred.dwFlags = SCH_USE_STRONG_CRYPTO | SCH_CRED_NO_SYSTEM_MAPPER;
  cred.cTlsParameters = 1;
  cred.pTlsParameters = &parameters;
  cred.cCreds = 1;
  cred.paCred = &certificate;
  Owned server(SECPKG_CRED_INBOUND, &cred);
  EXPECT_EQ(server.Protocols(), DWORD{SP_PROT_TLS1_3_SERVER});
  TestCredential client = TestCredential::Client();
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  SecPkgContext_CipherInfo cipher{};
  cipher.dwVersion = SECPKGCONTEXT_CIPHERINFO_V1;
  ASSERT_EQ(QueryContextAttributesA(&client_end.context, SECPKG_ATTR_CIPHER_INFO, &cipher),
            SEC_E_OK);
  EXPECT_EQ(cipher.dwProtocol, 0x304U);
  if (test.expected_bits != 0) {
    EXPECT_EQ(cipher.dwCipherLen, test.expected_bits);
  }
}

// ---- Handles

TEST(CredentialHandleTest, WrongDirectionIsAnInvalidHandleForBothEnds) {
  TestCredential server = TestCredential::Server();
  TestCredential client = TestCredential::Client();
  TestEnd as_client(false);
  as_client.Leg(server.get());
  EXPECT_EQ(as_client.status, SEC_E_INVALID_HANDLE);
  TestEnd as_server(true);
  as_server.inbox = TestEnd(false).Leg(client.get());
  as_server.Leg(client.get());
  EXPECT_EQ(as_server.status, SEC_E_INVALID_HANDLE);
  EXPECT_FALSE(SecIsValidHandle(&as_client.context));
}

TEST(CredentialHandleTest, ContextOfTheOtherEndIsAnInvalidHandle) {
  TestCredential client = TestCredential::Client();
  TestEnd end(false);
  end.Leg(client.get());
  SecBuffer out = {0, SECBUFFER_TOKEN, nullptr};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  ULONG attributes = 0;
  EXPECT_EQ(AcceptSecurityContext(nullptr, &end.context, &out_desc, 0, 0, nullptr, &out_desc,
                                  &attributes, nullptr),
            SEC_E_INVALID_HANDLE);
}

TEST(CredentialHandleTest, AttributesOfBadHandles) {
  SecPkgCred_SupportedProtocols protocols{};
  CredHandle garbage = {7, 7};
  EXPECT_EQ(QueryCredentialsAttributesA(&garbage, SECPKG_ATTR_SUPPORTED_PROTOCOLS, &protocols),
            SEC_E_INVALID_HANDLE);
  EXPECT_EQ(QueryCredentialsAttributesW(nullptr, SECPKG_ATTR_SUPPORTED_PROTOCOLS, &protocols),
            SEC_E_INVALID_HANDLE);
  TestCredential client = TestCredential::Client();
  EXPECT_EQ(QueryCredentialsAttributesA(client.get(), SECPKG_ATTR_SUPPORTED_PROTOCOLS, nullptr),
            SEC_E_INTERNAL_ERROR);
  EXPECT_EQ(QueryCredentialsAttributesA(client.get(), 0x7777, &protocols),
            SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(FreeCredentialsHandle(nullptr), SEC_E_INVALID_HANDLE);
}

}  // namespace
}  // namespace ktlsim::test
