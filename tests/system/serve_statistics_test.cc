// The statistics of `ktlsim serve` as JSON: while it runs (SIGUSR1) and at its end.

#include <signal.h>

#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

nlohmann::json Read(const std::string& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file, nullptr, false);
}

TEST(ServeStatisticsTest, EveryListenerIsThereAndNothingIsSaidThatIsNotKnown) {
  const TemporaryFolder folder;
  std::ofstream(folder.File("config")) << "json = \"" << folder.File("now.json") << "\"\n"
                                       << "time-every-call = true\n"
                                       << "self-signed = \"localhost\"\n"
                                       << "[[listener]]\nlisten = \"127.0.0.1:0\"\necho = true\n"
                                       << "[[listener]]\nlisten = \"127.0.0.1:0\"\ntls = \"1.2\"\n"
                                       << "key-type = \"rsa\"\nrespond-bytes = 10\n";
  ChildProcess server({test::CommandPath(), "serve", "--config", folder.File("config")});
  ASSERT_TRUE(server.WaitForOutput("listening on")) << server.output();
  // The file is written before the table.
  server.Signal(SIGUSR1);
  ASSERT_TRUE(server.WaitForNext("connections now")) << server.output();
  const nlohmann::json running = Read(folder.File("now.json"));
  EXPECT_EQ(CheckResult("serve", running), "");
  EXPECT_EQ(running["schema"], "ktlsim-serve/1");
  EXPECT_TRUE(running["rundown"].is_null());
  EXPECT_TRUE(running["rundown_clean"].is_null());
  EXPECT_EQ(running["calls"]["timed_one_in"], 1);
  EXPECT_FALSE(running.contains("address"));
  ASSERT_EQ(running["listeners"].size(), 2U);
  const nlohmann::json& echo = running["listeners"][0];
  const nlohmann::json& respond = running["listeners"][1];
  EXPECT_NE(echo["address"], respond["address"]);
  EXPECT_EQ(echo["certificate"]["kind"], "EC");
  EXPECT_EQ(echo["tls_versions"], "1.2-1.3");
  EXPECT_EQ(respond["certificate"]["kind"], "RSA");
  EXPECT_EQ(respond["certificate"]["bits"], 2048);
  EXPECT_TRUE(respond["certificate"]["curve"].is_null());
  EXPECT_EQ(respond["tls_versions"], "1.2");

  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0) << server.output();
  const nlohmann::json ended = Read(folder.File("now.json"));
  EXPECT_EQ(CheckResult("serve", ended), "");
  EXPECT_TRUE(ended["rundown_clean"].get<bool>());
  EXPECT_EQ(ended["listeners"].size(), 2U);
  EXPECT_EQ(ended["listeners"][0]["certificate"], echo["certificate"]);
  EXPECT_GE(ended["duration_s"], running["duration_s"]);
  EXPECT_EQ(ended["started"], running["started"]);
}

}  // namespace
}  // namespace ktlsim::system_tests
