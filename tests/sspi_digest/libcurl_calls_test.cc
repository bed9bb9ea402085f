// The call order of a well-known HTTP client that uses this interface on Windows, played with our
// own code: before each request the package's token size, then either a response to a challenge or
// a signature with the context that it has.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

// One transfer's state of such a client.
class CurlLikeClient {
 public:
  explicit CurlLikeClient(bool explicit_realm) : explicit_realm_(explicit_realm) {}
  CurlLikeClient(const CurlLikeClient&) = delete;
  CurlLikeClient& operator=(const CurlLikeClient&) = delete;
  ~CurlLikeClient() {
    if (context_.has_value()) {
      EXPECT_EQ(DeleteSecurityContext(&*context_), SEC_E_OK);
    }
  }

  void Challenged(const std::string& challenge) {
    const bool stale = challenge.find("stale=true") != std::string::npos;
    if (stale && context_.has_value()) {
      EXPECT_EQ(DeleteSecurityContext(&*context_), SEC_E_OK);
      context_.reset();
    }
    challenge_ = challenge;
  }

  // The Authorization value, or "".
  std::string Request(std::string method, std::string uri) {
    char package[] = "WDigest";
    PSecPkgInfoA info = nullptr;
    EXPECT_EQ(table_->QuerySecurityPackageInfoA(package, &info), SEC_E_OK);
    const ULONG token_max = info->cbMaxToken;
    EXPECT_EQ(table_->FreeContextBuffer(info), SEC_E_OK);
    std::vector<char> room(token_max);
    if (context_.has_value()) {
      std::string header = Signed(method, uri, room);
      if (!header.empty()) return header;
      EXPECT_EQ(DeleteSecurityContext(&*context_), SEC_E_OK);
      context_.reset();
    }
    return FirstOf(method, uri, room);
  }

 private:
  std::string Signed(std::string& method, std::string& uri, std::vector<char>& room) {
    SecBuffer buffers[5] = {
        {0, SECBUFFER_TOKEN, nullptr},
        {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()},
        {static_cast<ULONG>(uri.size()), SECBUFFER_PKG_PARAMS, uri.data()},
        {0, SECBUFFER_PKG_PARAMS, nullptr},
        {static_cast<ULONG>(room.size()), SECBUFFER_PADDING, room.data()}};
    SecBufferDesc message = {SECBUFFER_VERSION, 5, buffers};
    if (table_->MakeSignature(&*context_, 0, &message, 0) != SEC_E_OK) return {};
    return {room.data(), buffers[4].cbBuffer};
  }

  std::string FirstOf(std::string& method, std::string& uri, std::vector<char>& room) {
    std::string user = "Mufasa";
    std::string password = "Circle of Life";
    std::string domain = explicit_realm_ ? std::string(kRealm) : "";
    SEC_WINNT_AUTH_IDENTITY_EXA identity{};
    identity.Version = SEC_WINNT_AUTH_IDENTITY_VERSION;
    identity.Length = sizeof(identity);
    identity.User = reinterpret_cast<unsigned char*>(user.data());
    identity.UserLength = static_cast<ULONG>(user.size());
    identity.Domain = reinterpret_cast<unsigned char*>(domain.data());
    identity.DomainLength = static_cast<ULONG>(domain.size());
    identity.Password = reinterpret_cast<unsigned char*>(password.data());
    identity.PasswordLength = static_cast<ULONG>(password.size());
    identity.Flags = SEC_WINNT_AUTH_IDENTITY_ANSI;
    char package[] = "WDigest";
    CredHandle credential;
    EXPECT_EQ(table_->AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_OUTBOUND, nullptr,
                                                &identity, nullptr, nullptr, &credential, nullptr),
              SEC_E_OK);
    SecBuffer in[3] = {{static_cast<ULONG>(challenge_.size()), SECBUFFER_TOKEN, challenge_.data()},
                       {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()},
                       {0, SECBUFFER_PKG_PARAMS, nullptr}};
    SecBufferDesc input = {SECBUFFER_VERSION, 3, in};
    SecBuffer out = {static_cast<ULONG>(room.size()), SECBUFFER_TOKEN, room.data()};
    SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
    CtxtHandle context;
    std::memset(&context, 0, sizeof(context));
    unsigned long attributes = 0;  // as wide as the caller's
    const SECURITY_STATUS status = table_->InitializeSecurityContextA(
        &credential, nullptr, uri.data(), ISC_REQ_USE_HTTP_STYLE, 0, 0, &input, 0, &context,
        &output, &attributes, nullptr);
    // It would complete the token with the credential's handle, and ignore the result.
    EXPECT_EQ(status, SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_EQ(table_->CompleteAuthToken(&credential, &output), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(table_->FreeCredentialsHandle(&credential), SEC_E_OK);
    if (status != SEC_E_OK) return {};
    context_ = context;
    return {room.data(), out.cbBuffer};
  }

  const PSecurityFunctionTableA table_ = InitSecurityInterfaceA();
  const bool explicit_realm_;
  std::string challenge_;
  std::optional<CtxtHandle> context_;
};

TEST(LibcurlCallsTest, FirstResponseThenSignatures) {
  for (const bool explicit_realm : {false, true}) {
    DigestServer server;
    CurlLikeClient client(explicit_realm);
    const Accepted challenge = server.Challenge();
    client.Challenged(challenge.token);
    EXPECT_EQ(server.Serve(client.Request("GET", "/"), {.uri = "/"}), SEC_E_OK);
    EXPECT_EQ(server.Serve(client.Request("PUT", "/a?b=c"), {.method = "PUT", .uri = "/a?b=c"}),
              SEC_E_OK);
    DigestServer::Delete(challenge.context);
  }
}

TEST(LibcurlCallsTest, StaleChallengeBeginsANewContext) {
  DigestServer server;
  CurlLikeClient client(true);
  const Accepted challenge = server.Challenge();
  client.Challenged(challenge.token);
  const Request request = {.uri = "/"};
  EXPECT_EQ(server.Serve(client.Request("GET", "/"), request), SEC_E_OK);
  // The server forgets it.
  DigestServer::Delete(challenge.context);
  const Accepted again = server.Accept(client.Request("GET", "/"), request);
  ASSERT_EQ(again.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_TRUE(ReadChallenge(again.token).stale);
  client.Challenged(again.token);
  EXPECT_EQ(server.Serve(client.Request("GET", "/"), request), SEC_E_OK);
  EXPECT_EQ(server.Serve(client.Request("GET", "/"), request), SEC_E_OK);
  DigestServer::Delete(again.context);
}

}  // namespace
}  // namespace ktlsim::test
