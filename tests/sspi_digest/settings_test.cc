// Flags, settings, identities, and users that somebody else has.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/support/sspi_async.h"

namespace ktlsim::test {
namespace {

TEST(DigestSettingsTest, ValuesOutOfTheirRangeAreRefusedAndChangeNothing) {
  DigestServer server;
  const auto expect_refused = [&](auto change) {
    KtlsimCred_DigestServer settings = server.settings();
    change(settings);
    EXPECT_EQ(server.Set(settings), SEC_E_INVALID_PARAMETER);
  };
  expect_refused([](auto& settings) { settings.cbSize = 1; });
  expect_refused([](auto& settings) { settings.fFlags = 0x100; });
  expect_refused([](auto& settings) { settings.cNonceWindow = 65; });
  expect_refused([](auto& settings) { settings.cUnansweredSeconds = 0; });
  expect_refused([](auto& settings) { settings.cEstablishedSeconds = 0; });
  expect_refused([](auto& settings) { settings.cIdleSeconds = 0; });
  expect_refused([](auto& settings) { settings.cContextStoreWaitMs = 0; });
  expect_refused([](auto& settings) { settings.cContextStoreWaitMs = 30001; });
  expect_refused([](auto& settings) { settings.fFlags = KTLSIM_DIGEST_USERHASH; });
  DigestClient client;
  Established context(server, client);
}

TEST(DigestSettingsTest, FileThatIsNoFileOfUsersIsRefusedWithItsLine) {
  DigestServer server;
  server.folder().Write("users", UserLine("Mufasa", "x") + "nonsense\n");
  EXPECT_EQ(server.Set(server.settings()), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_NE(std::string(KtlsimLastErrorText()).find("line 2"), std::string::npos)
      << KtlsimLastErrorText();
  KtlsimCred_DigestServer settings = server.settings();
  const std::string missing = server.folder().File("missing");
  settings.pszUsersFile = missing.c_str();
  EXPECT_EQ(server.Set(settings), SEC_E_UNKNOWN_CREDENTIALS);
  // The users are those of before.
  DigestClient client;
  Established context(server, client);
}

TEST(DigestSettingsTest, AttributesAreAServersOnly) {
  DigestClient client;
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  EXPECT_EQ(SetCredentialsAttributesA(client.credential(), KTLSIM_ATTR_DIGEST_SERVER, &settings,
                                      sizeof(settings)),
            SEC_E_INVALID_PARAMETER);
  KtlsimCred_DigestVerifier verifier{};
  EXPECT_EQ(SetCredentialsAttributesW(client.credential(), KTLSIM_ATTR_DIGEST_VERIFIER, &verifier,
                                      sizeof(verifier)),
            SEC_E_INVALID_PARAMETER);
}

TEST(DigestSettingsTest, FlagsThatCannotBeMetAreRefused) {
  DigestServer server;
  for (const ULONG flags : {ULONG{ASC_REQ_CONFIDENTIALITY}, ULONG{ASC_REQ_NO_TOKEN},
                            ULONG{ASC_REQ_DATAGRAM}, ULONG{ASC_REQ_PROXY_BINDINGS}}) {
    EXPECT_EQ(server.Accept("", {}, nullptr, ASC_REQ_HTTP | flags).status,
              SEC_E_SECURITY_QOS_FAILED)
        << std::hex << flags;
  }
  const std::string challenge = server.Challenge().token;
  DigestClient client;
  std::string header;
  EXPECT_EQ(
      client.Respond(challenge, &header, {}, ISC_REQ_USE_HTTP_STYLE | ISC_REQ_CONFIDENTIALITY),
      SEC_E_SECURITY_QOS_FAILED);
  for (const ULONG flag : {ULONG{ISC_REQ_DELEGATE}, ULONG{ISC_REQ_PROMPT_FOR_CREDS}}) {
    EXPECT_EQ(client.Respond(challenge, &header, {}, ISC_REQ_USE_HTTP_STYLE | flag),
              SEC_E_UNSUPPORTED_FUNCTION);
  }
  // Either bit asks for HTTP on this side.
  EXPECT_EQ(client.Respond(challenge, &header, {}, ISC_REQ_HTTP), SEC_E_OK);
}

TEST(DigestSettingsTest, DefaultCredentialsHaveNoUser) {
  DigestServer server;
  DigestHandle credential(SECPKG_CRED_OUTBOUND, nullptr);
  std::string token = server.Challenge().token;
  std::string method = "GET";
  std::string uri = "/";
  SecBuffer in[2] = {{static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()},
                     {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()}};
  SecBufferDesc input = {SECBUFFER_VERSION, 2, in};
  char room[4096];
  SecBuffer out = {sizeof(room), SECBUFFER_TOKEN, room};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  ULONG attributes = 0;
  EXPECT_EQ(
      InitializeSecurityContextA(credential.get(), nullptr, uri.data(), ISC_REQ_USE_HTTP_STYLE, 0,
                                 0, &input, 0, &context, &output, &attributes, nullptr),
      SEC_E_NO_CREDENTIALS);
}

TEST(DigestSettingsTest, IdentityInUtf16) {
  DigestServer server(UserLine("J\xc3\xa4s\xc3\xb8n", "p\xc3\xa4ss"));
  std::u16string user = u"J\u00e4s\u00f8n";
  std::u16string password = u"p\u00e4ss";
  SEC_WINNT_AUTH_IDENTITY_W identity{};
  identity.User = reinterpret_cast<unsigned short*>(user.data());
  identity.UserLength = static_cast<ULONG>(user.size());
  identity.Password = reinterpret_cast<unsigned short*>(password.data());
  identity.PasswordLength = static_cast<ULONG>(password.size());
  identity.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
  WCHAR package[] = u"WDigest";
  CredHandle credential;
  ASSERT_EQ(AcquireCredentialsHandleW(nullptr, package, SECPKG_CRED_OUTBOUND, nullptr, &identity,
                                      nullptr, nullptr, &credential, nullptr),
            SEC_E_OK);
  const Accepted challenge = server.Challenge();
  std::string token = challenge.token;
  std::string method = "GET";
  std::u16string uri = u"/dir/index.html";
  SecBuffer in[2] = {{static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()},
                     {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()}};
  SecBufferDesc input = {SECBUFFER_VERSION, 2, in};
  char room[4096];
  SecBuffer out = {sizeof(room), SECBUFFER_TOKEN, room};
  SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  ULONG attributes = 0;
  ASSERT_EQ(InitializeSecurityContextW(&credential, nullptr, uri.data(), ISC_REQ_USE_HTTP_STYLE, 0,
                                       0, &input, 0, &context, &output, &attributes, nullptr),
            SEC_E_OK);
  EXPECT_EQ(server.Accept({room, out.cbBuffer}, {}, &challenge.context).status, SEC_E_OK);
  SecPkgContext_NamesW wide{};
  ASSERT_EQ(QueryContextAttributesW(&context, SECPKG_ATTR_NAMES, &wide), SEC_E_OK);
  EXPECT_EQ(std::u16string(wide.sUserName), user);
  EXPECT_EQ(FreeContextBuffer(wide.sUserName), SEC_E_OK);
  SecPkgContext_NamesA narrow{};
  CtxtHandle server_context = challenge.context;
  ASSERT_EQ(QueryContextAttributesA(&server_context, SECPKG_ATTR_NAMES, &narrow), SEC_E_OK);
  EXPECT_STREQ(narrow.sUserName, "J\xc3\xa4s\xc3\xb8n");
  EXPECT_EQ(FreeContextBuffer(narrow.sUserName), SEC_E_OK);
  EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST(DigestSettingsTest, NameThatIso8859CannotExpressNeedsUtf8) {
  std::u16string user = u"\u0416";
  SEC_WINNT_AUTH_IDENTITY_W identity{};
  identity.User = reinterpret_cast<unsigned short*>(user.data());
  identity.UserLength = 1;
  identity.Flags = SEC_WINNT_AUTH_IDENTITY_UNICODE;
  DigestHandle credential(SECPKG_CRED_OUTBOUND, &identity);
  std::string method = "GET";
  std::string uri = "/";
  for (const bool utf8 : {false, true}) {
    std::string token = R"(realm="r", qop="auth", nonce="n")";
    if (utf8) token += ", charset=utf-8";
    SecBuffer in[2] = {{static_cast<ULONG>(token.size()), SECBUFFER_TOKEN, token.data()},
                       {static_cast<ULONG>(method.size()), SECBUFFER_PKG_PARAMS, method.data()}};
    SecBufferDesc input = {SECBUFFER_VERSION, 2, in};
    char room[4096];
    SecBuffer out = {sizeof(room), SECBUFFER_TOKEN, room};
    SecBufferDesc output = {SECBUFFER_VERSION, 1, &out};
    CtxtHandle context;
    ULONG attributes = 0;
    EXPECT_EQ(
        InitializeSecurityContextA(credential.get(), nullptr, uri.data(), ISC_REQ_USE_HTTP_STYLE, 0,
                                   0, &input, 0, &context, &output, &attributes, nullptr),
        utf8 ? SEC_E_OK : SEC_E_NO_CREDENTIALS);
    if (utf8) {
      EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
    }
  }
}

TEST(DigestSettingsTest, IdentityThatNamesNoWidthIsRefused) {
  for (const ULONG flags : {ULONG{0}, ULONG{3}, ULONG{5}}) {
    SEC_WINNT_AUTH_IDENTITY_A identity{};
    identity.Flags = flags;
    char name[] = "WDigest";
    CredHandle credential;
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_OUTBOUND, nullptr, &identity,
                                        nullptr, nullptr, &credential, nullptr),
              SEC_E_UNKNOWN_CREDENTIALS);
  }
}

TEST(DigestSettingsTest, ClientRefusesChallengesThatItCannotAnswer) {
  DigestClient client;
  std::string header;
  EXPECT_EQ(client.Respond(R"(realm="r", nonce="n")", &header), SEC_E_QOP_NOT_SUPPORTED);
  EXPECT_EQ(client.Respond(R"(realm="r", nonce="n", qop="auth", algorithm=MD6)", &header),
            SEC_E_QOP_NOT_SUPPORTED);
  EXPECT_EQ(client.Respond(R"(realm="r", qop="auth")", &header), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client.Respond("", &header), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client.Respond(R"(realm="r", nonce="n", qop="auth")", &header, {.uri = ""}),
            SEC_E_TARGET_UNKNOWN);
  EXPECT_EQ(client.Respond(R"(realm="r", nonce="n", qop="auth")", &header, {.method = "G T"}),
            SEC_E_INVALID_TOKEN);
}

TEST(DigestSettingsTest, ClientTellsAStaleChallengeFromARefusal) {
  DigestClient client;
  std::string header = client.Respond(R"(realm="r", nonce="n1", qop="auth", opaque="o")");
  EXPECT_EQ(ReadResponse(client.Sign()).nonce_count, 2U);
  EXPECT_EQ(client.Respond(R"(realm="r", nonce="n2", qop="auth", opaque="o")", &header),
            SEC_E_LOGON_DENIED);
  EXPECT_EQ(ReadResponse(client.Sign()).nonce_count, 3U);
  EXPECT_EQ(client.Respond(R"(realm="r", nonce="n2", qop="auth", opaque="o", stale=true)", &header),
            SEC_E_OK);
  EXPECT_EQ(ReadResponse(header).nonce, "n2");
  EXPECT_EQ(ReadResponse(header).nonce_count, 1U);
  EXPECT_EQ(ReadResponse(client.Sign()).nonce_count, 2U);
}

// ---- Users that somebody else has

struct Users {
  static void Ask(void* context, const KtlsimDigestQuestion* question, KtlsimDigestReply* reply) {
    auto& users = *static_cast<Users*>(context);
    users.asked.Add();
    users.last =
        std::string(question->pszUser) + "@" + question->pszRealm + "/" + question->pszHash;
    if (users.later) {
      users.waiting = reply;
      users.is_waiting.Set();
      return;
    }
    Reply(users, question->pszUser, reply);
  }
  static SECURITY_STATUS Reply(const Users& users, const std::string& user,
                               KtlsimDigestReply* reply) {
    if (user != "Mufasa") return KtlsimReplyToDigest(reply, SEC_E_LOGON_DENIED, nullptr, 0);
    digest::Hasher hasher(digest::HashId::kMd5);
    digest::HashValue hash;
    EXPECT_TRUE(digest::ComputeAccountHash(hasher, user, kRealm, "Circle of Life", &hash));
    return KtlsimReplyToDigest(reply, users.status, hash.bytes().data(),
                               static_cast<ULONG>(hash.bytes().size()));
  }

