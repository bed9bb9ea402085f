// Headers that are made to do harm: none crashes, none is accepted, none changes a context.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

class DigestHostileTest : public testing::Test {
 protected:
  DigestServer server_;
  DigestClient client_;
  Established context_{server_, client_};
};

TEST_F(DigestHostileTest, MalformedHeadersAreInvalid) {
  const std::string good = client_.Sign();
  const std::vector<std::string> headers = {
      "x",
      ",",
      "=",
      "\"",
      "username",
      "username=",
      "Basic TXVmYXNh",
      std::string(1, '\0') + good,
      good + std::string(1, '\0') + "x",
      good + "\r\nX: y",
      good + ", nc=00000009",
      good + ", NC=00000009",
      good + ", response=\"0\"",
      With(good, "nc=00000002", "nc=2"),
      With(good, "nc=00000002", "nc=0000000g"),
      With(good, "qop=auth,", "qop=auth-conf,"),
      With(good, "qop=auth,", ""),
      With(good, "algorithm=MD5", "algorithm=MD6"),
      With(good, "username=\"Mufasa\"", "username=\"Mufasa"),
      With(good, "username=\"Mufasa\"", "username=\"Mufasa\", username*=UTF-8''Mufasa"),
      With(good, "username=\"Mufasa\"", "username*=ISO-8859-1''Mufasa"),
      With(good, "username=\"Mufasa\"", "username*=UTF-8''%zz"),
      With(good, "username=\"Mufasa\"", "username*=UTF-8''%c3%28"),
      With(good, "username=\"Mufasa\"", "username*=UTF-8''Mufasa, userhash=true"),
      With(good, "realm=", "reaIm="),
      std::string(64 * 1024 + 1, 'x'),
      good + "," + std::string(70'000, ' '),
  };
  for (const std::string& header : headers) {
    EXPECT_EQ(server_.Accept(header).status, SEC_E_INVALID_TOKEN) << header.substr(0, 400);
    EXPECT_EQ(DigestServer::Verify(context_.context, header), SEC_E_INVALID_TOKEN)
        << header.substr(0, 400);
  }
  EXPECT_EQ(server_.Serve(good), SEC_E_OK);
}

TEST_F(DigestHostileTest, UnusualFormsOfTheSameAreTaken) {
  EXPECT_EQ(server_.Serve("DIGEST  " + client_.Sign()), SEC_E_OK);
  EXPECT_EQ(server_.Serve(",, " + client_.Sign() + " ,"), SEC_E_OK);
  EXPECT_EQ(server_.Serve(client_.Sign() + ", unknown=\"a \\\" b, c=d\""), SEC_E_OK);
  EXPECT_EQ(server_.Serve(With(client_.Sign(), "qop=auth,", "qop=\"auth\",")), SEC_E_OK);
  EXPECT_EQ(server_.Serve(With(client_.Sign(), "username=\"Mufasa\"", "USERNAME=\"\\M\\ufasa\"")),
            SEC_E_OK);
}

TEST_F(DigestHostileTest, LongAndStrangeNames) {
  for (const std::string& name :
       {std::string(60'000, 'a'), std::string("a\"b\\c"), std::string("a:b"), std::string("\xff"),
        std::string("'; DROP TABLE users; --")}) {
    HandMade client = HandMade::For(server_.Challenge().token);
    client.user = "placeholder";
    std::string header = client.Header();
    std::string quoted;
    for (const char c : name) {
      if (c == '"' || c == '\\') quoted.push_back('\\');
      quoted.push_back(c);
    }
    EXPECT_EQ(server_.Accept(With(header, "placeholder", quoted)).status, SEC_E_LOGON_DENIED);
  }
}

TEST_F(DigestHostileTest, BuffersThatClaimBytesAndHaveNone) {
  ServerInput input("", {});
  input.get()->pBuffers[0].cbBuffer = 10;
  EXPECT_EQ(server_.Accept(input).status, SEC_E_INVALID_TOKEN);
  ServerInput method(client_.Sign(), {});
  method.get()->pBuffers[1] = {10, SECBUFFER_PKG_PARAMS, nullptr};
  EXPECT_EQ(server_.Accept(method).status, SEC_E_INVALID_TOKEN);
  EXPECT_EQ(server_.Accept(client_.Sign(), {.method = "G T"}).status, SEC_E_INVALID_TOKEN);
  EXPECT_EQ(server_.Accept(client_.Sign(), {.method = ""}).status, SEC_E_INVALID_TOKEN);
  EXPECT_EQ(server_.Accept(client_.Sign(), {.entity_hash = "12"}).status, SEC_E_INVALID_TOKEN);
}

TEST_F(DigestHostileTest, SignatureNeedsItsBuffers) {
  std::string header;
  EXPECT_EQ(client_.Sign(&header, {.method = ""}), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client_.Sign(&header, {.uri = ""}), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(client_.Sign(&header, {.entity_hash = "xyz"}), SEC_E_INVALID_TOKEN);
  SecBufferDesc none = {SECBUFFER_VERSION, 0, nullptr};
  EXPECT_EQ(MakeSignature(client_.context(), 0, &none, 0), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(MakeSignature(client_.context(), 1, &none, 0), SEC_E_QOP_NOT_SUPPORTED);
  // The other way round they are about the server's proof.
  EXPECT_EQ(MakeSignature(&context_.context, 0, &none, 0), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(MakeSignature(&context_.context, 1, &none, 0), SEC_E_QOP_NOT_SUPPORTED);
  EXPECT_EQ(DigestServer::Verify(*client_.context(), "x"), SEC_E_INVALID_TOKEN);
  EXPECT_EQ(ReadResponse(client_.Sign()).nonce_count, 2U);
}

TEST_F(DigestHostileTest, EveryPrefixAndEveryFlippedByte) {
  const std::string good = client_.Sign();
  for (std::size_t i = 1; i < good.size(); ++i) {
    EXPECT_NE(server_.Serve(good.substr(0, i)), SEC_E_OK) << i;
  }
  const std::size_t opaque = good.find("opaque=");
  const std::size_t algorithm = good.find("algorithm");
  for (std::size_t i = 0; i < opaque; ++i) {
    // Without that directive it is MD5, too.
    if (i + 1 >= algorithm && i < algorithm + 9) continue;
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    EXPECT_NE(server_.Serve(flipped), SEC_E_OK) << flipped;
  }
  EXPECT_EQ(server_.Serve(good), SEC_E_OK);
}

}  // namespace
}  // namespace ktlsim::test
