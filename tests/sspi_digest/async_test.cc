// Digest through the asynchronous functions: the same outcomes, by callbacks.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

class DigestAsyncTest : public PlacementTest {
 protected:
  // AcceptSecurityContext.
  SECURITY_STATUS Accept(const std::string& token, const CtxtHandle* context, CtxtHandle* made,
                         std::string* challenge) {
    AsyncCall call(notify_mode());
    ServerInput input(token, {});
    std::array<char, 4096> room;
    SecBuffer out = {room.size(), SECBUFFER_TOKEN, room.data()};
    SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
    CtxtHandle given{};
    if (context != nullptr) given = *context;
    ULONG attributes = 0;
    EXPECT_EQ(SspiAcceptSecurityContextAsync(call.get(), server_.credential(),
                                             context != nullptr ? &given : nullptr, input.get(),
                                             ASC_REQ_HTTP, 0, made, &output, &attributes, nullptr),
              SEC_E_OK);
    const SECURITY_STATUS status = call.Finish();
    if (status == SEC_I_CONTINUE_NEEDED) challenge->assign(room.data(), out.cbBuffer);
    return status;
  }

  DigestServer server_;
};

TEST_P(DigestAsyncTest, WholeExchange) {
  Identity identity("Mufasa", "Circle of Life");
  AsyncCall call(notify_mode());
  char package[] = "WDigest";
  CredHandle credential;
  ASSERT_EQ(SspiAcquireCredentialsHandleAsyncA(call.get(), nullptr, package, SECPKG_CRED_OUTBOUND,
                                               nullptr, identity.get(), nullptr, nullptr,
                                               &credential, nullptr),
            SEC_E_OK);
  ASSERT_EQ(call.Finish(), SEC_E_OK);

  CtxtHandle partial;
  std::string token;
  ASSERT_EQ(Accept("", nullptr, &partial, &token), SEC_I_CONTINUE_NEEDED);
  std::string method = "GET";
  std::string uri = "/dir/index.html";
  SecBuffer in[2] = {{static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()},
                     {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()}};
  SecBufferDesc input = {SECBUFFER_VERSION, 2, in};
  std::array<char, 4096> room;
  SecBuffer out = {room.size(), SECBUFFER_TOKEN, room.data()};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle client;
  ULONG attributes = 0;
  ASSERT_EQ(SspiInitializeSecurityContextAsyncA(call.get(), &credential, nullptr, uri.data(),
                                                ISC_REQ_USE_HTTP_STYLE, 0, 0, &input, 0, &client,
                                                &output, &attributes, nullptr),
            SEC_E_OK);
  ASSERT_EQ(call.Finish(), SEC_E_OK);
  CtxtHandle found;
  ASSERT_EQ(Accept({room.data(), out.cbBuffer}, nullptr, &found, &token), SEC_E_OK);
  EXPECT_TRUE(SameHandle(found, partial));

  std::string header;
  ASSERT_EQ(DigestClient::SignWith(client, &header, {}), SEC_E_OK);
  ASSERT_EQ(Accept(header, nullptr, &found, &token), SEC_I_COMPLETE_NEEDED);
  EXPECT_TRUE(SameHandle(found, partial));
  ServerInput request(header, {});
  ASSERT_EQ(SspiCompleteAuthTokenAsync(call.get(), &found, request.get()), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  ASSERT_EQ(Accept(header, &partial, &found, &token), kLogonFailure);

  ASSERT_EQ(SspiDeleteSecurityContextAsync(call.get(), &found), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  EXPECT_EQ(DeleteSecurityContext(&partial), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(DeleteSecurityContext(&client), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
}

INSTANTIATE_TEST_SUITE_P(AllPlacements, DigestAsyncTest, AllPlacements(), PlacementName);

// More challenges than are kept: the oldest go, and whoever is honest gets in.
TEST(DigestFloodTest, HonestClientGetsInDuringAFloodOfChallenges) {
  const DigestWorld world;
  DigestServer server;
  const Accepted first = server.Challenge();
  DigestClient client;
  Established context(server, client);
  sspi::DigestPackage& package = DigestWorld::package();
  // As many as 65,536 calls for a challenge make, which would take long.
  std::vector<digest::Opaque> flood;
  for (ULONG_PTR i = 0; i < sspi::DigestIndex::kPartialMax; ++i) {
    flood.push_back(*digest::Opaque::Draw());
    sspi::DigestIndex::Ended ended;
    const std::uint64_t now_ns = package.package_host().clock().NowNs();
    ASSERT_TRUE(package.index().Add(flood.back(), "flood", {.handle = {1, i}}, now_ns,
                                    now_ns + 300 * kNsPerSecond, &ended));
    package.End(ended);
  }
  EXPECT_EQ(package.index().partial(), sspi::DigestIndex::kPartialMax);
  // An established context is not pushed out.
  EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
  // Whose challenge has made room gets in with it all the same, once.
  EXPECT_EQ(DigestServer::Delete(first.context), SEC_E_INVALID_HANDLE);
  DigestClient late;
  const std::string header = late.Respond(first.token);
  const Accepted again = server.Accept(header);
  ASSERT_EQ(again.status, SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(server.Serve(late.Sign()), SEC_E_OK);
  EXPECT_EQ(server.Serve(header), SEC_E_OUT_OF_SEQUENCE);
  DigestServer::Delete(again.context);
  for (ULONG_PTR i = 0; i < flood.size(); ++i) package.index().Remove(flood[i], {1, i});
}

}  // namespace
}  // namespace ktlsim::test
