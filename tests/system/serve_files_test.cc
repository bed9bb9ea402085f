// curl against `ktlsim serve --root`.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

std::string ContentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

class ServeFilesTest : public testing::Test {
 protected:
  ServeFilesTest() {
    std::filesystem::create_directories(folder_.File("www/sub"));
    std::filesystem::create_directories(folder_.File("www/bare"));
    Write("www/index.html", "home");
    Write("www/sub/index.html", "sub home");
    Write("www/letters.txt", Pattern(1000));
    Write("www/large.bin", Pattern(20 << 20));
    Write("secret", "secret");
    std::filesystem::create_symlink("../secret", folder_.File("www/out"));
    server_ = std::make_unique<ServeProcess>(std::vector<std::string>{
        "--self-signed", "localhost", "--root", folder_.File("www"), "--drain-timeout", "20s"});
  }

  void SetUp() override { ASSERT_TRUE(server_->running()) << server_->output(); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.File(name), std::ios::binary) << text;
  }
  static std::vector<std::string> Arguments(std::vector<std::string> more) {
    std::vector<std::string> all = {"curl", "-sS", "-k", "--path-as-is", "--max-time", "30"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string Curl(const std::vector<std::string>& more) {
    return RunProgram(Arguments(more)).output;
  }
  // "200 home"
  std::string Get(const std::string& path, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"-w", " %{http_code}", server_->url(path)});
    const std::string told = Curl(more);
    const std::size_t blank = told.rfind(' ');
    return told.substr(blank + 1) + " " + told.substr(0, blank);
  }

  TemporaryFolder folder_;
  std::unique_ptr<ServeProcess> server_;
};

TEST_F(ServeFilesTest, AnswersWhatIsThereAndRefusesTheRest) {
  EXPECT_EQ(Get("/"), "200 home");
  EXPECT_EQ(Get("/sub/"), "200 sub home");
  EXPECT_EQ(Get("/letters.txt?query"), "200 " + Pattern(1000));
  EXPECT_EQ(Get("/letters.txt", {"--http1.0"}), "200 " + Pattern(1000));
  EXPECT_TRUE(Get("/sub").starts_with("301 "));
  EXPECT_EQ(Get("/sub", {"-L"}), "200 sub home");
  for (const char* path : {"/bare/", "/out"}) EXPECT_TRUE(Get(path).starts_with("403 ")) << path;
  for (const char* path : {"/nothing", "/letters.txt/", "/a%2fb"}) {
    EXPECT_TRUE(Get(path).starts_with("404 ")) << path;
  }
  for (const char* path : {"/../secret", "/%2e%2e/secret", "/sub/../../secret", "/a%00b"}) {
    EXPECT_TRUE(Get(path).starts_with("400 ")) << path;
  }
  EXPECT_TRUE(Get("/", {"-X", "DELETE"}).starts_with("405 "));
  const std::string head = Curl({"-I", server_->url("/letters.txt")});
  for (const char* field :
       {"HTTP/1.1 200 OK", "Content-Type: text/plain; charset=utf-8", "Content-Length: 1000",
        "ETag: \"", "Last-Modified: ", "Accept-Ranges: bytes"}) {
    EXPECT_NE(head.find(field), std::string::npos) << head;
  }
  server_->StopCleanly();
}

TEST_F(ServeFilesTest, RangesAndConditions) {
  EXPECT_EQ(Get("/letters.txt", {"-r", "0-25"}), "206 " + Pattern(26));
  EXPECT_EQ(Get("/letters.txt", {"-r", "-2"}), "206 " + Pattern(1000).substr(998));
  EXPECT_TRUE(Get("/letters.txt", {"-r", "1000-"}).starts_with("416 "));
  // curl resumes a download where it was broken off.
  Write("part", Pattern(7 << 20));
  Curl({"-C", "-", "-o", folder_.File("part"), server_->url("/large.bin")});
  EXPECT_EQ(ContentOf(folder_.File("part")), Pattern(20 << 20));
  Curl(
      {"--etag-save", folder_.File("etag"), "-o", folder_.File("x"), server_->url("/letters.txt")});
  EXPECT_EQ(Get("/letters.txt", {"--etag-compare", folder_.File("etag")}), "304 ");
  EXPECT_EQ(Get("/letters.txt", {"-z", folder_.File("www/letters.txt")}), "304 ");
  Write("www/letters.txt", "changed");
  EXPECT_EQ(Get("/letters.txt", {"--etag-compare", folder_.File("etag")}), "200 changed");
  server_->StopCleanly();
}

TEST_F(ServeFilesTest, ServesManyAtOnce) {
  std::vector<std::string> arguments = {"-Z"};
  for (int i = 0; i < 8; ++i) {
    arguments.insert(arguments.end(),
                     {"-o", folder_.File("copy" + std::to_string(i)), server_->url("/large.bin")});
  }
  Curl(arguments);
  const std::string expected = Pattern(20 << 20);
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(ContentOf(folder_.File("copy" + std::to_string(i))) == expected) << i;
  }
  server_->StopCleanly();
}

TEST_F(ServeFilesTest, ADrainFinishesWhatIsUnderWay) {
  ChildProcess curl(Arguments(
      {"-N", "--limit-rate", "20M", "-o", folder_.File("copy"), server_->url("/large.bin")}));
  ASSERT_TRUE(WaitForContent(folder_.File("copy")));
  server_->StopCleanly();
  EXPECT_EQ(curl.Wait(), 0) << curl.output();
  EXPECT_TRUE(ContentOf(folder_.File("copy")) == Pattern(20 << 20));
}

}  // namespace
}  // namespace ktlsim::system_tests
