// ServeNodes: several `ktlsim serve --digest-realm` that share one Redis, as the machines of a
// service do, and their user.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/context_store/redis_server.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {

class ServeNodes {
 public:
  static constexpr const char* kRealm = "staff";
  static constexpr const char* kUser = "alice";
  static constexpr const char* kPassword = "wonder land";

  ServeNodes() {
    std::filesystem::create_directories(folder_.File("www"));
    Write("www/page", "page");
    Write("www/index.html", "home");
    Write("key", std::string(64, 'k'));
    const Finished added = RunProgram(
        {test::CommandPath(), "users", "add", folder_.File("users"), kUser, "--realm", kRealm},
        std::string(kPassword) + "\n");
    EXPECT_EQ(added.code, 0) << added.output;
  }
  ServeNodes(const ServeNodes&) = delete;
  ServeNodes& operator=(const ServeNodes&) = delete;

  // Empty `store`: the contexts are in each one's own memory.
  std::unique_ptr<ServeProcess> Start(const std::string& store,
                                      const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"--self-signed",     "localhost",          "--root",
                                          folder_.File("www"), "--digest-realm",     kRealm,
                                          "--digest-users",    folder_.File("users")};
    if (!store.empty()) {
      arguments.insert(arguments.end(),
                       {"--context-store", store, "--node-key", folder_.File("key")});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto node = std::make_unique<ServeProcess>(arguments);
    EXPECT_TRUE(node->running()) << node->output();
    return node;
  }
  // The same, and waits until it has the store.
  std::unique_ptr<ServeProcess> StartWithStore(const context_store::RedisServer& redis,
                                               const std::vector<std::string>& more = {}) {
    std::unique_ptr<ServeProcess> node = Start("unix://" + redis.socket(), more);
    EXPECT_TRUE(node->WaitForOutput("the context store is there")) << node->output();
    return node;
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.File(name), std::ios::binary) << text;
  }

 private:
  test::TemporaryFolder folder_;
};

}  // namespace ktlsim::system_tests
