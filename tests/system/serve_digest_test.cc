// `ktlsim serve --digest-realm`: who is served, replays, hostile headers, reloads, several servers;
// and `ktlsim load --digest`.

#include <signal.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/context_store/redis_server.h"
#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/load_process.h"
#include "tests/system/serve_digest_scene.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

TEST_F(ServeDigestTest, OnlyTheUsersAreServed) {
  Start();
  EXPECT_EQ(Curl({"-o", "/dev/null", server_->url()}), "401 1;");
  EXPECT_EQ(CurlAs("alice:wonder land", {server_->url()}), "200 1;");
  EXPECT_EQ(CurlAs("bob:builder", {server_->url("/private/page?query")}), "200 1;");
  EXPECT_EQ(CurlAs("alice:builder", {server_->url()}), "401 1;");
  EXPECT_EQ(CurlAs("carol:wonder land", {server_->url()}), "401 1;");
  EXPECT_EQ(Curl({"-u", "alice:wonder land", "-o", "/dev/null", server_->url()}),
            "401 1;");  // Basic
  EXPECT_EQ(CurlAs("alice:wonder land", {server_->url("/nothing")}), "404 1;");
  const nlohmann::json digest = server_->StopCleanly()["digest"];
  EXPECT_EQ(digest["authenticated"], 3) << digest;
  EXPECT_EQ(digest["refused"], 2) << digest;
  EXPECT_EQ(digest["challenged"], 7) << digest;
  EXPECT_NE(server_->output().find("not authenticated"), std::string::npos);
}

// The request after a redirection is a further one of the same context, over a kept or a new
// connection. (For another URL of its command line curl begins anew.)
TEST_F(ServeDigestTest, AClientAuthenticatesOnce) {
  Start();
  EXPECT_EQ(CurlAs("alice:wonder land", {"-L", server_->url("/private")}), "200 1;");
  const std::string told =
      CurlAs("alice:wonder land", {"-L", "-H", "Connection: close", server_->url("/private")});
  EXPECT_EQ(told, "200 3;");
  const nlohmann::json digest = server_->StopCleanly()["digest"];
  EXPECT_EQ(digest["authenticated"], 2) << digest;
  EXPECT_EQ(digest["maintained"], 2) << digest;
  EXPECT_EQ(digest["challenged"], 2) << digest;
}

TEST_F(ServeDigestTest, BodiesAndHeads) {
  server_ = std::make_unique<ServeProcess>(
      std::vector<std::string>{"--self-signed", "localhost", "--respond-bytes", "5",
                               "--digest-realm", kDigestRealm, "--digest-users", users_});
  ASSERT_TRUE(server_->running()) << server_->output();
  Write("upload", std::string(1 << 20, 'u'));
  const std::string upload = "@" + folder_.File("upload");
  EXPECT_EQ(CurlAs("alice:wonder land", {"--data-binary", upload, server_->url()}), "200 1;");
  EXPECT_EQ(CurlAs("alice:wonder land", {"-T", folder_.File("upload"), server_->url()}), "200 1;");
  // A body is not asked for before it is known whose it is.
  EXPECT_EQ(Curl({"-o", "/dev/null", "-H", "Expect: 100-continue", "--expect100-timeout", "30",
                  "--data-binary", upload, server_->url()}),
            "401 1;");
  EXPECT_EQ(CurlAs("alice:wonder land", {"-I", server_->url()}), "200 1;");
  server_->StopCleanly();
}

TEST_F(ServeDigestTest, Sha256IsOfferedFirstAndMd5Second) {
  Start({"--digest-sha256"});
  const std::string told = Curl({"-i", server_->url()});
  const std::size_t sha = told.find("algorithm=SHA-256");
  const std::size_t md5 = told.find("algorithm=MD5");
  ASSERT_NE(sha, std::string::npos) << told;
  ASSERT_NE(md5, std::string::npos) << told;
  EXPECT_LT(sha, md5);
  const std::string header =
      Verbose("alice:wonder land", {server_->url(), "-o", "/dev/null", server_->url()});
  EXPECT_NE(header.find("algorithm=SHA-256"), std::string::npos) << header;
  EXPECT_NE(header.find("200 1;200 0;"), std::string::npos) << header;
  server_->StopCleanly();
}

