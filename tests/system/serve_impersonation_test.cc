// `ktlsim serve --impersonate-os`: files are opened with the rights of the client's Unix user. curl
// is the client, with certificates of two users, with Digest, and without either. The server runs
// as root, and as a user with CAP_SETUID, CAP_SETGID and CAP_DAC_OVERRIDE.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/system/authority.h"
#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

constexpr uid_t kAliceId = 40001;
constexpr uid_t kBobId = 40002;
constexpr uid_t kErinId = 40003;
constexpr gid_t kProjectId = 40010;
constexpr const char* kServerId = "40100";

// As a user without any right but these.
std::vector<std::string> UserWith(const std::string& capabilities) {
  return {"setpriv",        "--reuid",        kServerId,        "--regid",
          kServerId,        "--clear-groups", "--inh-caps",     capabilities,
          "--ambient-caps", capabilities,     "--bounding-set", capabilities};
}
constexpr const char* kThree = "-all,+setuid,+setgid,+dac_override";

class ServeImpersonationTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root may act as other users, and start such a server";
    if (GetParam()) {
      launcher_ = UserWith(kThree);
      std::vector<std::string> trial = launcher_;
      trial.insert(trial.end(), {test::CommandPath(), "--version"});
      const Finished tried = RunProgram(trial);
      if (tried.code != 0) GTEST_SKIP() << "setpriv: " << tried.output;
    }
    ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
    for (const char* name : {"www", "www/alice", "www/bob", "www/erin", "www/folder", "www/bare"}) {
      std::filesystem::create_directories(folder_.File(name));
    }
    Make("alice/file", "of alice", kAliceId, kAliceId, 0600);
    Make("bob/file", "of bob", kBobId, kBobId, 0600);
    Make("erin/file", "of erin", kErinId, kErinId, 0600);
    Make("project", "of the project", kBobId, kProjectId, 0640);
    Make("root", "of root", 0, 0, 0600);
    Make("server", "of the server", 40100, 40100, 0600);
    Make("public", "for all", 0, 0, 0644);
    Make("folder/index.html", "index of alice", kAliceId, kAliceId, 0600);
    folder_.Write("acl.toml",
                  "[[path]]\nprefix = \"/\"\nsddl = \"O:BAG:BAD:(A;;FR;;;AU)(A;;FR;;;AN)\"\n");
    WriteAccounts();
    const Finished added = RunProgram(
        {test::CommandPath(), "users", "add", folder_.File("users"), "erin", "--realm", "staff"},
        "secret\n");
    ASSERT_EQ(added.code, 0) << added.output;
    for (const char* name : {"acl.toml", "accounts.toml", "users"}) {
      ASSERT_EQ(chmod(folder_.File(name).c_str(), 0644), 0);
    }
  }

  void Make(const std::string& name, const std::string& text, uid_t uid, gid_t gid,
            mode_t mode) const {
    const std::string path = folder_.Write("www/" + name, text);
    ASSERT_EQ(chown(path.c_str(), uid, gid), 0);
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
  }
  std::string RuleFor(const std::string& account, const Authority::Files& files) const {
    const std::string told =
        RunProgram({test::CommandPath(), "accounts", "key", files.certificate}).output;
    return "[[mapping]]\n" + told.substr(0, told.find('\n')) + "\naccount = \"" + account + "\"\n";
  }
  void WriteAccounts() const {
    std::ostringstream text;
    text << "[[account]]\nname = \"alice\"\nunix-user = " << kAliceId
         << "\nunix-group = " << kAliceId << "\nunix-groups = [" << kProjectId << "]\n"
         << "[[account]]\nname = \"bob\"\nunix-user = " << kBobId << "\nunix-group = " << kBobId
         << "\n[[account]]\nname = \"erin\"\nunix-user = " << kErinId
         << "\nunix-group = " << kErinId << "\n[[account]]\nname = \"carol\"\n"
         << "[[mapping]]\ndigest-user = \"erin\"\nrealm = \"staff\"\naccount = \"erin\"\n"
         << RuleFor("alice", alice_) << RuleFor("bob", bob_) << RuleFor("carol", carol_);
    folder_.Write("accounts.toml", text.str());
  }

  void Start(std::vector<std::string> more) {
    std::vector<std::string> all = {"--self-signed",
                                    "localhost",
                                    "--root",
                                    folder_.File("www"),
                                    "--acl",
                                    folder_.File("acl.toml"),
                                    "--accounts",
                                    folder_.File("accounts.toml"),
                                    "--impersonate-os",
                                    "--processors",
                                    "1"};
    all.insert(all.end(), more.begin(), more.end());
    server_ = std::make_unique<ServeProcess>(all, launcher_);
    ASSERT_TRUE(server_->running()) << server_->output();
  }
  std::vector<std::string> Certificates() const {
    return {"--client-auth", "request", "--client-ca", authority_.certificate()};
  }

  static std::vector<std::string> As(const Authority::Files& identity) {
    return {"--cert", identity.certificate, "--key", identity.key};
  }
  // What comes, and then the status.
  std::string Get(const std::string& path, const std::vector<std::string>& who) const {
    std::vector<std::string> all = {
        "curl", "-sS", "-k", "--max-time", "30", "-w", " %{http_code}", server_->url(path)};
    all.insert(all.end(), who.begin(), who.end());
    return RunProgram(all).output;
  }
  bool Reads(const std::string& path, const std::vector<std::string>& who) const {
    return Get(path, who).ends_with(" 200");
  }

  // Many requests at once, for both files.
  std::unique_ptr<ChildProcess> Hurry(const std::vector<std::string>& who) const {
    std::vector<std::string> all = {"curl",
                                    "-sS",
                                    "-k",
                                    "-Z",
                                    "--parallel-max",
                                    "8",
                                    "-w",
                                    "=%{http_code}\n",
                                    "--max-time",
                                    "60",
                                    server_->url("/{alice,bob,erin}/file?[1-60]")};
    all.insert(all.end(), who.begin(), who.end());
    return std::make_unique<ChildProcess>(all);
  }
  static std::size_t Count(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
      ++count;
    }
    return count;
  }
  static void ExpectOwnOnly(ChildProcess& client, const std::string& user) {
    EXPECT_EQ(client.Wait(), 0) << client.output();
    const std::string& text = client.output();
    for (const std::string name : {"alice", "bob", "erin"}) {
      EXPECT_EQ(Count(text, "of " + name), name == user ? 60U : 0U) << user << " reads " << name;
    }
    EXPECT_EQ(Count(text, "=403"), 120U) << user;
    EXPECT_EQ(Count(text, "=200"), 60U) << user;
  }
  void Stop() {
    const nlohmann::json statistics = server_->StopCleanly();
    const nlohmann::json& switches = statistics["access"]["unix_users"];
    EXPECT_GT(switches["taken"].get<int>(), 0) << statistics.dump(1);
    EXPECT_EQ(switches["refused"], 0);
  }

  TemporaryFolder folder_;
  Authority authority_{"ca"};
  const Authority::Files alice_ = authority_.Issue("alice");
  const Authority::Files bob_ = authority_.Issue("bob");
  const Authority::Files carol_ = authority_.Issue("carol");
  std::vector<std::string> launcher_;
  std::unique_ptr<ServeProcess> server_;
};

