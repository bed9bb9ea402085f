// A client is mapped while an allocation fails: the connection is as good as with memory, and
// impersonating the client tells that there was none.
#include "kernel_sim/sspi/client_identity.h"

#include <sspi.h>

#include <memory>
#include <new>

#include <gtest/gtest.h>

#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/sspi/packages/scripted_package.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/faults/fault_run.h"

namespace ktlsim::test {
namespace {

using security::MappingOutcome;

security::Token::Ref MakeMappedToken() {
  security::TokenContents contents;
  contents.user = security::Sid(5, {21, 1, 2, 3, 1001});
  contents.type = security::TokenType::kImpersonation;
  contents.token_id = authorization::NextLuid();
  security::Token::Ref token;
  EXPECT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  return token;
}

// Every client is the same one.
class OneTokenMapper final : public security::IdentityMapper {
 public:
  std::shared_ptr<security::IdentityMapping> Map(
      const security::ClientFacts& /*facts*/) noexcept override try {
    return std::make_shared<security::FinishedMapping>(MappingOutcome::kToken, token_);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  std::uint64_t generation() const noexcept override { return 1; }

 private:
  const security::Token::Ref token_ = MakeMappedToken();
};

TEST(ClientIdentityFaultsTest, AnOutcomeThatFindsNoPlaceIsNoMemory) {
  const sspi::MappedBy by{.mapper = 1, .generation = 1};
  const security::Token::Ref token = MakeMappedToken();
  PlayWithFaults("client identity", [&](FaultRun& run) {
    sspi::ClientIdentity client;
    run.Call([&] { client.Set(by, MappingOutcome::kToken, token); });
    security::Token::Ref got;
    const bool kept = run.Judge(SEC_E_OK, "token", client.GetToken(&got));
    EXPECT_EQ(got, kept ? token : nullptr);
    EXPECT_EQ(client.IsOf(by), kept) << "without a place it is asked again";
    client.Forget();
    EXPECT_EQ(client.GetToken(&got), SEC_E_NO_IMPERSONATION);
  });
}

TEST(ClientIdentityFaultsTest, ALegEndsAsItWouldHave) {
  auto& runtime = sspi::Runtime::Instance();
  runtime.RegisterPackage(sspi::ScriptedPackage::Instance());
  runtime.UseIdentityMapper(std::make_shared<OneTokenMapper>());
  sspi::Script script;
  script.repeats = true;
  script.legs.resize(1);
  script.client_user = "alice";
  char package[] = "ktlsim scripted";
  CredHandle credential{};
  ASSERT_EQ(AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, &script,
                                      nullptr, nullptr, &credential, nullptr),
            SEC_E_OK);
  PlayWithFaults("mapped leg", [&](FaultRun& run) {
    CtxtHandle context;
    SecInvalidateHandle(&context);
    const auto accept = [&] {
      const bool first = !SecIsValidHandle(&context);
      return AcceptSecurityContext(&credential, first ? nullptr : &context, nullptr, 0, 0, &context,
                                   nullptr, nullptr, nullptr);
    };
    if (run.Returns(SEC_E_OK, "accept", accept)) {
      const SECURITY_STATUS status = ImpersonateSecurityContext(&context);
      if (!run.Judge(SEC_E_OK, "impersonate", status)) {
        EXPECT_EQ(accept(), SEC_E_OK);
        EXPECT_EQ(ImpersonateSecurityContext(&context), SEC_E_OK) << "asked again";
      }
      EXPECT_EQ(RevertSecurityContext(&context), SEC_E_OK);
    }
    if (SecIsValidHandle(&context)) {
      EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
    }
  });
  EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  runtime.UseIdentityMapper(nullptr);
}

}  // namespace
}  // namespace ktlsim::test