TEST_F(ServeDigestTest, ARecordedHeaderServesNobodyTwice) {
  Start();
  const std::string header = Header("alice:wonder land", "/private/page");
  ASSERT_NE(header, "");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Curl({"-o", "/dev/null", "-H", header, server_->url("/private/page")}), "401 1;");
  }
  // For another target it is not even right.
  EXPECT_EQ(Curl({"-o", "/dev/null", "-H", header, server_->url("/index.html")}), "401 1;");
  EXPECT_EQ(Curl({"-o", "/dev/null", "-X", "DELETE", "-H", header, server_->url("/private/page")}),
            "401 1;");
  EXPECT_EQ(CurlAs("alice:wonder land", {server_->url()}), "200 1;");
  const nlohmann::json digest = server_->StopCleanly()["digest"];
  EXPECT_EQ(digest["replayed"], 3) << digest;
  EXPECT_EQ(digest["refused"], 2) << digest;
}

TEST_F(ServeDigestTest, HostileHeadersAreRefusedAndHarmNobody) {
  Start();
  const std::vector<std::string> hostile = {
      "Digest ,",
      "Digest username=",
      "Digest username=\"a",
      "Digest username=\"a\", username=\"b\"",
      "Digest " + std::string(3000, 'x'),
      "Digest username=\"alice\", realm=\"staff\", nonce=\"x\", uri=\"/\", response=\"y\"",
      R"(Digest username="\\\"", nc=zzzzzzzz)",
  };
  for (const std::string& value : hostile) {
    const std::string told =
        Curl({"-o", "/dev/null", "-H", "Authorization: " + value, server_->url()});
    EXPECT_TRUE(told == "400 1;" || told == "401 1;") << value << ": " << told;
  }
  EXPECT_EQ(Curl({"-o", "/dev/null", "-H", "Authorization: Digest nc=1", "-H",
                  "Authorization: Digest nc=2", server_->url()}),
            "400 1;");
  EXPECT_EQ(Curl({"-o", "/dev/null", "-H", "Authorization: Digest " + std::string(20000, 'x'),
                  server_->url()}),
            "431 1;");
  EXPECT_EQ(CurlAs("alice:wonder land", {server_->url()}), "200 1;");
  EXPECT_GE(server_->StopCleanly()["digest"]["malformed"].get<int>(), 5);
}

TEST_F(ServeDigestTest, APathIsProtectedUnderAllItsNames) {
  Start({"--digest-path", "/private"});
  EXPECT_EQ(Curl({"-o", "/dev/null", server_->url()}), "200 1;");
  for (const char* path : {"/private/page", "//private/page", "/%70rivate/page", "/private",
                           "/x/../private/page", "/private%2fpage"}) {
    EXPECT_EQ(Curl({"-o", "/dev/null", server_->url(path)}), "401 1;") << path;
  }
  EXPECT_EQ(CurlAs("bob:builder", {server_->url("/private/page")}), "200 1;");
  server_->StopCleanly();
}

TEST_F(ServeDigestTest, AReloadReadsTheUsersAndKeepsContexts) {
  Start();
  EXPECT_EQ(CurlAs("carol:x", {server_->url()}), "401 1;");
  AddUser("carol", "x");
  server_->Signal(SIGHUP);
  ASSERT_TRUE(server_->WaitForNext("reloaded")) << server_->output();
  EXPECT_EQ(CurlAs("carol:x", {server_->url()}), "200 1;");
  // A bad file changes nothing.
  std::ofstream(users_, std::ios::app) << "bad line\n";
  server_->Signal(SIGHUP);
  ASSERT_TRUE(server_->WaitForNext("reload refused")) << server_->output();
  EXPECT_NE(server_->output().find("ktlsim users check"), std::string::npos) << server_->output();
  EXPECT_EQ(CurlAs("carol:x", {server_->url()}), "200 1;");
  server_->StopCleanly();
}