TEST_P(ServeImpersonationTest, FilesOpenWithTheClientsRights) {
  Start(Certificates());
  EXPECT_EQ(Get("/alice/file", As(alice_)), "of alice 200");
  EXPECT_EQ(Get("/project", As(alice_)), "of the project 200");
  EXPECT_EQ(Get("/folder/", As(alice_)), "index of alice 200");
  EXPECT_EQ(Get("/bob/file", As(bob_)), "of bob 200");
  for (const char* path : {"/bob/file", "/erin/file", "/root", "/server"}) {
    EXPECT_EQ(Get(path, As(alice_)), "403 Forbidden\n 403") << path;
  }
  for (const char* path : {"/alice/file", "/root", "/server", "/folder/", "/bare/"}) {
    EXPECT_TRUE(Get(path, As(bob_)).ends_with(" 403")) << path;
  }
  EXPECT_TRUE(Get("/none", As(alice_)).ends_with(" 404"));
  EXPECT_TRUE(Get("/folder", As(alice_)).ends_with(" 301"));
  // An account without a Unix user, and nobody: what everybody may read.
  for (const auto& who : {As(carol_), std::vector<std::string>()}) {
    EXPECT_EQ(Get("/public", who), "for all 200");
    for (const char* path : {"/alice/file", "/bob/file", "/project", "/root", "/server"}) {
      EXPECT_FALSE(Reads(path, who)) << path;
    }
  }
  Stop();
}

