// A caller in kernel mode: Digest has synchronous functions only, as on Windows. The asynchronous
// ones refuse it when they are called, so that no callback follows.

#include "kernel_sim/sspi/kernel_mode.h"

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

// A counted string.
class CountedText {
 public:
  explicit CountedText(std::string_view ascii) : text_(ascii.begin(), ascii.end()) {
    name_.Buffer = reinterpret_cast<PWSTR>(text_.data());
    name_.Length = static_cast<USHORT>(2 * text_.size());
    name_.MaximumLength = name_.Length;
  }
  CountedText(const CountedText&) = delete;
  CountedText& operator=(const CountedText&) = delete;
  PSECURITY_STRING get() { return &name_; }

 private:
  std::u16string text_;
  SECURITY_STRING name_{};
};

// The buffers of a client's leg.
struct ClientLeg {
  explicit ClientLeg(std::string the_challenge) : challenge(std::move(the_challenge)) {}

  std::string challenge;
  std::string method = "GET";
  std::array<char, 4096> room{};
  SecBuffer in[3] = {{static_cast<ULONG>(challenge.size()), SECBUFFER_TOKEN, challenge.data()},
                     {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()},
                     {0, SECBUFFER_PKG_PARAMS, nullptr}};
  SecBufferDesc input = {SECBUFFER_VERSION, 3, in};
  SecBuffer out = {static_cast<ULONG>(room.size()), SECBUFFER_TOKEN, room.data()};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  ULONG attributes = 0;
};

class DigestKernelModeTest : public testing::Test {
 protected:
  static ULONGLONG contexts() { return Statistics().cSecurityContexts; }

  DigestServer server_;
  CountedText package_{"WDigest"};
  CountedText target_{"/dir/index.html"};
  AsyncCall call_;
};

TEST_F(DigestKernelModeTest, AsynchronousFunctionsRefuseItWhenTheyAreCalled) {
  CredHandle acquired{};
  Identity identity("Mufasa", "Circle of Life");
  for (const ULONG use : {ULONG{SECPKG_CRED_INBOUND}, ULONG{SECPKG_CRED_OUTBOUND}}) {
    EXPECT_EQ(Ktlsim_k_SspiAcquireCredentialsHandleAsyncW(
                  call_.get(), nullptr, package_.get(), use, nullptr,
                  use == SECPKG_CRED_OUTBOUND ? identity.get() : nullptr, nullptr, nullptr,
                  &acquired, nullptr),
              SEC_E_UNSUPPORTED_FUNCTION);
  }
  const ULONGLONG before = contexts();
  ServerInput input("", {});
  std::array<char, 4096> room;
  SecBuffer out = {room.size(), SECBUFFER_TOKEN, room.data()};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context{};
  ULONG attributes = 0;
  EXPECT_EQ(Ktlsim_k_SspiAcceptSecurityContextAsync(call_.get(), server_.credential(), nullptr,
                                                    input.get(), ASC_REQ_HTTP, 0, &context, &output,
                                                    &attributes, nullptr),
            SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(contexts(), before);
  // Nor does it go on with a context that user mode has begun.
  Accepted begun = server_.Challenge();
  EXPECT_EQ(Ktlsim_k_SspiAcceptSecurityContextAsync(call_.get(), nullptr, &begun.context,
                                                    input.get(), ASC_REQ_HTTP, 0, &context, &output,
                                                    &attributes, nullptr),
            SEC_E_UNSUPPORTED_FUNCTION);
  DigestClient client;
  ClientLeg leg(begun.token);
  EXPECT_EQ(Ktlsim_k_SspiInitializeSecurityContextAsyncW(
                call_.get(), client.credential(), nullptr, target_.get(), ISC_REQ_HTTP, 0, 0,
                &leg.input, 0, &context, &leg.output, &leg.attributes, nullptr),
            SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(call_.callbacks(), 0);
  // A delete that was refused would leave the context behind.
  ASSERT_EQ(SspiDeleteSecurityContextAsync(call_.get(), &begun.context), SEC_E_OK);
  EXPECT_EQ(call_.Finish(), SEC_E_OK);
  EXPECT_EQ(contexts(), before);
}

TEST_F(DigestKernelModeTest, SynchronousFunctionsAuthenticateAndSign) {
  std::u16string user = u"Mufasa";
  std::u16string password = u"Circle of Life";
  SEC_WINNT_AUTH_IDENTITY_W identity{};
  identity.User = reinterpret_cast<unsigned short*>(user.data());
  identity.UserLength = static_cast<ULONG>(user.size());
  identity.Password = reinterpret_cast<unsigned short*>(password.data());
  identity.PasswordLength = static_cast<ULONG>(password.size());
  identity.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
  CredHandle credential{};
  ASSERT_EQ(
      Ktlsim_k_AcquireCredentialsHandleW(nullptr, package_.get(), SECPKG_CRED_OUTBOUND, nullptr,
                                         &identity, nullptr, nullptr, &credential, nullptr),
      SEC_E_OK)
      << KtlsimLastErrorText();
  const Accepted challenge = server_.Challenge();
  ClientLeg leg(challenge.token);
  CtxtHandle context{};
  ASSERT_EQ(Ktlsim_k_InitializeSecurityContextW(&credential, nullptr, target_.get(), ISC_REQ_HTTP,
                                                0, 0, &leg.input, 0, &context, &leg.output,
                                                &leg.attributes, nullptr),
            SEC_E_OK)
      << KtlsimLastErrorText();
  EXPECT_EQ(server_.Accept({leg.room.data(), leg.out.cbBuffer}, {}, &challenge.context).status,
            SEC_E_OK);
  std::string header;
  ASSERT_EQ(DigestClient::SignWith(context, &header, {}), SEC_E_OK);
  EXPECT_EQ(server_.Serve(header), SEC_E_OK);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

}  // namespace
}  // namespace ktlsim::test
