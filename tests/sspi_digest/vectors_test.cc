// The examples of RFC 7616 3.9.1 through the public functions: the response of our client, with the
// client's nonce of the document, to the document's challenge.

#include <sspi.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/sspi_digest/digest_world.h"

namespace ktlsim::test {
namespace {

constexpr std::string_view kCnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

std::vector<std::byte> FromBase64(std::string_view text) {
  std::vector<std::byte> bytes(text.size() / 4 * 3);
  EXPECT_EQ(EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                            reinterpret_cast<const unsigned char*>(text.data()),
                            static_cast<int>(text.size())),
            static_cast<int>(bytes.size()));
  return bytes;
}

std::string ResponseTo(const std::string& algorithm) {
  DigestWorld world;
  world.FixRandom(FromBase64(kCnonce));
  DigestClient client;
  const std::string header = client.Respond(
      R"(realm="http-auth@example.org", qop="auth, auth-int", algorithm=)" + algorithm +
      R"(, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",)"
      R"( opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")");
  EXPECT_EQ(ReadResponse(header).cnonce, kCnonce);
  EXPECT_EQ(ReadResponse(header).opaque, "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
  return std::string(digest::HexText(ReadResponse(header).response).view());
}

TEST(DigestVectorsTest, Rfc7616Md5) {
  EXPECT_EQ(ResponseTo("MD5"), "8ca523f5e9506fed4657c9700eebdbec");
}

TEST(DigestVectorsTest, Rfc7616Sha256) {
  EXPECT_EQ(ResponseTo("SHA-256"),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
}

}  // namespace
}  // namespace ktlsim::test
