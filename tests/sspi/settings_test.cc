// No setting is silently ignored: every flag, member and buffer type is tested against the rule
// that the public header states for it.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/packages/tls_settings.h"
#include "tests/support/paths.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

using sspi::FlagRule;
using sspi::Treatment;

std::string TextOf(const std::string& header) {
  std::ifstream file(SourceRoot() + "/kernel_sim/include/" + header);
  EXPECT_TRUE(file) << header;
  return {std::istreambuf_iterator<char>(file), {}};
}

// The names that `pattern` captures in `text`.
std::vector<std::string> NamesIn(const std::string& text, const char* pattern) {
  const std::regex expression(pattern);
  std::vector<std::string> names;
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at) {
    names.push_back((*at)[1]);
  }
  return names;
}

const char* WordOf(Treatment treatment) {
  switch (treatment) {
    case Treatment::kHonoured:
      return "honoured";
    case Treatment::kHarmless:
      return "harmless";
    case Treatment::kRefused:
      return "refused";
  }
  return "";
}

void ExpectTold(std::span<const FlagRule> rules, const std::string& header) {
  for (const FlagRule& rule : rules) {
    const std::regex line("//   " + std::string(rule.name) + "( \\(0x[0-9]+\\))? +" +
                          WordOf(rule.treatment));
    EXPECT_TRUE(std::regex_search(header, line)) << rule.name;
  }
}

void ExpectRulesFor(std::span<const FlagRule> rules, const std::vector<std::string>& names) {
  EXPECT_GT(names.size(), 20U);
  for (const std::string& name : names) {
    const bool found = std::ranges::any_of(
        rules, [&](const FlagRule& rule) { return std::string(rule.name) == name; });
    EXPECT_TRUE(found) << name;
  }
}

TEST(SettingsTableTest, EveryFlagOfTheHeadersHasARuleAndEveryRuleIsInThePublicHeader) {
  std::string flags = TextOf("ktlsim/detail/flags.h");
  ExpectRulesFor(sspi::InitializeFlagRules(), NamesIn(flags, "#define (ISC_REQ_\\w+)"));
  ExpectRulesFor(sspi::AcceptFlagRules(), NamesIn(flags, "#define (ASC_REQ_\\w+)"));
  std::string constants = TextOf("ktlsim/detail/schannel_constants.h");
  const std::size_t begin = constants.find("// dwFlags of SCHANNEL_CRED");
  ASSERT_NE(begin, std::string::npos);
  constants = constants.substr(begin, constants.find("\n\n", begin) - begin);
  ExpectRulesFor(sspi::CredentialFlagRules(), NamesIn(constants, "#define (SCH_\\w+)"));
  const std::string header = TextOf("schannel.h");
  ExpectTold(sspi::CredentialFlagRules(), header);
  ExpectTold(sspi::InitializeFlagRules(), header);
  ExpectTold(sspi::AcceptFlagRules(), header);
  ExpectTold(sspi::InputBufferRules(), header);
}

// ---- Credentials

template <typename Cred>
Cred Versioned() {
  Cred cred{};
  cred.dwVersion = std::is_same_v<Cred, SCHANNEL_CRED> ? DWORD{SCHANNEL_CRED_VERSION}
                                                       : DWORD{SCH_CREDENTIALS_VERSION};
  return cred;
}

// Acquires and frees again.
template <typename Cred>
SECURITY_STATUS Try(ULONG use, Cred cred) {
  char name[] = UNISP_NAME_A;
  CredHandle handle{};
  const SECURITY_STATUS status = AcquireCredentialsHandleA(nullptr, name, use, nullptr, &cred,
                                                           nullptr, nullptr, &handle, nullptr);
  const std::string why = KtlsimLastErrorText();
  EXPECT_EQ(why.empty(), status == SEC_E_OK) << why;
  if (status == SEC_E_OK) {
    EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
  }
  return status;
}

