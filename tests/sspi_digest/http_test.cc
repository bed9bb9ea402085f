// The documented flow of HTTP Digest: challenge, first response, and signed requests.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/digest/hash.h"
#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

TEST(DigestHttpTest, ClientThatHasAuthenticatedSignsTheRestOnOneContext) {
  DigestServer server;
  DigestClient client;
  const Accepted challenge = server.Challenge();
  const std::string first = client.Respond(challenge.token);
  EXPECT_EQ(ReadResponse(first).nonce_count, 1U);
  const Accepted accepted = server.Accept(first, {}, &challenge.context);
  ASSERT_EQ(accepted.status, SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_TRUE(SameHandle(accepted.context, challenge.context));
  for (unsigned count = 2; count <= 5; ++count) {
    const Request request = {.uri = "/" + std::to_string(count)};
    const std::string header = client.Sign(request);
    EXPECT_EQ(ReadResponse(header).nonce_count, count);
    // Over another connection: no handle is passed.
    const Accepted again = server.Accept(header, request);
    ASSERT_EQ(again.status, SEC_I_COMPLETE_NEEDED) << KtlsimLastErrorText();
    EXPECT_TRUE(SameHandle(again.context, challenge.context));
    EXPECT_EQ(DigestServer::Complete(again.context, header, request), SEC_E_OK)
        << KtlsimLastErrorText();
  }
  EXPECT_EQ(DigestServer::Delete(challenge.context), SEC_E_OK);
}

TEST(DigestHttpTest, ChallengeSaysWhatItMust) {
  DigestServer server;
  const Accepted accepted = server.Challenge();
  EXPECT_LT(accepted.token.size(), 2048U);
  EXPECT_TRUE(accepted.second.empty());
  EXPECT_FALSE(accepted.token.starts_with("Digest"));
  const digest::Challenge challenge = ReadChallenge(accepted.token);
  EXPECT_EQ(challenge.realm, kRealm);
  EXPECT_EQ(challenge.algorithm, digest::Algorithm::kMd5);
  EXPECT_EQ(challenge.qops, digest::QopSet{digest::Qop::kAuth});
  EXPECT_TRUE(challenge.utf8);
  EXPECT_FALSE(challenge.stale);
  EXPECT_EQ(challenge.opaque.size(), 32U);
  EXPECT_EQ(challenge.nonce.size(), 92U);
  DigestServer::Delete(accepted.context);
}

TEST(DigestHttpTest, EachChallengeHasItsOwnNonceAndOpaque) {
  DigestServer server;
  const Accepted first = server.Challenge();
  const Accepted second = server.Challenge();
  EXPECT_NE(ReadChallenge(first.token).nonce, ReadChallenge(second.token).nonce);
  EXPECT_NE(ReadChallenge(first.token).opaque, ReadChallenge(second.token).opaque);
  DigestServer::Delete(first.context);
  DigestServer::Delete(second.context);
}

TEST(DigestHttpTest, RealmOfTheCallGoesBeforeThatOfTheSettings) {
  DigestServer server(UserLine("Mufasa", "Circle of Life", digest::HashId::kMd5, "other"));
  ServerInput empty("", {}, "other");
  const Accepted challenge = server.Accept(empty);
  ASSERT_EQ(challenge.status, SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(ReadChallenge(challenge.token).realm, "other");
  DigestClient client;
  ServerInput response(client.Respond(challenge.token), {}, "other");
  EXPECT_EQ(server.Accept(response, &challenge.context).status, SEC_E_OK);
  // The context is that realm's.
  const std::string header = client.Sign();
  EXPECT_EQ(server.Accept(header).status, SEC_E_LOGON_DENIED);
  ServerInput again(header, {}, "other");
  EXPECT_EQ(server.Accept(again).status, SEC_I_COMPLETE_NEEDED);
  DigestServer::Delete(challenge.context);
}

TEST(DigestHttpTest, RealmMustBeAsciiInUtf16) {
  DigestServer server;
  ServerInput input("", {}, "caf\xc3\xa9");
  EXPECT_EQ(server.Accept(input).status, SEC_E_INVALID_TOKEN);
}

TEST(DigestHttpTest, WrongPasswordAndUnknownUserAreDenied) {
  DigestServer server;
  const Accepted challenge = server.Challenge();
  DigestClient wrong("Mufasa", "circle of life");
  EXPECT_EQ(server.Accept(wrong.Respond(challenge.token), {}, &challenge.context).status,
            SEC_E_LOGON_DENIED);
  DigestClient unknown("Scar", "Circle of Life");
  EXPECT_EQ(server.Accept(unknown.Respond(challenge.token), {}, &challenge.context).status,
            SEC_E_LOGON_DENIED);
  // What was denied has changed nothing.
  DigestClient right;
  EXPECT_EQ(server.Accept(right.Respond(challenge.token), {}, &challenge.context).status, SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST(DigestHttpTest, ServerWithoutAccountsVerifiesNobody) {
  DigestHandle credential(SECPKG_CRED_INBOUND, nullptr);
  DigestServer other;
  std::array<char, 4096> room;
  SecBuffer out = {room.size(), SECBUFFER_TOKEN, room.data()};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  ULONG attributes = 0;
  ASSERT_EQ(AcceptSecurityContext(credential.get(), nullptr, nullptr, ASC_REQ_HTTP, 0, &context,
                                  &output, &attributes, nullptr),
            SEC_I_CONTINUE_NEEDED);
  DigestClient client;
  ServerInput input(client.Respond({room.data(), out.cbBuffer}), {});
  out.cbBuffer = room.size();
  EXPECT_EQ(AcceptSecurityContext(credential.get(), &context, input.get(), ASC_REQ_HTTP, 0,
                                  &context, &output, &attributes, nullptr),
            SEC_E_NO_AUTHENTICATING_AUTHORITY);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
}

TEST(DigestHttpTest, SchemesNameInFrontIsPassedOver) {
  DigestServer server;
  DigestClient client;
  const Accepted challenge = server.Challenge();
  const std::string header = client.Respond("Digest " + challenge.token);
  EXPECT_FALSE(header.starts_with("Digest"));
  EXPECT_EQ(server.Accept("Digest " + header, {}, &challenge.context).status, SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST(DigestHttpTest, IntegrityCoversTheBody) {
  DigestServer server;
  DigestClient client;
  const Request request = {
      .method = "POST", .uri = "/form", .entity_hash = Hash(digest::HashId::kMd5, "body")};
  const Accepted challenge = server.Challenge(ASC_REQ_HTTP | ASC_REQ_INTEGRITY);
  EXPECT_EQ(ReadChallenge(challenge.token).qops, digest::QopSet{digest::Qop::kAuthInt});
  std::string header;
  ASSERT_EQ(
      client.Respond(challenge.token, &header, request, ISC_REQ_USE_HTTP_STYLE | ISC_REQ_INTEGRITY),
      SEC_E_OK);
  EXPECT_NE(client.attributes() & ISC_RET_INTEGRITY, 0U);
  Request altered = request;
  altered.entity_hash = Hash(digest::HashId::kMd5, "other body");
  const ULONG flags = ASC_REQ_HTTP | ASC_REQ_INTEGRITY;
  EXPECT_EQ(server.Accept(header, altered, &challenge.context, flags).status, SEC_E_LOGON_DENIED);
  const Accepted accepted = server.Accept(header, request, &challenge.context, flags);
  ASSERT_EQ(accepted.status, SEC_E_OK);
  EXPECT_NE(accepted.attributes & ASC_RET_INTEGRITY, 0U);
  header = client.Sign(request);
  ASSERT_EQ(server.Accept(header, altered, nullptr, flags).status, SEC_I_COMPLETE_NEEDED);
  EXPECT_EQ(DigestServer::Complete(challenge.context, header, altered), SEC_E_MESSAGE_ALTERED);
  ASSERT_EQ(server.Accept(header, request, nullptr, flags).status, SEC_I_COMPLETE_NEEDED);
  EXPECT_EQ(DigestServer::Complete(challenge.context, header, request), SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST(DigestHttpTest, ClientThatWantsIntegrityIsToldWhenThereIsNone) {
  DigestServer server;
  DigestClient client;
  const Accepted challenge = server.Challenge();
  std::string header;
  ASSERT_EQ(
      client.Respond(challenge.token, &header, {}, ISC_REQ_USE_HTTP_STYLE | ISC_REQ_INTEGRITY),
      SEC_E_OK);
  EXPECT_EQ(client.attributes() & ISC_RET_INTEGRITY, 0U);
  DigestServer::Delete(challenge.context);
}

TEST(DigestHttpTest, PackageHasTheRowOfTheContract) {
  ULONG count = 0;
  PSecPkgInfoA all = nullptr;
  ASSERT_EQ(EnumerateSecurityPackagesA(&count, &all), SEC_E_OK);
  ASSERT_EQ(count, 3U);
  EXPECT_STREQ(all[2].Name, "WDigest");
  EXPECT_EQ(FreeContextBuffer(all), SEC_E_OK);
  char name[] = "wdigest";
  PSecPkgInfoA info = nullptr;
  ASSERT_EQ(QuerySecurityPackageInfoA(name, &info), SEC_E_OK);
  EXPECT_STREQ(info->Comment, "Digest Authentication for Windows");
  EXPECT_EQ(info->fCapabilities, 0x00800304U);
  EXPECT_EQ(info->wRPCID, 21);
  EXPECT_EQ(info->cbMaxToken, 4096U);
  EXPECT_EQ(FreeContextBuffer(info), SEC_E_OK);
}

TEST(DigestHttpTest, SecondTokenHasTheChallengeWithMd5) {
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.fFlags = KTLSIM_DIGEST_SHA256;
  DigestServer server(UserLine("Mufasa", "Circle of Life") +
                          UserLine("Mufasa", "Circle of Life", digest::HashId::kSha256),
                      settings);
  for (const bool md5 : {false, true}) {
    DigestClient client;
    const Accepted both = server.Challenge();
    EXPECT_EQ(ReadChallenge(both.token).algorithm, digest::Algorithm::kSha256);
    EXPECT_EQ(ReadChallenge(both.second).algorithm, digest::Algorithm::kMd5);
    EXPECT_EQ(ReadChallenge(both.token).nonce, ReadChallenge(both.second).nonce);
    EXPECT_EQ(ReadChallenge(both.token).opaque, ReadChallenge(both.second).opaque);
    const std::string header = client.Respond(md5 ? both.second : both.token);
    EXPECT_EQ(server.Accept(header, {}, &both.context).status, SEC_E_OK);
    EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
    DigestServer::Delete(both.context);
  }
}

TEST(DigestHttpTest, AlgorithmThatWasNotOfferedIsInvalid) {
  DigestServer server(UserLine("Mufasa", "Circle of Life", digest::HashId::kSha256));
  const Accepted challenge = server.Challenge();
  HandMade client = HandMade::For(challenge.token);
  client.algorithm = digest::Algorithm::kSha256;
  EXPECT_EQ(server.Accept(client.Header(), {}, &challenge.context).status, SEC_E_INVALID_TOKEN);
  DigestServer::Delete(challenge.context);
}

TEST(DigestHttpTest, HashedNamesAreFoundWhenTheyAreOffered) {
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.fFlags = KTLSIM_DIGEST_SHA256 | KTLSIM_DIGEST_USERHASH;
  DigestServer server(UserLine("J\xc3\xa4s\xc3\xb8n Doe", "secret", digest::HashId::kSha256),
                      settings);
  const Accepted challenge = server.Challenge();
  EXPECT_TRUE(ReadChallenge(challenge.token).userhash);
  EXPECT_FALSE(ReadChallenge(challenge.second).userhash);
  DigestClient client("J\xc3\xa4s\xc3\xb8n Doe", "secret");
  const std::string header = client.Respond(challenge.token);
  EXPECT_NE(header.find("userhash=true"), std::string::npos);
  EXPECT_EQ(server.Accept(header, {}, &challenge.context).status, SEC_E_OK);
  DigestServer::Delete(challenge.context);

  // Not offered: like an unknown user.
  DigestServer other(UserLine("Mufasa", "Circle of Life"));
  const Accepted plain = other.Challenge();
  std::string forged = HandMade::For(plain.token).Header();
  forged = With(forged, "username=\"Mufasa\"",
                "username=\"" + Hash(digest::HashId::kMd5, "Mufasa:" + std::string(kRealm)) +
                    "\", userhash=true");
  EXPECT_EQ(other.Accept(forged, {}, &plain.context).status, SEC_E_LOGON_DENIED);
  DigestServer::Delete(plain.context);
}

TEST(DigestHttpTest, NameThatIsNotAsciiTravelsInItsExtendedForm) {
  DigestServer server(UserLine("J\xc3\xa4s\xc3\xb8n Doe", "p\xc3\xa4ss"));
  DigestClient client("J\xc3\xa4s\xc3\xb8n Doe", "p\xc3\xa4ss");
  Established context(server, client);
  EXPECT_NE(context.first.find("username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"), std::string::npos)
      << context.first;
  EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
}

TEST(DigestHttpTest, SessionAlgorithmsKeepTheKeyOfTheFirstResponse) {
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.fFlags = KTLSIM_DIGEST_MD5_SESSION;
  DigestServer server(UserLine("Mufasa", "Circle of Life"), settings);
  DigestClient client;
  Established context(server, client);
  EXPECT_NE(context.first.find("algorithm=MD5-sess"), std::string::npos);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
}

TEST(DigestHttpTest, UsersAreReadAgainWhenTheAttributeIsSetAgain) {
  DigestServer server;
  server.folder().Write("users", UserLine("Simba", "Hakuna Matata"));
  ASSERT_EQ(server.Set(server.settings()), SEC_E_OK);
  const Accepted challenge = server.Challenge();
  DigestClient old_user;
  EXPECT_EQ(server.Accept(old_user.Respond(challenge.token), {}, &challenge.context).status,
            SEC_E_LOGON_DENIED);
  DigestClient new_user("Simba", "Hakuna Matata");
  EXPECT_EQ(server.Accept(new_user.Respond(challenge.token), {}, &challenge.context).status,
            SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

}  // namespace
}  // namespace ktlsim::test
