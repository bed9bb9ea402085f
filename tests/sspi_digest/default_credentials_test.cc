// A server acts as a client whom it has logged on, and goes on to another server as that client:
// with the password that the logon session keeps, which the caller never sees.
#include <atomic>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/accounts/account_service.h"
#include "kernel_sim/accounts/password_hash.h"
#include "kernel_sim/base/thread_identity.h"
#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

using accounts::LogonFault;
using accounts::LogonType;

constexpr std::string_view kPassword = "Circle of Life";  // of DigestServer's user Mufasa

class DefaultCredentialsTest : public testing::Test {
 protected:
  DefaultCredentialsTest() : service_(Surroundings(), {}) {
    accounts::PasswordHash hash;
    const std::array<std::uint8_t, 16> salt = {1};
    EXPECT_TRUE(accounts::PasswordHash::Make(
        accounts::SecretText(kPassword), {.memory_kib = 8, .passes = 1, .lanes = 1}, salt, &hash));
    std::string error;
    service_.store().Use(accounts::Directory::Parse(
        "[[account]]\nname = 'Mufasa'\npassword = '" + hash.Text() + "'\n", "d.toml", &error));
    EXPECT_EQ(error, "");
  }

  // Null: nobody was logged on.
  security::Token::Ref LogOn(LogonType type, const security::Token* caller = nullptr) {
    security::Token::Ref token;
    const LogonFault fault = service_.LogOn(
        {.user = "Mufasa", .domain = "", .password = kPassword, .type = type}, caller, &token);
    EXPECT_EQ(fault, LogonFault::kNone) << ToText(fault);
    return token;
  }

  static SECURITY_STATUS RespondAs(DigestClient& client) {
    DigestServer server;
    const Accepted challenge = server.Challenge();
    std::string header;
    SECURITY_STATUS status = client.Respond(challenge.token, &header);
    if (status == SEC_E_OK) status = server.Accept(header, {}, &challenge.context).status;
    DigestServer::Delete(challenge.context);
    return status;
  }

  accounts::AccountService service_;

 private:
  accounts::ServiceSurroundings Surroundings() {
    accounts::ServiceSurroundings surroundings;
    surroundings.clock = &clock_;
    surroundings.wall_seconds = [] { return std::int64_t{1'800'000'000}; };
    surroundings.new_luid = [this] { return security::Luid{next_.fetch_add(1), 0}; };
    return surroundings;
  }

  MonotonicClock clock_;
  std::atomic<std::uint32_t> next_{1000};
};

TEST_F(DefaultCredentialsTest, AServerGoesOnAsItsClient) {
  for (const LogonType type : {LogonType::kInteractive, LogonType::kBatch, LogonType::kService,
                               LogonType::kNetworkCleartext}) {
    const security::Token::Ref token = LogOn(type);
    ASSERT_NE(token, nullptr);
    const ThreadIdentity::Scope acting(token);
    DigestClient client((DigestClient::Default()));
    EXPECT_EQ(RespondAs(client), SEC_E_OK) << KtlsimLastErrorText();
  }
}

TEST_F(DefaultCredentialsTest, TheIdentityIsThatOfTheAcquisition) {
  const security::Token::Ref token = LogOn(LogonType::kInteractive);
  std::unique_ptr<DigestClient> client;
  {
    const ThreadIdentity::Scope acting(token);
    client = std::make_unique<DigestClient>(DigestClient::Default());
  }
  EXPECT_EQ(RespondAs(*client), SEC_E_OK) << KtlsimLastErrorText();
  SecPkgCredentials_NamesA names{};
  ASSERT_EQ(QueryCredentialsAttributesA(client->credential(), SECPKG_CRED_ATTR_NAMES, &names),
            SEC_E_OK);
  EXPECT_STREQ(names.sUserName, "Mufasa");
  FreeContextBuffer(names.sUserName);
  DigestClient nobodys((DigestClient::Default()));
  EXPECT_EQ(RespondAs(nobodys), SEC_E_NO_CREDENTIALS);
}

TEST_F(DefaultCredentialsTest, ANetworkLogOnLeadsNoFurther) {
  const ThreadIdentity::Scope acting(LogOn(LogonType::kNetwork));
  DigestClient client((DigestClient::Default()));
  EXPECT_EQ(RespondAs(client), SEC_E_NO_CREDENTIALS);
}

TEST_F(DefaultCredentialsTest, WhoIsOnlyIdentifiedIsNotGoneOnAs) {
  const security::Token::Ref token = LogOn(LogonType::kInteractive);
  for (const auto level :
       {security::ImpersonationLevel::kAnonymous, security::ImpersonationLevel::kIdentification,
        security::ImpersonationLevel::kImpersonation}) {
    security::Token::Ref copy;
    ASSERT_EQ(token->Duplicate(security::TokenType::kImpersonation, level, {1, 1}, &copy),
              security::Fault::kNone);
    const ThreadIdentity::Scope acting(copy);
    DigestClient client((DigestClient::Default()));
    EXPECT_EQ(RespondAs(client), level == security::ImpersonationLevel::kImpersonation
                                     ? SEC_E_OK
                                     : SEC_E_NO_CREDENTIALS);
  }
}

TEST_F(DefaultCredentialsTest, ThePasswordGoesWithTheLastToken) {
  security::Token::Ref token = LogOn(LogonType::kInteractive);
  std::unique_ptr<DigestClient> client;
  {
    const ThreadIdentity::Scope acting(token);
    client = std::make_unique<DigestClient>(DigestClient::Default());
  }
  EXPECT_EQ(service_.sessions().statistics().with_credentials, 1U);
  token.reset();
  EXPECT_EQ(service_.sessions().statistics().live, 0U);
  EXPECT_EQ(RespondAs(*client), SEC_E_NO_CREDENTIALS);
}

TEST_F(DefaultCredentialsTest, NewCredentialsAreForTheNetworkAlone) {
  security::TokenContents contents;
  contents.user = security::Sid(5, {21, 9, 9, 9, 1});
  security::Token::Ref caller;
  ASSERT_EQ(security::Token::Create(contents, &caller), security::Fault::kNone);
  const security::Token::Ref token = LogOn(LogonType::kNewCredentials, caller.get());
  ASSERT_NE(token, nullptr);
  EXPECT_EQ(token->state()->user(), contents.user.view());
  const ThreadIdentity::Scope acting(token);
  DigestClient client((DigestClient::Default()));
  EXPECT_EQ(RespondAs(client), SEC_E_OK) << KtlsimLastErrorText();
}

}  // namespace
}  // namespace ktlsim::test