  SECURITY_STATUS status = SEC_E_OK;
  bool later = false;
  Count asked;
  std::string last;
  KtlsimDigestReply* waiting = nullptr;
  Event is_waiting;
};

class DigestVerifierTest : public testing::Test {
 protected:
  DigestVerifierTest() {
    KtlsimCred_DigestVerifier verifier = {&Users::Ask, &users_};
    EXPECT_EQ(SetCredentialsAttributesA(server_.credential(), KTLSIM_ATTR_DIGEST_VERIFIER,
                                        &verifier, sizeof(verifier)),
              SEC_E_OK);
  }

  Users users_;
  DigestServer server_{UserLine("Nobody", "x")};
};

TEST_F(DigestVerifierTest, IsAskedOnceForAContext) {
  DigestClient client;
  Established context(server_, client);
  EXPECT_EQ(users_.last, "Mufasa@" + std::string(kRealm) + "/MD5");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(server_.Serve(client.Sign()), SEC_E_OK);
  EXPECT_EQ(users_.asked.value(), 1);
}

TEST_F(DigestVerifierTest, UnknownUserAndWrongPasswordLookTheSame) {
  const Accepted challenge = server_.Challenge();
  DigestClient unknown("Scar", "x");
  DigestClient wrong("Mufasa", "x");
  EXPECT_EQ(server_.Accept(unknown.Respond(challenge.token)).status, SEC_E_LOGON_DENIED);
  EXPECT_EQ(server_.Accept(wrong.Respond(challenge.token)).status, SEC_E_LOGON_DENIED);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestVerifierTest, UsersThatAreNotToBeHadAreSoForEverybody) {
  users_.status = SEC_E_INTERNAL_ERROR;
  const Accepted challenge = server_.Challenge();
  DigestClient client;
  EXPECT_EQ(server_.Accept(client.Respond(challenge.token)).status,
            SEC_E_NO_AUTHENTICATING_AUTHORITY);
  users_.status = SEC_E_OK;
  DigestClient again;
  EXPECT_EQ(server_.Accept(again.Respond(challenge.token)).status, SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestVerifierTest, TakesItsTime) {
  users_.later = true;
  const Accepted challenge = server_.Challenge();
  DigestClient client;
  const std::string header = client.Respond(challenge.token);
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;
  std::thread caller([&] { status = server_.Accept(header).status; });
  users_.is_waiting.Wait();
  EXPECT_EQ(Users::Reply(users_, "Mufasa", users_.waiting), SEC_E_OK);
  caller.join();
  EXPECT_EQ(status, SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestVerifierTest, IsNotWaitedForWithoutEnd) {
  users_.later = true;
  KtlsimCred_DigestServer settings = server_.settings();
  settings.cContextStoreWaitMs = 1;
  ASSERT_EQ(server_.Set(settings), SEC_E_OK);
  const Accepted challenge = server_.Challenge();
  DigestClient client;
  EXPECT_EQ(server_.Accept(client.Respond(challenge.token)).status,
            SEC_E_NO_AUTHENTICATING_AUTHORITY);
  // Too late, and without effect.
  EXPECT_EQ(Users::Reply(users_, "Mufasa", users_.waiting), SEC_E_OK);
  DigestServer::Delete(challenge.context);
}

TEST_F(DigestVerifierTest, HashOfAnotherLengthIsNone) {
  EXPECT_EQ(KtlsimReplyToDigest(nullptr, SEC_E_OK, nullptr, 0), SEC_E_INVALID_PARAMETER);
  users_.later = true;
  const Accepted challenge = server_.Challenge();
  DigestClient client;
  const std::string header = client.Respond(challenge.token);
  SECURITY_STATUS status = SEC_E_OK;
  std::thread caller([&] { status = server_.Accept(header).status; });
  users_.is_waiting.Wait();
  const unsigned char hash[3] = {};
  EXPECT_EQ(KtlsimReplyToDigest(users_.waiting, SEC_E_OK, hash, sizeof(hash)),
            SEC_E_INVALID_PARAMETER);
  caller.join();
  EXPECT_EQ(status, SEC_E_NO_AUTHENTICATING_AUTHORITY);
  DigestServer::Delete(challenge.context);
}

}  // namespace
}  // namespace ktlsim::test