TEST_P(ServeImpersonationTest, ManyRequestsOnOneProcessorReadTheirOwnFilesOnly) {
  // Nobody is to be asked who it is.
  folder_.Write("acl.toml", "[[path]]\nprefix = \"/\"\nsddl = \"O:BAG:BAD:(A;;FR;;;AU)\"\n");
  std::vector<std::string> both = Certificates();
  both.insert(both.end(), {"--digest-realm", "staff", "--digest-users", folder_.File("users")});
  Start(both);
  const auto alice = Hurry(As(alice_));
  const auto bob = Hurry(As(bob_));
  const auto erin = Hurry({"--digest", "-u", "erin:secret"});
  ExpectOwnOnly(*alice, "alice");
  ExpectOwnOnly(*bob, "bob");
  ExpectOwnOnly(*erin, "erin");
  Stop();
}

// What is missing is told with the remedy, before anything is served.
TEST_P(ServeImpersonationTest, WithoutTheCapabilitiesItDoesNotStart) {
  const auto start = [this](const std::vector<std::string>& launcher) {
    std::vector<std::string> all = launcher;
    all.insert(all.end(),
               {test::CommandPath(), "serve", "--listen", "127.0.0.1:0", "--self-signed",
                "localhost", "--root", folder_.File("www"), "--acl", folder_.File("acl.toml"),
                "--accounts", folder_.File("accounts.toml"), "--digest-realm", "staff",
                "--digest-users", folder_.File("users"), "--impersonate-os"});
    return RunProgram(all);
  };
  const Finished none = start(UserWith("-all"));
  EXPECT_NE(none.code, 0);
  EXPECT_NE(none.output.find("CAP_SETUID and CAP_SETGID are missing: run as root"),
            std::string::npos)
      << none.output;
  const Finished half = start(UserWith("-all,+setuid,+dac_override"));
  EXPECT_NE(half.output.find("CAP_SETGID is missing"), std::string::npos) << half.output;
  const Finished alone =
      RunProgram({test::CommandPath(), "serve", "--listen", "127.0.0.1:0", "--self-signed",
                  "localhost", "--root", folder_.File("www"), "--impersonate-os"});
  EXPECT_EQ(alone.code, 2);
  EXPECT_NE(alone.output.find("impersonate-os needs acl"), std::string::npos) << alone.output;
}

// One listener asks who somebody is; the other one would open files as the server.
TEST_P(ServeImpersonationTest, NoListenerServesFilesWithoutAcl) {
  const std::string www = folder_.File("www");
  const std::string accounts = "accounts = \"" + folder_.File("accounts.toml") + "\"\n";
  const std::string open = "[[listener]]\nlisten = \"127.0.0.1:0\"\nroot = \"" + www + "\"\n";
  const std::string closed = open + "acl = \"" + folder_.File("acl.toml") +
                             "\"\nclient-auth = \"request\"\nclient-ca = \"" +
                             authority_.certificate() + "\"\n";
  const std::string top = "self-signed = \"localhost\"\n" + accounts;
  const std::string file =
      folder_.Write("two.toml", top + "impersonate-os = true\n" + closed + open);
  const Finished refused = RunProgram({test::CommandPath(), "serve", "--config", file});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.output.find("root needs acl"), std::string::npos) << refused.output;

  // The process goes on impersonating, whatever the configuration says later.
  const std::string base = "impersonate-os = true\n" + top;
  folder_.Write("two.toml", base + closed);
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  std::vector<std::string> all = launcher_;
  all.insert(all.end(), {test::CommandPath(), "serve", "--config", file, "--processors", "1"});
  ChildProcess server(all);
  ASSERT_TRUE(server.WaitForOutput("listening")) << server.output();
  folder_.Write("two.toml", top + closed + open);
  server.Signal(SIGHUP);
  EXPECT_TRUE(server.WaitForOutput("reload refused")) << server.output();
  EXPECT_TRUE(server.WaitForOutput("root needs acl")) << server.output();
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0) << server.output();
}

INSTANTIATE_TEST_SUITE_P(Servers, ServeImpersonationTest, testing::Bool(), [](const auto& param) {
  return param.param ? "UserWithCapabilities" : "Root";
});

}  // namespace
}  // namespace ktlsim::system_tests
