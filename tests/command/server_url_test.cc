#include "kernel_sim/command/server_url.h"

#include <string>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

ServerUrl Parsed(const std::string& text) {
  ServerUrl url;
  EXPECT_EQ(ParseServerUrl(text, &url), "") << text;
  return url;
}

TEST(ServerUrlTest, ReadsUrls) {
  const ServerUrl whole = Parsed("https://example.org:8443/a/b?c=d#part");
  EXPECT_EQ(whole.host, "example.org");
  EXPECT_EQ(whole.port, 8443);
  EXPECT_EQ(whole.path, "/a/b?c=d");
  EXPECT_EQ(Parsed("https://example.org").port, 443);
  EXPECT_EQ(Parsed("https://example.org").path, "");
  EXPECT_EQ(Parsed("https://example.org?x").path, "/?x");
  EXPECT_EQ(Parsed("https://[::1]/").host, "::1");
}

TEST(ServerUrlTest, ReadsHostAndPort) {
  EXPECT_EQ(Parsed("localhost:8443").Authority(), "localhost:8443");
  EXPECT_EQ(Parsed("[::1]:1").Authority(), "[::1]:1");
  EXPECT_EQ(Parsed("127.0.0.1:65535").port, 65535);
  EXPECT_TRUE(Parsed("127.0.0.1:1").IsAddress());
  EXPECT_TRUE(Parsed("[::1]:1").IsAddress());
  EXPECT_FALSE(Parsed("localhost:1").IsAddress());
}

TEST(ServerUrlTest, ReadsUnixSockets) {
  const ServerUrl url = Parsed("unix:/run/a.sock");
  EXPECT_EQ(url.Place(), "unix:/run/a.sock");
  EXPECT_EQ(url.host, "localhost");
  EXPECT_EQ(url.path, "");
  EXPECT_EQ(Parsed("localhost:1").Place(), "localhost:1");
}

TEST(ServerUrlTest, RefusesEverythingElse) {
  for (const char* text : {"",
                           "localhost",
                           ":8443",
                           "localhost:",
                           "localhost:0",
                           "localhost:65536",
                           "localhost:70000",
                           "localhost:-1",
                           "localhost:1k",
                           "localhost:+1",
                           "localhost: 1",
                           "::1:8443",
                           "[::1]",
                           "[::1]8443",
                           "[::1",
                           "[localhost]:1",
                           "http://localhost/",
                           "ftp://localhost/",
                           "https://",
                           "https:///path",
                           "https://user@localhost/",
                           "https://user:pw@localhost/",
                           "https://localhost/a b",
                           "https://localhost/\r\nX: y",
                           "https://local host/",
                           "https://localhost:https/",
                           "a\r\nb:1",
                           "localhost:1/path",
                           "unix:",
                           "unix:a"}) {
    ServerUrl url;
    url.host = "kept";
    EXPECT_NE(ParseServerUrl(text, &url), "") << text;
    EXPECT_EQ(url.host, "kept") << text;
  }
}

TEST(ServerUrlTest, NamesAreHostNames) {
  EXPECT_EQ(CheckHostName("xn--bcher-kva.example"), "");
  EXPECT_EQ(CheckHostName("::1"), "");
  EXPECT_EQ(CheckHostName(std::string(253, 'a')), "");
  EXPECT_NE(CheckHostName(std::string(254, 'a')), "");
  for (const char* name : {"", "a b", "a\r\nX: y", "a/b", "b\303\274cher.example", "a:1", "*"}) {
    EXPECT_NE(CheckHostName(name), "") << name;
  }
}

}  // namespace
}  // namespace ktlsim::command
