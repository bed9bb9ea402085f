// Revocation, which nothing here can look up yet, and validation that is left to the caller.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/sspi/certificates.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::test {
namespace {

class RevocationTest : public testing::TestWithParam<ULONG> {
 protected:
  static constexpr ULONG kChecks[] = {SCH_CRED_REVOCATION_CHECK_END_CERT,
                                      SCH_CRED_REVOCATION_CHECK_CHAIN,
                                      SCH_CRED_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT};
  // A client that trusts the server's certificate, if `trusts`.
  TestCredential Client(ULONG flags, bool trusts = true) {
    TestCredential client = TestCredential::Client(GetParam(), flags);
    if (trusts) Trust(client, KTLSIM_ATTR_TRUST);
    return client;
  }
  void Trust(TestCredential& credential, ULONG attribute) {
    const TemporaryFolder folder;
    const std::string path =
        folder.Write("trust.pem", sspi::CertificateOf(LocalhostCertificate())->ChainPem().value());
    if (attribute == KTLSIM_ATTR_TRUST) {
      KtlsimCred_Trust trust{path.c_str()};
      EXPECT_EQ(SetCredentialsAttributesA(credential.get(), attribute, &trust, sizeof(trust)),
                SEC_E_OK);
    } else {
      KtlsimCred_ClientAuth policy{KTLSIM_CLIENT_AUTH_REQUIRE, path.c_str()};
      EXPECT_EQ(SetCredentialsAttributesA(credential.get(), attribute, &policy, sizeof(policy)),
                SEC_E_OK);
    }
  }
  static SecPkgContext_CertificateValidationResult CheckResult(TestEnd& end) {
    SecPkgContext_CertificateValidationResult result{};
    EXPECT_EQ(QueryContextAttributesA(&end.context, SECPKG_ATTR_CERT_CHECK_RESULT, &result),
              SEC_E_OK);
    return result;
  }

  TestCredential server_ = TestCredential::Server(GetParam());
  TestEnd client_end_{false};
  TestEnd server_end_{true};
};

INSTANTIATE_TEST_SUITE_P(Versions, RevocationTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return std::string(test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13");
                         });

TEST_P(RevocationTest, WithoutACheckAGoodCertificatePasses) {
  TestCredential client = Client(0);
  EXPECT_TRUE(RunHandshake(client_end_, client.get(), server_end_, server_.get()))
      << std::hex << client_end_.status;
}

TEST_P(RevocationTest, WhatCannotBeCheckedEndsTheLegThatJudges) {
  for (const ULONG check : kChecks) {
    TestCredential client = Client(check);
    TestEnd client_end(false);
    TestEnd server_end(true);
    EXPECT_FALSE(RunHandshake(client_end, client.get(), server_end, server_.get()));
    EXPECT_EQ(client_end.status, CRYPT_E_NO_REVOCATION_CHECK) << std::hex << check;
    EXPECT_EQ(server_end.status, SEC_E_CERT_UNKNOWN) << "certificate_unknown reached the server";
  }
}

TEST_P(RevocationTest, TheReasonIsTold) {
  TestCredential client = Client(SCH_CRED_REVOCATION_CHECK_CHAIN);
  Append(server_end_.inbox, client_end_.Leg(client.get()));
  Append(client_end_.inbox, server_end_.Leg(server_.get()));
  client_end_.Leg(client.get());
  EXPECT_EQ(KtlsimLastErrorText(),
            std::string("whether the peer's certificate has been revoked cannot be checked here"));
}

TEST_P(RevocationTest, OtherFaultsAreToldFirst) {
  TestCredential client = Client(SCH_CRED_REVOCATION_CHECK_CHAIN, false);
  EXPECT_FALSE(RunHandshake(client_end_, client.get(), server_end_, server_.get()));
  EXPECT_EQ(client_end_.status, SEC_E_UNTRUSTED_ROOT);
}

TEST_P(RevocationTest, IgnoringThatThereIsNoCheckLetsItPass) {
  for (const ULONG check : kChecks) {
    TestCredential client = Client(check | SCH_CRED_IGNORE_NO_REVOCATION_CHECK);
    TestEnd client_end(false);
    TestEnd server_end(true);
    EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, server_.get()));
  }
}

// This is another flag than the one above.
TEST_P(RevocationTest, IgnoringThatItIsOfflineDoesNotLetItPass) {
  TestCredential client =
      Client(SCH_CRED_REVOCATION_CHECK_END_CERT | SCH_CRED_IGNORE_REVOCATION_OFFLINE);
  EXPECT_FALSE(RunHandshake(client_end_, client.get(), server_end_, server_.get()));
}

TEST_P(RevocationTest, NobodyIsRefusedWhereNoCertificateIsJudged) {
  TestCredential client =
      Client(SCH_CRED_REVOCATION_CHECK_CHAIN | SCH_CRED_MANUAL_CRED_VALIDATION, false);
  EXPECT_TRUE(RunHandshake(client_end_, client.get(), server_end_, server_.get()));
}

TEST_P(RevocationTest, WhereTheVerdictIsTheCallersItIsInTheCheckResult) {
  for (const bool by_leg : {false, true}) {
    TestCredential client =
        Client(SCH_CRED_REVOCATION_CHECK_CHAIN | (by_leg ? 0 : SCH_CRED_DEFERRED_CRED_VALIDATION));
    TestEnd client_end(false);
    TestEnd server_end(true);
    if (by_leg) client_end.more_flags = ISC_REQ_MANUAL_CRED_VALIDATION;
    ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server_.get()));
    const auto result = CheckResult(client_end);
    EXPECT_EQ(result.hrVerifyChainStatus, CRYPT_E_NO_REVOCATION_CHECK);
    EXPECT_EQ(result.dwChainErrorStatus, 0x40U);  // CERT_TRUST_REVOCATION_STATUS_UNKNOWN
    EXPECT_EQ((client_end.attributes & ISC_RET_MANUAL_CRED_VALIDATION) != 0, by_leg);
  }
}

TEST_P(RevocationTest, DeferredValidationGoesOnWithWhatIsNotTrusted) {
  TestCredential client = Client(SCH_CRED_DEFERRED_CRED_VALIDATION, false);
  ASSERT_TRUE(RunHandshake(client_end_, client.get(), server_end_, server_.get()));
  EXPECT_EQ(CheckResult(client_end_).hrVerifyChainStatus, CERT_E_UNTRUSTEDROOT);
}

}  // namespace
}  // namespace ktlsim::test
