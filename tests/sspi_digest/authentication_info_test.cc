// Authentication-Info (RFC 7616 3.5): the server's proof that it knows the password, too.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/response.h"
#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

std::string AllLines() {
  std::string users;
  for (const digest::HashId id :
       {digest::HashId::kMd5, digest::HashId::kSha256, digest::HashId::kSha512256}) {
    users += UserLine("Mufasa", "Circle of Life", id);
  }
  return users;
}

// Made with what only the two know, for a client whose request had `header`.
std::string MakeInfo(const std::string& header, const std::string& password,
                     const std::string& next_nonce = "") {
  const digest::Response sent = ReadResponse(header);
  digest::Hasher hasher(digest::HashOf(sent.algorithm));
  digest::HashValue account;
  digest::HashValue session;
  digest::AuthenticationInfo info;
  EXPECT_TRUE(digest::ComputeAccountHash(hasher, sent.username, sent.realm, password, &account));
  EXPECT_TRUE(digest::ComputeSessionHash(hasher, sent.algorithm, account, sent.nonce, sent.cnonce,
                                         &session));
  EXPECT_TRUE(digest::ComputeRspauth(hasher, session, sent.nonce_facts(),
                                     {.method = {}, .uri = sent.uri, .entity_hash = {}},
                                     &info.rspauth));
  info.cnonce = sent.cnonce;
  info.nc = sent.nc;
  info.qop = sent.qop;
  info.nextnonce = next_nonce;
  std::array<char, 1024> room;
  const digest::Written written = digest::FormatAuthenticationInfo(info, room);
  EXPECT_EQ(written.fault, digest::Fault::kNone);
  return {room.data(), written.bytes};
}

class AuthenticationInfoTest : public testing::Test {
 protected:
  // The server's proof for the last request.
  std::string Confirm(const std::string& header) {
    std::string info;
    EXPECT_EQ(DigestServer::Confirm(context_.context, header, &info), SEC_E_OK)
        << KtlsimLastErrorText();
    return info;
  }

  DigestServer server_;
  DigestClient client_;
  Established context_{server_, client_};
};

TEST_F(AuthenticationInfoTest, SaysWhichResponseItConfirms) {
  const std::string header = client_.Sign();
  ASSERT_EQ(server_.Serve(header), SEC_E_OK);
  const std::string text = Confirm(header);
  digest::AuthenticationInfo info;
  ASSERT_EQ(digest::ParseAuthenticationInfo(text, digest::Algorithm::kMd5, &info),
            digest::Fault::kNone);
  const digest::Response sent = ReadResponse(header);
  EXPECT_EQ(info.cnonce, sent.cnonce);
  EXPECT_EQ(info.nc, "00000002");
  EXPECT_EQ(info.qop, digest::Qop::kAuth);
  EXPECT_EQ(info.nextnonce, "");
  // As the RFC writes it: H(A2) is that of ":" and the URL.
  const std::string a1 =
      Hash(digest::HashId::kMd5, "Mufasa:" + std::string(kRealm) + ":Circle of Life");
  const std::string a2 = Hash(digest::HashId::kMd5, ":/dir/index.html");
  const std::string middle =
      ":" + std::string(sent.nonce) + ":00000002:" + std::string(sent.cnonce) + ":auth:";
  EXPECT_EQ(digest::HexText(info.rspauth).view(), Hash(digest::HashId::kMd5, a1 + middle + a2));
}