template <typename Cred>
void WalkCredentialFlags() {
  for (const ULONG use : {ULONG{SECPKG_CRED_INBOUND}, ULONG{SECPKG_CRED_OUTBOUND}}) {
    ULONG known = 0;
    for (const FlagRule& rule : sspi::CredentialFlagRules()) {
      Cred cred = Versioned<Cred>();
      cred.dwFlags = static_cast<DWORD>(rule.flag);
      EXPECT_EQ(Try(use, cred), rule.status) << rule.name;
      known |= cred.dwFlags;
    }
    for (unsigned bit = 0; bit < 32; ++bit) {
      if ((known >> bit & 1) != 0) continue;
      Cred cred = Versioned<Cred>();
      cred.dwFlags = DWORD{1} << bit;
      EXPECT_EQ(Try(use, cred), SEC_E_UNSUPPORTED_FUNCTION) << bit;
    }
  }
}

TEST(SettingsTest, EveryCredentialFlagIsAcceptedOrRefusedAsTheTableSays) {
  WalkCredentialFlags<SCHANNEL_CRED>();
  WalkCredentialFlags<SCH_CREDENTIALS>();
}

TEST(SettingsTest, ManualAndAutomaticValidationExcludeEachOther) {
  SCH_CREDENTIALS cred = Versioned<SCH_CREDENTIALS>();
  cred.dwFlags = SCH_CRED_AUTO_CRED_VALIDATION | SCH_CRED_MANUAL_CRED_VALIDATION;
  EXPECT_EQ(Try(SECPKG_CRED_OUTBOUND, cred), SEC_E_INVALID_PARAMETER);
}

