// curl against `ktlsim serve`: bodies, connection reuse, HTTP/1.0.

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class CurlTest : public testing::TestWithParam<const char*> {
 protected:
  CurlTest() : server_({"--self-signed", "localhost", "--respond-bytes", "1000"}) {}

  void SetUp() override {
    ASSERT_TRUE(server_.running()) << server_.output();
    certificate_ = server_.ExportCertificate();
  }

  Finished Curl(const std::vector<std::string>& arguments) {
    const std::string version = GetParam();
    ChildProcess::Arguments all = {"curl",
                                   "-sS",
                                   "--max-time",
                                   "60",
                                   "--cacert",
                                   certificate_,
                                   "--resolve",
                                   "localhost:" + std::to_string(server_.port()) + ":127.0.0.1",
                                   "--tlsv" + version,
                                   "--tls-max",
                                   version};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return RunProgram(all, "", std::chrono::seconds(70));
  }

  // The file has exactly `bytes` bytes of the pattern.
  static void ExpectPattern(const std::string& path, std::size_t bytes) {
    std::ifstream file(path, std::ios::binary);
    const std::string expected = Pattern(26 * 40960);
    std::string piece(expected.size(), '\0');
    std::size_t total = 0;
    while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0) {
      const auto got = static_cast<std::size_t>(file.gcount());
      ASSERT_EQ(piece.compare(0, got, expected, 0, got), 0) << "after " << total;
      total += got;
    }
    EXPECT_EQ(total, bytes);
  }

  ServeProcess server_;
  TemporaryFolder folder_;
  std::string certificate_;
};

TEST_P(CurlTest, GetsAMebibyte) {
  const Finished curl = Curl({"-o", folder_.File("body"), server_.url("/bytes/1048576")});
  EXPECT_EQ(curl.code, 0) << curl.output;
  ExpectPattern(folder_.File("body"), 1048576);
  server_.StopCleanly();
}

TEST_P(CurlTest, GetsAHundredMebibytes) {
  const Finished curl = Curl({"-o", folder_.File("body"), server_.url("/bytes/104857600")});
  EXPECT_EQ(curl.code, 0) << curl.output;
  ExpectPattern(folder_.File("body"), 104857600);
  server_.StopCleanly();
}

TEST_P(CurlTest, KeepsTheConnectionForTheNextRequest) {
  const Finished curl = Curl({"-w", " connects=%{num_connects} status=%{http_code};", server_.url(),
                              server_.url("/bytes/5")});
  EXPECT_EQ(curl.output, Pattern(1000) + " connects=1 status=200;abcde connects=0 status=200;");
  EXPECT_EQ(server_.StopCleanly()["established"], 2);  // one of them exported the certificate
}

TEST_P(CurlTest, SpeaksHttp10) {
  const Finished curl = Curl(
      {"--http1.0", "-w", " connects=%{num_connects};", server_.url(), server_.url("/bytes/5")});
  EXPECT_EQ(curl.code, 0);
  EXPECT_EQ(curl.output, Pattern(1000) + " connects=1;abcde connects=1;");
  server_.StopCleanly();
}

TEST_P(CurlTest, SendsBodiesAndAsksForHeadsOnly) {
  std::ofstream(folder_.File("upload")) << std::string(3 << 20, 'u');
  const Finished upload = Curl({"-T", folder_.File("upload"), "-H", "Expect: 100-continue", "-w",
                                " status=%{http_code}", server_.url("/bytes/3")});
  EXPECT_EQ(upload.output, "abc status=200");
  const Finished chunked = Curl({"--data-binary", "@" + folder_.File("upload"), "-H",
                                 "Transfer-Encoding: chunked", server_.url("/bytes/3")});
  EXPECT_EQ(chunked.output, "abc");
  const Finished head = Curl({"-I", server_.url("/bytes/77")});
  EXPECT_NE(head.output.find("Content-Length: 77\r\n"), std::string::npos) << head.output;
  server_.StopCleanly();
}

TEST_P(CurlTest, RefusesACertificateItDoesNotKnow) {
  const std::string version = GetParam();
  const Finished curl = RunProgram(
      {"curl", "-sS", "--max-time", "20", "--tlsv" + version, "--tls-max", version, server_.url()});
  EXPECT_EQ(curl.code, 60) << curl.output;
  EXPECT_TRUE(server_.Answers());
  // curl sends its alert and closes with our flight half read, which resets the connection; we may
  // see either first.
  const nlohmann::json statistics = server_.StopCleanly();
  EXPECT_EQ(statistics["failures"]["peer_alert"].get<int>() +
                statistics["ends"]["reset_by_peer"].get<int>(),
            1)
      << statistics.dump(2);
}

INSTANTIATE_TEST_SUITE_P(Versions, CurlTest, testing::Values("1.2", "1.3"));

}  // namespace
}  // namespace ktlsim::system_tests