TEST_F(AuthenticationInfoTest, EveryRequestHasItsOwn) {
  EXPECT_EQ(client_.CheckServer(Confirm(context_.first), context_.first), SEC_E_OK)
      << KtlsimLastErrorText();
  std::vector<std::string> headers;
  std::vector<std::string> proofs;
  for (int i = 0; i < 3; ++i) {
    headers.push_back(client_.Sign());
    ASSERT_EQ(server_.Serve(headers.back()), SEC_E_OK);
    proofs.push_back(Confirm(headers.back()));
  }
  // In whichever order they come back.
  for (const std::size_t i : {2U, 0U, 1U}) {
    EXPECT_EQ(client_.CheckServer(proofs[i], headers[i]), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_EQ(client_.CheckServer(proofs[i], headers[(i + 1) % 3]), SEC_E_MESSAGE_ALTERED);
  }
}

TEST_F(AuthenticationInfoTest, WhatIsAlteredIsFound) {
  const std::string header = client_.Sign();
  ASSERT_EQ(server_.Serve(header), SEC_E_OK);
  const std::string info = Confirm(header);
  const std::size_t digit = info.find("rspauth=\"") + 9;
  std::string other = info;
  other[digit] = other[digit] == '0' ? '1' : '0';
  EXPECT_EQ(client_.CheckServer(other, header), SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_.CheckServer(With(info, "nc=00000002", "nc=00000003"), header),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_.CheckServer(With(info, "cnonce=\"", "cnonce=\"x"), header),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_.CheckServer(With(info, "qop=auth", "qop=auth-int"), header),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_.CheckServer(info, header, {.uri = "/other"}), SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_.CheckServer(info, With(header, "/dir/index.html", "/other"), {.uri = ""}),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_.CheckServer(info, header, {.uri = ""}), SEC_E_OK) << "the URL may be left out";
}

TEST_F(AuthenticationInfoTest, AServerWithoutThePasswordIsFound) {
  const std::string header = client_.Sign();
  EXPECT_EQ(client_.CheckServer(MakeInfo(header, "circle of life"), header), SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(client_.CheckServer(MakeInfo(header, "Circle of Life"), header), SEC_E_OK);
}

TEST_F(AuthenticationInfoTest, MalformedValues) {
  const std::string header = client_.Sign();
  const std::string info = MakeInfo(header, "Circle of Life");
  for (const std::string& bad :
       {std::string("x"), std::string("nextnonce=\"n\""), std::string("rspauth=\"\", qop=auth"),
        info + ", nc=00000002", With(info, "nc=0", "nc=x"), With(info, "qop=auth", "qop=auth-conf"),
        std::string(65536, 'a'), info + std::string(1, '\0') + "x"}) {
    EXPECT_EQ(client_.CheckServer(bad, header), SEC_E_INVALID_TOKEN) << bad.substr(0, 80);
  }
  EXPECT_EQ(client_.CheckServer("", header), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client_.CheckServer(info, ""), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client_.CheckServer(info, "nc=00000001"), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client_.CheckServer(info, header, {.entity_hash = "no hash"}), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client_.CheckServer(info, header), SEC_E_OK) << "nothing was changed by them";
}

TEST_F(AuthenticationInfoTest, AServerConfirmsWhatIsItsOwn) {
  std::string info = "as it was";
  const std::string header = client_.Sign();
  EXPECT_EQ(DigestServer::Confirm(context_.context, "", &info), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(DigestServer::Confirm(context_.context, "x", &info), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(DigestServer::Confirm(context_.context, header, &info, {.uri = "/other"}),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(DigestServer::Confirm(context_.context, With(header, "Mufasa", "Scar"), &info),
            SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(DigestServer::Confirm(context_.context, header, &info, {}, 20), SEC_E_BUFFER_TOO_SMALL);
  EXPECT_EQ(info, "as it was");
  // Nor does a context do so that is not established.
  const Accepted partial = server_.Challenge();
  EXPECT_NE(DigestServer::Confirm(partial.context, header, &info), SEC_E_OK);
  DigestServer::Delete(partial.context);
}

// ---- The nonce that the server wants to see next

TEST_F(AuthenticationInfoTest, TheNextNonceIsSignedWithFromTheFirstCountOn) {
  const std::string header = client_.Sign();
  const std::string nonce(ReadResponse(header).nonce);
  // What is not proved is not taken.
  EXPECT_EQ(client_.CheckServer(MakeInfo(header, "wrong", "fresh"), header), SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(ReadResponse(client_.Sign()).nonce, nonce);
  // The same one again is no new one.
  EXPECT_EQ(client_.CheckServer(MakeInfo(header, "Circle of Life", nonce), header), SEC_E_OK);
  EXPECT_EQ(ReadResponse(client_.Sign()).nonce_count, 4U);
  EXPECT_EQ(client_.CheckServer(MakeInfo(header, "Circle of Life", "fresh"), header), SEC_E_OK);
  for (unsigned count = 1; count <= 2; ++count) {
    const std::string next = client_.Sign();
    EXPECT_EQ(ReadResponse(next).nonce, "fresh");
    EXPECT_EQ(ReadResponse(next).nonce_count, count);
    EXPECT_EQ(ReadResponse(next).opaque, ReadResponse(header).opaque);
  }
}

// Their key is made of a challenge's nonce.
TEST(AuthenticationInfoSessionTest, SessionAlgorithmsKeepTheirNonce) {
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.fFlags = KTLSIM_DIGEST_MD5_SESSION;
  DigestServer server(UserLine("Mufasa", "Circle of Life"), settings);
  DigestClient client;
  Established context(server, client);
  EXPECT_EQ(client.CheckServer(MakeInfo(context.first, "Circle of Life", "fresh"), context.first),
            SEC_E_OK);
  EXPECT_EQ(server.Serve(client.Sign()), SEC_E_OK);
}

// ---- All algorithms, and bodies

class AuthenticationInfoAlgorithmTest : public testing::TestWithParam<ULONG> {};

TEST_P(AuthenticationInfoAlgorithmTest, BothKnowThePassword) {
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.fFlags = GetParam();
  DigestServer server(AllLines(), settings);
  constexpr ULONG kFlags = ASC_REQ_HTTP | ASC_REQ_INTEGRITY;
  for (const bool integrity : {false, true}) {
    DigestClient client;
    const Accepted challenge = server.Challenge(integrity ? kFlags : ASC_REQ_HTTP);
    std::string header;
    ASSERT_EQ(client.Respond(challenge.token, &header, {},
                             ISC_REQ_USE_HTTP_STYLE | (integrity ? ISC_REQ_INTEGRITY : 0)),
              SEC_E_OK);
    ASSERT_EQ(
        server.Accept(header, {}, &challenge.context, integrity ? kFlags : ASC_REQ_HTTP).status,
        SEC_E_OK);
    const digest::HashId id = digest::HashOf(ReadResponse(header).algorithm);
    const Request response = {.entity_hash = Hash(id, "body of the response")};
    const Request altered = {.entity_hash = Hash(id, "another body")};
    std::string info;
    ASSERT_EQ(DigestServer::Confirm(challenge.context, header, &info, response), SEC_E_OK)
        << KtlsimLastErrorText();
    EXPECT_EQ(client.CheckServer(info, header, response), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_EQ(client.CheckServer(info, header, altered),
              integrity ? SEC_E_MESSAGE_ALTERED : SEC_E_OK);
    DigestServer::Delete(challenge.context);
  }
}

INSTANTIATE_TEST_SUITE_P(Flags, AuthenticationInfoAlgorithmTest,
                         testing::Values(0, KTLSIM_DIGEST_MD5_SESSION, KTLSIM_DIGEST_SHA256,
                                         KTLSIM_DIGEST_SHA256 | KTLSIM_DIGEST_MD5_SESSION,
                                         KTLSIM_DIGEST_SHA512_256));

}  // namespace
}  // namespace ktlsim::test
