// Credentials of the command are acquired and freed asynchronously, each with its callback.
#include "kernel_sim/command/acquisition.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/command/credentials.h"

namespace ktlsim::command {
namespace {

class AcquisitionTest : public testing::Test {
 protected:
  void SetUp() override {
    KtlsimOptions options{};
    options.cbSize = sizeof(options);
    options.cProcessors = 1;
    ASSERT_EQ(KtlsimStart(&options), SEC_E_OK) << KtlsimLastErrorText();
  }
  void TearDown() override { static_cast<void>(KtlsimStop()); }

  static KtlsimStatistics Statistics() {
    KtlsimStatistics statistics{};
    statistics.cbSize = sizeof(statistics);
    EXPECT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
    return statistics;
  }
  static SCH_CREDENTIALS Auth() {
    SCH_CREDENTIALS auth{};
    auth.dwVersion = SCH_CREDENTIALS_VERSION;
    return auth;
  }
};

TEST_F(AcquisitionTest, IsACallWithACallbackEachWay) {
  SCH_CREDENTIALS auth = Auth();
  CredHandle handle{};
  ASSERT_EQ(AcquireAndWait(SECPKG_CRED_OUTBOUND, &auth, &handle), SEC_E_OK);
  EXPECT_EQ(Statistics().cAccepted, 1U);
  EXPECT_EQ(Statistics().cCredentials, 1U);
  FreeAndWait(handle);
  EXPECT_EQ(Statistics().cAccepted, 2U);
  EXPECT_EQ(Statistics().cCredentials, 0U);
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(Statistics().cCallbacks, 2U);
  EXPECT_EQ(Statistics().cAsyncContexts, 0U);
}

TEST_F(AcquisitionTest, AFailureHasItsWords) {
  SCH_CREDENTIALS auth = Auth();
  CredHandle handle{};
  EXPECT_EQ(AcquireAndWait(SECPKG_CRED_BOTH, &auth, &handle), SEC_E_NO_CREDENTIALS);
  EXPECT_STRNE(KtlsimLastErrorText(), "");
}

TEST_F(AcquisitionTest, FreesAlsoWhenTheLibraryHasStopped) {
  SCH_CREDENTIALS auth = Auth();
  CredHandle handle{};
  ASSERT_EQ(AcquireAndWait(SECPKG_CRED_OUTBOUND, &auth, &handle), SEC_E_OK);
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  FreeAndWait(handle);
  EXPECT_EQ(Statistics().cCredentials, 0U);
}

// As `ktlsim run` and the others have them.
TEST_F(AcquisitionTest, TheCommandsCredentialsAreOfThisKind) {
  std::string error;
  const std::optional<Certificate> certificate =
      CreateSelfSigned("localhost", KTLSIM_KEY_ECDSA_P256, &error);
  ASSERT_TRUE(certificate) << error;
  {
    const std::optional<Credential> server = MakeServerCredential(*certificate, {}, &error);
    const std::optional<Credential> client = MakeClientCredential({}, &error);
    ASSERT_TRUE(server && client) << error;
    EXPECT_EQ(Statistics().cAccepted, 2U);
  }
  EXPECT_EQ(Statistics().cAccepted, 4U);
  EXPECT_EQ(Statistics().cCredentials, 0U);
}

}  // namespace
}  // namespace ktlsim::command