template <typename Cred>
void ExpectNoStoresAndMappers() {
  int somewhere = 0;
  Cred cred = Versioned<Cred>();
  cred.hRootStore = &somewhere;
  EXPECT_EQ(Try(SECPKG_CRED_INBOUND, cred), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_NE(std::string(KtlsimLastErrorText()).size(), 0U) << "the reason is still there";
  cred = Versioned<Cred>();
  cred.cMappers = 1;
  EXPECT_EQ(Try(SECPKG_CRED_INBOUND, cred), SEC_E_UNSUPPORTED_FUNCTION);
}

TEST(SettingsTest, StoresAndMappersAreRefused) {
  ExpectNoStoresAndMappers<SCHANNEL_CRED>();
  ExpectNoStoresAndMappers<SCH_CREDENTIALS>();
}

// The lengths of the ciphers that a credential of the old form has, "128-256".
std::string StrengthsOf(SCHANNEL_CRED cred) {
  cred.grbitEnabledProtocols = SP_PROT_TLS1_2_CLIENT | SP_PROT_TLS1_3_CLIENT;
  char name[] = UNISP_NAME_A;
  CredHandle handle{};
  const SECURITY_STATUS status = AcquireCredentialsHandleA(
      nullptr, name, SECPKG_CRED_OUTBOUND, nullptr, &cred, nullptr, nullptr, &handle, nullptr);
  if (status != SEC_E_OK) return KtlsimStatusName(status);
  SecPkgCred_CipherStrengths strengths{};
  EXPECT_EQ(QueryCredentialsAttributesA(&handle, SECPKG_ATTR_CIPHER_STRENGTHS, &strengths),
            SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
  return std::to_string(strengths.dwMinimumCipherStrength) + "-" +
         std::to_string(strengths.dwMaximumCipherStrength);
}

TEST(SettingsTest, CipherStrengthsAreBounds) {
  const DWORD none = ~DWORD{0};
  const struct {
    DWORD min;
    DWORD max;
    const char* expected;
  } cases[] = {{0, 0, "128-256"},
               {128, 256, "128-256"},
               {129, 0, "256-256"},
               {256, 256, "256-256"},
               {0, 255, "128-128"},
               {1, 127, "SEC_E_ALGORITHM_MISMATCH"},
               {257, 0, "SEC_E_ALGORITHM_MISMATCH"},
               {200, 100, "SEC_E_ALGORITHM_MISMATCH"},
               // -1, no encryption, may be permitted; no suite is added by it.
               {none, 0, "128-256"},
               {none, 128, "128-128"},
               {none, none, "SEC_E_ALGORITHM_MISMATCH"}};
  for (const auto& test : cases) {
    SCHANNEL_CRED cred = Versioned<SCHANNEL_CRED>();
    cred.dwMinimumCipherStrength = test.min;
    cred.dwMaximumCipherStrength = test.max;
    EXPECT_EQ(StrengthsOf(cred), test.expected) << test.min << " " << test.max;
  }
}

TEST(SettingsTest, ListedAlgorithmsAreAllThereIs) {
  constexpr ALG_ID kRsaSignatures = 0x2400;
  constexpr ALG_ID kAes = 0x6611;
  const struct {
    std::vector<ALG_ID> algorithms;
    const char* expected;
  } cases[] = {{{CALG_AES_128}, "128-128"},
               {{CALG_AES_256, CALG_ECDHE}, "256-256"},
               {{kAes}, "128-256"},
               {{CALG_SHA_384}, "256-256"},
               {{CALG_SHA_256, CALG_RC4, CALG_AES_128}, "128-128"},
               {{CALG_RC4, CALG_3DES}, "SEC_E_ALGORITHM_MISMATCH"},
               {{CALG_AES_256, CALG_SHA_256}, "SEC_E_ALGORITHM_MISMATCH"},
               {{CALG_SHA1}, "SEC_E_ALGORITHM_MISMATCH"},
               {{CALG_RSA_KEYX}, "SEC_E_ALGORITHM_MISMATCH"},
               {{CALG_AES_128, kRsaSignatures}, "SEC_E_UNSUPPORTED_FUNCTION"}};
  for (const auto& test : cases) {
    SCHANNEL_CRED cred = Versioned<SCHANNEL_CRED>();
    std::vector<ALG_ID> algorithms = test.algorithms;
    cred.cSupportedAlgs = static_cast<DWORD>(algorithms.size());
    cred.palgSupportedAlgs = algorithms.data();
    EXPECT_EQ(StrengthsOf(cred), test.expected) << std::hex << algorithms.front();
  }
  SCHANNEL_CRED cred = Versioned<SCHANNEL_CRED>();
  cred.cSupportedAlgs = 1;
  EXPECT_EQ(StrengthsOf(cred), "SEC_E_INVALID_PARAMETER") << "a count without an array";
}

struct DisabledCase {
  const char* name;
  eTlsAlgorithmUsage usage;
  const WCHAR* algorithm;
  DWORD bits_min;
  DWORD bits_max;
  const char* expected;
};

std::string StrengthsWithout(const DisabledCase& test) {
  const std::u16string algorithm = test.algorithm;
  const auto bytes = static_cast<USHORT>(algorithm.size() * sizeof(WCHAR));
  CRYPTO_SETTINGS settings{};
  settings.eAlgorithmUsage = test.usage;
  settings.strCngAlgId = {bytes, bytes, const_cast<PWSTR>(algorithm.data())};
  settings.dwMinBitLength = test.bits_min;
  settings.dwMaxBitLength = test.bits_max;
  TLS_PARAMETERS parameters{};
  parameters.cDisabledCrypto = 1;
  parameters.pDisabledCrypto = &settings;
  SCH_CREDENTIALS cred = Versioned<SCH_CREDENTIALS>();
  cred.cTlsParameters = 1;
  cred.pTlsParameters = &parameters;
  char name[] = UNISP_NAME_A;
  CredHandle handle{};
  const SECURITY_STATUS status = AcquireCredentialsHandleA(
      nullptr, name, SECPKG_CRED_OUTBOUND, nullptr, &cred, nullptr, nullptr, &handle, nullptr);
  if (status != SEC_E_OK) return KtlsimStatusName(status);
  SecPkgCred_CipherStrengths strengths{};
  EXPECT_EQ(QueryCredentialsAttributesA(&handle, SECPKG_ATTR_CIPHER_STRENGTHS, &strengths),
            SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&handle), SEC_E_OK);
  return std::to_string(strengths.dwMinimumCipherStrength) + "-" +
         std::to_string(strengths.dwMaximumCipherStrength);
}

TEST(SettingsTest, DisabledCryptoOfEveryUsage) {
  constexpr auto kExchange = TlsParametersCngAlgUsageKeyExchange;
  constexpr auto kSignature = TlsParametersCngAlgUsageSignature;
  constexpr auto kCipher = TlsParametersCngAlgUsageCipher;
  constexpr auto kDigest = TlsParametersCngAlgUsageDigest;
  constexpr auto kCertSig = TlsParametersCngAlgUsageCertSig;
  const DisabledCase cases[] = {
      {"ciphers never offered", kCipher, u"3DES", 0, 0, "128-256"},
      {"all of AES", kCipher, u"AES", 0, 0, "256-256"},
      {"in small letters", kCipher, u"aes", 128, 128, "128-256"},
      {"AES but 256", kCipher, u"AES", 256, 0, "256-256"},
      {"SHA-384", kDigest, u"SHA384", 0, 0, "128-256"},
      {"SHA-256", kDigest, u"SHA256", 0, 0, "256-256"},
      {"a digest no suite has", kDigest, u"SHA1", 0, 0, "128-256"},
      {"a digest by length", kDigest, u"SHA384", 384, 0, "SEC_E_UNSUPPORTED_FUNCTION"},
      {"RSA key exchange", kExchange, u"RSA", 0, 0, "128-256"},
      {"ECDH", kExchange, u"ECDH", 0, 0, "SEC_E_UNSUPPORTED_FUNCTION"},
      {"ECDH on P-256", kExchange, u"ECDH_P256", 0, 0, "SEC_E_UNSUPPORTED_FUNCTION"},
      {"RSA signatures", kSignature, u"RSA", 0, 0, "SEC_E_UNSUPPORTED_FUNCTION"},
      {"DSA signatures", kSignature, u"DSA", 0, 0, "128-256"},
      {"ECDSA on certificates", kCertSig, u"ECDSA", 0, 0, "SEC_E_UNSUPPORTED_FUNCTION"},
      {"no name", kCipher, u"", 0, 0, "SEC_E_INVALID_PARAMETER"},
      {"no usage", static_cast<eTlsAlgorithmUsage>(5), u"AES", 0, 0, "SEC_E_INVALID_PARAMETER"}};
  for (const DisabledCase& test : cases) {
    EXPECT_EQ(StrengthsWithout(test), test.expected) << test.name;
  }
}

TEST(SettingsTest, ParametersForSomeProtocolsOnlyAreRefused) {
  TLS_PARAMETERS parameters{};
  UNICODE_STRING h2 = {4, 4, const_cast<PWSTR>(u"h2")};
  SCH_CREDENTIALS cred = Versioned<SCH_CREDENTIALS>();
  cred.cTlsParameters = 1;
  cred.pTlsParameters = &parameters;
  parameters.cAlpnIds = 1;
  parameters.rgstrAlpnIds = &h2;
  EXPECT_EQ(Try(SECPKG_CRED_INBOUND, cred), SEC_E_UNSUPPORTED_FUNCTION);
  parameters = {};
  parameters.dwFlags = TLS_PARAMS_OPTIONAL;
  EXPECT_EQ(Try(SECPKG_CRED_INBOUND, cred), SEC_E_UNSUPPORTED_FUNCTION);
}

// ---- Legs

class LegSettingsTest : public testing::Test {
 protected:
  // A first leg with `flags` in the argument or in a buffer, and perhaps with one more buffer.
  SECURITY_STATUS FirstLeg(bool server, ULONGLONG flags, bool in_buffer, ULONG more_type = 0) {
    CtxtHandle context{};
    Bytes input = server ? hello_ : Bytes();
    Bytes output(32768);
    Bytes more(16);
    SEC_FLAGS wide = {flags};
    std::vector<SecBuffer> in;
    if (server) in.push_back({static_cast<ULONG>(input.size()), SECBUFFER_TOKEN, input.data()});
    if (in_buffer) in.push_back({sizeof(wide), SECBUFFER_FLAGS, &wide});
    if (more_type != 0) in.push_back({static_cast<ULONG>(more.size()), more_type, more.data()});
    SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, static_cast<ULONG>(in.size()), in.data()};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
    const ULONG argument = in_buffer ? 0 : static_cast<ULONG>(flags);
    ULONG attributes = 0;
    char target[] = "localhost";
    const SECURITY_STATUS status =
        server ? AcceptSecurityContext(server_.get(), nullptr, &in_desc, argument, 0, &context,
                                       &out_desc, &attributes, nullptr)
               : InitializeSecurityContextA(client_.get(), nullptr, target, argument, 0, 0,
                                            &in_desc, 0, &context, &out_desc, &attributes, nullptr);
    why_ = KtlsimLastErrorText();
    if (status >= 0) {
      if ((attributes & ISC_RET_ALLOCATED_MEMORY) != 0) {
        EXPECT_EQ(FreeContextBuffer(out.pvBuffer), SEC_E_OK);
      }
      EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
    }
    return status;
  }
  void Walk(bool server, std::span<const FlagRule> rules) {
    std::uint64_t known = 0;
    for (const FlagRule& rule : rules) {
      known |= rule.flag;
      const SECURITY_STATUS expected =
          rule.status == SEC_E_OK ? SEC_I_CONTINUE_NEEDED : rule.status;
      if (rule.flag <= 0xFFFFFFFF) {
        EXPECT_EQ(FirstLeg(server, rule.flag, false), expected) << rule.name;
      }
      EXPECT_EQ(FirstLeg(server, rule.flag, true), expected) << rule.name << " in a buffer";
      if (rule.treatment == Treatment::kRefused) {
        EXPECT_EQ(why_, std::string(rule.name) + " is not supported");
      }
    }
    for (unsigned bit = 0; bit < 64; ++bit) {
      if ((known >> bit & 1) != 0) continue;
      EXPECT_EQ(FirstLeg(server, std::uint64_t{1} << bit, true), SEC_E_UNSUPPORTED_FUNCTION) << bit;
    }
  }

  TestCredential client_ = TestCredential::Client();
  TestCredential server_ = TestCredential::Server();
  Bytes hello_ = TestEnd(false).Leg(client_.get());
  std::string why_;
};