// Its key is in the server's memory, and would go on serving it.
TEST_F(ServeDigestTest, AContextEndsWithItsUser) {
  if (!HasPythonModule("requests")) GTEST_SKIP() << "there is no Python requests here";
  Start();
  // Two requests before the reload, and one after it, by one session.
  const std::string program = kPythonSession + R"(
for i in range(2):
    print(session.get(url).status_code, flush=True)
sys.stdin.readline()
print('then', session.get(url).status_code, flush=True)
)";
  const auto begin = [&](const std::string& user, const std::string& password) {
    auto client = std::make_unique<ChildProcess>(
        ChildProcess::Arguments{"python3", "-c", program, server_->url("/private/page"), user,
                                password},
        ChildProcess::Interactive{});
    EXPECT_TRUE(client->WaitForOutput("200\n200\n")) << client->output();
    return client;
  };
  const auto alice = begin("alice", "wonder land");
  const auto bob = begin("bob", "builder");
  ASSERT_EQ(RunProgram({test::CommandPath(), "users", "remove", users_, "bob"}).code, 0);
  server_->Signal(SIGHUP);
  ASSERT_TRUE(server_->WaitForNext("reloaded")) << server_->output();
  EXPECT_TRUE(alice->Type("\n"));
  EXPECT_TRUE(alice->WaitForOutput("then 200")) << alice->output();
  EXPECT_TRUE(bob->Type("\n"));
  EXPECT_TRUE(bob->WaitForOutput("then 401")) << bob->output();
  EXPECT_EQ(alice->Wait(), 0);
  EXPECT_EQ(bob->Wait(), 0);
  server_->StopCleanly();
}

// ---- Several servers

TEST_F(ServeDigestTest, ServersOfOneStoreAcceptEachOthersContexts) {
  if (!Has("redis-server") || !HasPythonModule("requests")) {
    GTEST_SKIP() << "there is no redis-server or no Python requests here";
  }
  context_store::RedisServer redis;
  Write("key", std::string(64, 'k'));
  const std::vector<std::string> shared = {"--context-store",      "unix://" + redis.socket(),
                                           "--node-key",           folder_.File("key"),
                                           "--context-store-wait", "30s"};
  Start(shared);
  std::unique_ptr<ServeProcess> first = std::move(server_);
  Start(shared);
  for (ServeProcess* const server : {first.get(), server_.get()}) {
    ASSERT_TRUE(server->WaitForOutput("the context store is there")) << server->output();
  }
  // Prints the header of the first server's last request.
  const std::string program = kPythonSession + R"(
first, second = url, others[0]
for url in (first, first, second, first, second):
    answer = session.get(url)
    print(answer.status_code, end=';')
print(session.get(first).request.headers['Authorization'])
)";
  const Finished client = RunProgram({"python3", "-c", program, first->url("/private/page"),
                                      "alice", "wonder land", server_->url("/private/page")});
  ASSERT_TRUE(client.output.starts_with("200;200;200;200;200;")) << client.output;
  const std::string header = client.output.substr(20, client.output.find_first_of("\r\n", 20) - 20);
  // What the first server has served, the second one does not serve again.
  EXPECT_EQ(
      Curl({"-o", "/dev/null", "-H", "Authorization: " + header, server_->url("/private/page")}),
      "401 1;");
  const nlohmann::json there = server_->StopCleanly()["digest"];
  EXPECT_EQ(there["maintained"], 2) << there;
  EXPECT_EQ(there["authenticated"], 0) << there;
  EXPECT_EQ(there["replayed"], 1) << there;
  // The other one goes on.
  const nlohmann::json here = first->StopCleanly()["digest"];
  EXPECT_EQ(here["authenticated"], 1) << here;
  EXPECT_EQ(here["maintained"], 3) << here;
}

