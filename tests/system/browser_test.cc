// A browser against `ktlsim serve --root`: Chromium loads a page and everything in it, over as many
// connections as it chooses.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

constexpr int kResources = 100;

// Images, scripts, style sheets and documents, from a few bytes to a hundred kilobytes. Each one
// counts itself when it has arrived, and the title has the count.
void WriteSite(const std::string& folder) {
  std::filesystem::create_directories(folder);
  const auto write = [&folder](const std::string& name, const std::string& text) {
    std::ofstream(folder + "/" + name) << text;
  };
  std::string page = "<!doctype html><title>nothing</title><script>let loaded = 0;</script>\n";
  for (int i = 0; i < kResources; ++i) {
    const std::string filler = Pattern(static_cast<std::size_t>(i) * 1000);
    switch (i % 4) {
      case 0:
        page += fmt::format("<img src={}.svg onload='loaded++'>\n", i);
        write(fmt::format("{}.svg", i),
              "<svg xmlns='http://www.w3.org/2000/svg' width='9' "
              "height='9'><!-- " +
                  filler + " --></svg>");
        break;
      case 1:
        page += fmt::format("<script src={}.js></script>\n", i);
        write(fmt::format("{}.js", i), "/* " + filler + " */ loaded++;");
        break;
      case 2:
        page += fmt::format("<link rel=stylesheet href={}.css onload='loaded++'>\n", i);
        write(fmt::format("{}.css", i), "/* " + filler + " */ p { color: blue; }");
        break;
      default:
        page += fmt::format("<iframe src={}.html onload='loaded++'></iframe>\n", i);
        write(fmt::format("{}.html", i), "<!doctype html><p>" + filler);
    }
  }
  page += "<script>onload = () => { document.title = loaded + ' loaded'; };</script>\n";
  write("index.html", page);
}

class BrowserTest : public testing::TestWithParam<const char*> {};

TEST_P(BrowserTest, LoadsAPageOfAHundredResources) {
  if (access("/usr/bin/chromium", X_OK) != 0) GTEST_SKIP() << "chromium is not installed";
  const TemporaryFolder folder;
  WriteSite(folder.File("www"));
  ServeProcess server(
      {"--self-signed", "localhost", "--root", folder.File("www"), "--tls", GetParam()});
  ASSERT_TRUE(server.running()) << server.output();
  // Chromium's sandbox and its use of /dev/shm need what a container does not give.
  const Finished browser = RunProgram(
      {"env", "HOME=" + folder.File(""), "chromium", "--headless", "--no-sandbox", "--disable-gpu",
       "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir=" + folder.File("profile"),
       "--ignore-certificate-errors", "--dump-dom", server.url()},
      "", std::chrono::seconds(60));
  EXPECT_EQ(browser.code, 0) << browser.output;
  EXPECT_NE(browser.output.find(fmt::format("<title>{} loaded</title>", kResources)),
            std::string::npos)
      << browser.output;
  const nlohmann::json statistics = server.StopCleanly();
  // A request is at least one record; Chromium leaves its connections without close_notify.
  EXPECT_GE(statistics["records_opened"], 1 + kResources);
  EXPECT_GT(statistics["established"], 1);
  EXPECT_EQ(statistics["ends"]["handshake_failed"], 0);
  EXPECT_EQ(statistics["ends"]["record_failed"], 0);
}

INSTANTIATE_TEST_SUITE_P(Versions, BrowserTest, testing::Values("1.2", "1.3"));

}  // namespace
}  // namespace ktlsim::system_tests