TEST_F(LegSettingsTest, EveryRequestOfAClientAndAServerIsTreatedAsTheTableSays) {
  Walk(false, sspi::InitializeFlagRules());
  Walk(true, sspi::AcceptFlagRules());
}

TEST_F(LegSettingsTest, RefusedBuffersAreRefusedWhereTheyHoldSomething) {
  for (const FlagRule& rule : sspi::InputBufferRules()) {
    if (rule.treatment != Treatment::kRefused) continue;
    const auto type = static_cast<ULONG>(rule.flag);
    EXPECT_EQ(FirstLeg(false, 0, false, type), SEC_E_UNSUPPORTED_FUNCTION) << rule.name;
    EXPECT_EQ(FirstLeg(true, 0, false, type), SEC_E_UNSUPPORTED_FUNCTION) << rule.name;
    EXPECT_EQ(why_, std::string(rule.name) + " is not supported");
  }
  SEC_FLAGS flags{};
  SecBuffer in = {4, SECBUFFER_FLAGS, &flags};
  SecBufferDesc in_desc = {SECBUFFER_VERSION, 1, &in};
  Bytes output(16384);
  SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context{};
  ULONG attributes = 0;
  EXPECT_EQ(InitializeSecurityContextA(client_.get(), nullptr, nullptr, 0, 0, 0, &in_desc, 0,
                                       &context, &out_desc, &attributes, nullptr),
            SEC_E_INVALID_TOKEN)
      << "half of the flags";
}

// A refused later leg has changed nothing: the corrected leg continues the handshake.
TEST_F(LegSettingsTest, ARefusedLaterLegCanBeMadeAgain) {
  TestEnd client(false);
  TestEnd server(true);
  Append(server.inbox, client.Leg(client_.get()));
  Append(client.inbox, server.Leg(server_.get()));
  const Bytes flight = client.inbox;
  client.more_flags = ISC_REQ_DATAGRAM;
  client.Leg(client_.get());
  EXPECT_EQ(client.status, SEC_E_UNSUPPORTED_FUNCTION);
  client.more_flags = 0;
  client.inbox = flight;
  Append(server.inbox, client.Leg(client_.get()));
  EXPECT_EQ(client.status, SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