// Nobody is refused for it, and nobody waits for it.
TEST_F(ServeDigestTest, WithoutItsStoreAServerAuthenticatesEveryClientItself) {
  Write("key", std::string(64, 'k'));
  Start({"--context-store", "unix://" + folder_.File("nobody"), "--node-key", folder_.File("key"),
         "--context-store-wait", "100ms"});
  EXPECT_EQ(CurlAs("alice:wonder land", {server_->url()}), "200 1;");
  EXPECT_EQ(CurlAs("alice:other", {server_->url()}), "401 1;");
  EXPECT_EQ(server_->StopCleanly()["digest"]["authenticated"], 1);
}

// ---- Our own client

TEST_F(ServeDigestTest, TheLoadGeneratorAuthenticatesAndSigns) {
  Start();
  Write("password", "wonder land\n");
  const LoadResult result =
      Load(server_->address(), {"--insecure", "--connections", "4", "--digest", "alice",
                                "--digest-password-file", folder_.File("password")});
  EXPECT_TRUE(ReasonsButTheMachine(result.json).empty()) << result.output;
  EXPECT_EQ(CheckResult("load", result.json), "");
  const nlohmann::json& operations = result.json["operations"];
  ASSERT_EQ(operations.size(), 1U) << result.output;
  EXPECT_EQ(result.json["first_authentications"]["count"], 100);
  EXPECT_GT(operations[0]["count"].get<int>(), 0);
  EXPECT_EQ(result.json["settings"]["digest_contexts"], 1);
  EXPECT_EQ(operations[0]["errors"], 0) << result.output;
  // Each response has a proof, that of the warm-up, too. On a busy machine some stay unverified: a
  // full queue refuses, or the context has been renewed meanwhile.
  EXPECT_GT(result.json["settings"]["digest_proofs"].get<int>(),
            operations[0]["count"].get<int>() / 2);
  const int renewals = result.json["settings"]["digest_renewals"].get<int>();
  EXPECT_EQ(result.json["settings"]["digest_look_ups_saved"],
            operations[0]["count"].get<int>() - renewals);
  const nlohmann::json digest = server_->StopCleanly()["digest"];
  EXPECT_GE(digest["authenticated"].get<int>(), 100) << digest;
  EXPECT_LE(digest["authenticated"].get<int>(), 100 + renewals) << digest;
  EXPECT_EQ(digest["challenged"], 100) << digest;
  EXPECT_GE(digest["maintained"].get<int>(), operations[0]["count"].get<int>()) << digest;
}

// A busy machine may make none of its requests in so short a time, which is no matter here.
TEST_F(ServeDigestTest, ManyConnectionsOfTheLoadGeneratorHaveSeveralContexts) {
  Start();
  const LoadResult result =
      Load(server_->address(), {"--insecure", "--connections", "33", "--warm-up", "0", "--seconds",
                                "100ms", "--digest", "alice:wonder land"});
  EXPECT_EQ(result.json["settings"]["digest_contexts"], 2) << result.output;
  EXPECT_EQ(result.json["errors"], 0) << result.output;
  EXPECT_EQ(result.json["command_line"].dump().find("wonder"), std::string::npos);
  EXPECT_EQ(server_->StopCleanly()["digest"]["refused"], 0);
}

TEST_F(ServeDigestTest, TheLoadGeneratorSaysWhyItCannot) {
  Start();
  const auto told = [this](std::vector<std::string> more) {
    more.insert(more.begin(), "--insecure");
    return Load(server_->address(), more);
  };
  const LoadResult wrong = told({"--digest", "alice:other"});
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.output.find("refuses alice"), std::string::npos) << wrong.output;
  EXPECT_EQ(wrong.output.find("other"), std::string::npos) << wrong.output;
  const LoadResult file = told({"--digest", "alice", "--digest-password-file", "/no/file"});
  EXPECT_EQ(file.code, 2);
  EXPECT_NE(file.output.find("/no/file"), std::string::npos) << file.output;
  ServeProcess open({"--self-signed", "localhost", "--respond-bytes", "1"});
  const LoadResult nobody = Load(open.address(), {"--insecure", "--digest", "alice:x"});
  EXPECT_EQ(nobody.code, 2);
  EXPECT_NE(nobody.output.find("no Digest"), std::string::npos) << nobody.output;
}

}  // namespace
}  // namespace ktlsim::system_tests
