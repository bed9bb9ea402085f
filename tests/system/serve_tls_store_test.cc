// A context store over TLS: two servers share a Redis that speaks nothing else, and a server that
// cannot trust it says so and goes on alone.

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/system/authority.h"
#include "tests/system/https_client.h"
#include "tests/system/serve_nodes.h"

namespace ktlsim::system_tests {
namespace {

constexpr const char* kPage = "/page";

class ServeTlsStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!context_store::IsInstalled("redis-server"))
      GTEST_SKIP() << "redis-server is not installed";
    const Authority::Files files = authority_.Issue("localhost");
    redis_.emplace(context_store::RedisServer::WithTls(), files.certificate, files.key);
    url_ = "rediss://localhost:" + std::to_string(redis_->port());
  }
  int Ask(const ServeProcess& node, const std::string& header) {
    https_.Close();
    const HttpsClient::Response response = https_.Get(node.port(), kPage, header);
    challenge_ = response.challenge;
    return response.status;
  }

  Authority authority_{"the authority of the store"};
  ServeNodes nodes_;
  std::optional<context_store::RedisServer> redis_;
  std::string url_;
  HttpsClient https_;
  std::string challenge_;
};

TEST_F(ServeTlsStoreTest, ServersAcceptEachOthersContexts) {
  std::vector<std::unique_ptr<ServeProcess>> nodes;
  for (std::size_t i = 0; i < 2; ++i) {
    nodes.push_back(nodes_.Start(
        url_, {"--context-store-ca", authority_.certificate(), "--context-store-wait", "30s"}));
    ASSERT_TRUE(nodes[i]->WaitForOutput("the context store is there")) << nodes[i]->output();
  }
  test::DigestClient client(ServeNodes::kUser, ServeNodes::kPassword);
  EXPECT_EQ(Ask(*nodes[0], ""), 401);
  std::string first;
  ASSERT_EQ(client.Respond(challenge_, &first, {.uri = kPage}), SEC_E_OK);
  EXPECT_EQ(Ask(*nodes[1], first), 200) << "the challenge of another server";
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(Ask(*nodes[i % 2], client.Sign({.uri = kPage})), 200) << i;
  }
  EXPECT_EQ(Ask(*nodes[0], first), 401) << "replayed";
  for (const auto& node : nodes) node->StopCleanly();
}

TEST_F(ServeTlsStoreTest, AStoreThatComesBackIsUsedAgain) {
  const std::unique_ptr<ServeProcess> node =
      nodes_.Start(url_, {"--context-store-ca", authority_.certificate()});
  ASSERT_TRUE(node->WaitForNext("the context store is there")) << node->output();
  redis_->Kill();
  ASSERT_TRUE(node->WaitForNext("the context store is gone")) << node->output();
  redis_->Start();
  ASSERT_TRUE(node->WaitForNext("the context store is there")) << node->output();
  node->StopCleanly();
}

TEST_F(ServeTlsStoreTest, AStoreOfAnotherAuthorityIsNotUsed) {
  Authority other("somebody else");
  const std::unique_ptr<ServeProcess> node =
      nodes_.Start(url_, {"--context-store-ca", other.certificate()});
  ASSERT_TRUE(node->WaitForOutput("the context store is gone")) << node->output();
  EXPECT_NE(node->output().find("UNTRUSTED_ROOT"), std::string::npos) << node->output();
  EXPECT_EQ(Ask(*node, ""), 401);
  test::DigestClient client(ServeNodes::kUser, ServeNodes::kPassword);
  std::string header;
  ASSERT_EQ(client.Respond(challenge_, &header, {.uri = kPage}), SEC_E_OK);
  EXPECT_EQ(Ask(*node, header), 200) << "counted by this server alone";
  node->StopCleanly();
}

// The name in the URL is the name in the certificate.
TEST_F(ServeTlsStoreTest, AStoreOfAnotherNameIsNotUsed) {
  const std::unique_ptr<ServeProcess> node =
      nodes_.Start("rediss://127.0.0.1:" + std::to_string(redis_->port()),
                   {"--context-store-ca", authority_.certificate()});
  ASSERT_TRUE(node->WaitForOutput("the context store is gone")) << node->output();
  EXPECT_NE(node->output().find("WRONG_PRINCIPAL"), std::string::npos) << node->output();
  node->StopCleanly();
}

TEST_F(ServeTlsStoreTest, ACaWithoutTlsIsRefused) {
  const Finished refused =
      RunProgram({test::CommandPath(), "serve", "--listen", "127.0.0.1:0", "--self-signed",
                  "localhost", "--echo", "--context-store", "redis://127.0.0.1",
                  "--context-store-ca", authority_.certificate()});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.output.find("rediss://"), std::string::npos) << refused.output;
}

}  // namespace
}  // namespace ktlsim::system_tests
