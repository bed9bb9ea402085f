// `ktlsim serve --acl`: what clients may do is decided by descriptors, and recorded. curl is the
// client, with the certificates of several users, with Digest, and without either.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/system/authority.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

constexpr const char* kAlice = "S-1-5-21-1-2-3-1001";
constexpr const char* kStaff = "S-1-5-21-1-2-3-1100";

std::string TextOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class ServeAccessTest : public testing::Test {
 protected:
  ServeAccessTest() {
    for (const char* name : {"public", "staff", "drop", "Mixed"}) {
      std::filesystem::create_directories(folder_.File(std::string("www/") + name));
    }
    for (const char* name : {"index.html", "public/page", "staff/page", "staff/index.html",
                             "drop/page", "drop/index.html", "Mixed/page"}) {
      folder_.Write(std::string("www/") + name, name);
    }
    folder_.Write("key", std::string(32, 'k'));
    WriteAccounts();
    WriteAcl(kPaths);
    for (const char* user : {"erin", "frank"}) {
      const Finished added = RunProgram(
          {test::CommandPath(), "users", "add", folder_.File("users"), user, "--realm", "staff"},
          "secret\n");
      EXPECT_EQ(added.code, 0) << added.output;
    }
  }

  static constexpr const char* kPaths =
      "[[path]]\nprefix = \"/\"\nsddl = "
      "\"O:BAG:BAD:(A;;FR;;;AU)S:(AU;SAFA;FA;;;WD)(AU;FA;FA;;;AN)\""
      "\n[[path]]\nprefix = \"/public\"\nsddl = \"O:BAG:BAD:(A;;FR;;;WD)(A;;FR;;;AN)\"\n"
      "[[path]]\nprefix = \"/staff\"\n"
      "sddl = \"O:BAG:BAD:(A;;FR;;;S-1-5-21-1-2-3-1100)S:(AU;SAFA;FA;;;WD)(AU;FA;FA;;;AN)\"\n"
      "[[path]]\nprefix = \"/drop/index.html\"\nsddl = \"O:BAG:BAD:\"\n"
      "[[path]]\nprefix = \"/mixed\"\nsddl = \"O:BAG:BAD:\"\n";

  void WriteAcl(const std::string& paths) const { folder_.Write("acl.toml", paths); }
  // A rule that leads from the key of a certificate to an account.
  std::string RuleFor(const std::string& account, const Authority::Files& files) const {
    const std::string told =
        RunProgram({test::CommandPath(), "accounts", "key", files.certificate}).output;
    return "[[mapping]]\n" + told.substr(0, told.find('\n')) + "\naccount = \"" + account + "\"\n";
  }
  void WriteAccounts(bool alice_disabled = false, const std::string& more = "") const {
    std::ostringstream text;
    text << "domain-sid = \"S-1-5-21-1-2-3\"\n[[group]]\nname = \"staff\"\nsid = \"" << kStaff
         << "\"\n[[account]]\nname = \"alice\"\nsid = \"" << kAlice
         << "\"\ngroups = [\"staff\"]\ndisabled = " << (alice_disabled ? "true" : "false")
         << "\n[[account]]\nname = \"bob\"\nsid = \"S-1-5-21-1-2-3-1002\"\n"
         << "[[account]]\nname = \"carol\"\nsid = \"S-1-5-21-1-2-3-1003\"\ndisabled = true\n"
         << "[[account]]\nname = \"erin\"\nsid = \"S-1-5-21-1-2-3-1004\"\n"
         << "[[mapping]]\ndigest-user = \"erin\"\nrealm = \"staff\"\naccount = \"erin\"\n"
         << RuleFor("alice", alice_) << RuleFor("bob", bob_) << RuleFor("carol", carol_) << more;
    folder_.Write("accounts.toml", text.str());
  }

  std::vector<std::string> Certificates() const {
    return {"--client-auth", "request", "--client-ca", authority_.certificate()};
  }
  std::vector<std::string> Digest() const {
    return {"--digest-realm", "staff", "--digest-users", folder_.File("users")};
  }
  std::vector<std::string> Files() const {
    return {"--self-signed", "localhost",
            "--root",        folder_.File("www"),
            "--acl",         folder_.File("acl.toml"),
            "--accounts",    folder_.File("accounts.toml"),
            "--audit",       folder_.File("audit"),
            "--audit-key",   folder_.File("key")};
  }
  void Start(const std::vector<std::vector<std::string>>& parts) {
    std::vector<std::string> all = Files();
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    server_ = std::make_unique<ServeProcess>(all);
    ASSERT_TRUE(server_->running()) << server_->output();
  }

  Finished Curl(const std::string& path, const std::vector<std::string>& more) const {
    std::vector<std::string> all = {"curl",         "-sS", "-k",           "--max-time",      "30",
                                    "--path-as-is", "-w",  "%{http_code}", server_->url(path)};
    all.insert(all.end(), more.begin(), more.end());
    return RunProgram(all);
  }
  // The status of a response.
  std::string Get(const std::string& path, std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"-o", "/dev/null"});
    return Curl(path, more).output;
  }
  static std::vector<std::string> As(const Authority::Files& identity) {
    return {"--cert", identity.certificate, "--key", identity.key};
  }
  static std::vector<std::string> With(const std::string& user_password) {
    return {"--digest", "-u", user_password};
  }

  std::vector<nlohmann::json> Records(const std::string& event = "access") const {
    std::ifstream file(folder_.File("audit"));
    std::vector<nlohmann::json> records;
    for (std::string line; std::getline(file, line);) {
      nlohmann::json record = nlohmann::json::parse(line);
      if (record["event"] == event) records.push_back(std::move(record));
    }
    return records;
  }
  Finished Verify() const {
    return RunProgram({test::CommandPath(), "audit", "verify", folder_.File("audit"), "--audit-key",
                       folder_.File("key")});
  }
  Finished Refused(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {test::CommandPath(), "serve", "--listen", "127.0.0.1:0"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return RunProgram(all);
  }
  void ExpectRefused(const std::vector<std::string>& words,
                     const std::vector<std::string>& arguments) const {
    const Finished told = Refused(arguments);
    EXPECT_EQ(told.code, 2) << told.output;
    for (const std::string& word : words) {
      EXPECT_NE(told.output.find(word), std::string::npos) << word << " in: " << told.output;
    }
  }

  TemporaryFolder folder_;
  Authority authority_{"Known"};
  const Authority::Files alice_ = authority_.Issue("alice");
  const Authority::Files bob_ = authority_.Issue("bob");
  const Authority::Files carol_ = authority_.Issue("carol");
  const Authority::Files stranger_ = authority_.Issue("stranger");
  std::unique_ptr<ServeProcess> server_;
};

TEST_F(ServeAccessTest, CertificatesDecide) {
  Start({Certificates()});
  EXPECT_EQ(Curl("/staff/page", As(alice_)).output, "staff/page200");
  EXPECT_EQ(Get("/staff/page", As(bob_)), "403");
  EXPECT_EQ(Get("/", As(bob_)), "200");
  for (const auto& nobody : {As(carol_), As(stranger_), std::vector<std::string>()}) {
    EXPECT_EQ(Get("/staff/page", nobody), "403");
    EXPECT_EQ(Get("/", nobody), "403");
    EXPECT_EQ(Get("/public/page", nobody), "200");
  }
  const nlohmann::json access = server_->StopCleanly()["access"];
  EXPECT_EQ(access["granted"], 2) << access.dump(2);
  EXPECT_EQ(access["denied"], 1);
  EXPECT_EQ(access["granted_anonymous"], 3);
  EXPECT_EQ(access["denied_anonymous"], 6);
  EXPECT_EQ(access["mappings"]["disabled"], 3);
  EXPECT_EQ(access["audit"]["lost"], 0);
}

TEST_F(ServeAccessTest, DigestIsAskedForOnlyWhereTheClientIsNotLetIn) {
  Start({Certificates(), Digest()});
  const Finished challenged = Curl("/", {"-D", "-"});
  EXPECT_NE(challenged.output.find("WWW-Authenticate: Digest realm=\"staff\""), std::string::npos)
      << challenged.output;
  EXPECT_NE(challenged.output.find("401"), std::string::npos);
  EXPECT_EQ(Get("/public/page"), "200");
  EXPECT_EQ(Get("/", With("erin:secret")), "200");
  EXPECT_EQ(Get("/staff/page", With("erin:secret")), "403");
  EXPECT_EQ(Get("/", With("erin:wrong")), "401");
  // Who has authenticated, and has no account, has no other name to give.
  EXPECT_EQ(Get("/", With("frank:secret")), "403");
  // A certificate is enough; a name that is given by Digest counts before it.
  EXPECT_EQ(Get("/staff/page", As(alice_)), "200");
  EXPECT_EQ(Get("/staff/page", As(bob_)), "403");
  EXPECT_EQ(Get("/", As(stranger_)), "401");
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["digest"]["refused"], 1);
  EXPECT_EQ(statistics["access"]["unavailable"], 0);
}

// Whoever guesses passwords chooses the listener.
TEST_F(ServeAccessTest, AListenerOfDigestAloneRecordsGuessesToo) {
  folder_.Write("config",
                "self-signed = \"localhost\"\nrespond-bytes = 5\ndigest-realm = \"staff\"\n"
                "digest-users = \"" +
                    folder_.File("users") + "\"\naccounts = \"" + folder_.File("accounts.toml") +
                    "\"\naudit = \"" + folder_.File("audit") + "\"\naudit-key = \"" +
                    folder_.File("key") + "\"\n[[listener]]\nlisten = \"127.0.0.2:0\"\nacl = \"" +
                    folder_.File("acl.toml") + "\"\n");
  server_ =
      std::make_unique<ServeProcess>(std::vector<std::string>{"--config", folder_.File("config")});
  ASSERT_TRUE(server_->running()) << server_->output();
  EXPECT_EQ(Get("/", With("erin:secret")), "200");
  EXPECT_EQ(Get("/", With("erin:wrong")), "401");
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["digest"]["refused"], 1);
  EXPECT_EQ(statistics["access"]["audit"]["logons_lost"], 0);
  const std::vector<nlohmann::json> logons = Records("logon");
  ASSERT_EQ(logons.size(), 1U);
  EXPECT_EQ(logons[0]["claimed"], "erin");
  EXPECT_EQ(logons[0]["reason"], "denied");
  EXPECT_GE(logons[0]["connection"], 1);
}

TEST_F(ServeAccessTest, NoSpellingOfAPathLeadsAround) {
  Start({Certificates()});
  for (const char* path :
       {"/staff/page", "//staff//page", "/%73taff/page", "/staff/", "/staff", "/STAFF/page",
        "/Staff/page", "/staff/page?x=/public/page", "/drop/", "/drop/index.html", "/Mixed/page",
        "/public%2f..%2fstaff/page", "/public/../staff/page", "/public/%2e%2e/staff/page",
        "/./staff/page", "/staff%00/page", "/staff/page%00"}) {
    const Finished told = Curl(path, As(bob_));
    EXPECT_EQ(told.output.find("staff/"), std::string::npos) << path << ": " << told.output;
    EXPECT_TRUE(told.output.ends_with("403") || told.output.ends_with("400") ||
                told.output.ends_with("404"))
        << path << ": " << told.output;
  }
  EXPECT_EQ(Get("/drop/page", As(bob_)), "200");
  EXPECT_EQ(Get("//staff//page", As(alice_)), "200");
  // What only differs in case is refused to all.
  EXPECT_EQ(Get("/STAFF/page", As(alice_)), "403");
  server_->StopCleanly();
}

TEST_F(ServeAccessTest, MethodsAskForOtherRights) {
  WriteAcl("[[path]]\nprefix = \"/\"\nsddl = \"O:BAG:BAD:(A;;FR;;;AU)(A;;FW;;;" +
           std::string(kStaff) + ")S:(AU;SAFA;FA;;;WD)\"\n");
  Start({Certificates()});
  const auto send = [this](const std::string& method, const Authority::Files& who) {
    std::vector<std::string> more = As(who);
    more.insert(more.end(), {"-X", method, "-d", "body"});
    return Get("/public/page", more);
  };
  EXPECT_EQ(send("POST", bob_), "403");
  EXPECT_EQ(send("PUT", bob_), "403");
  EXPECT_EQ(send("DELETE", alice_), "403");
  EXPECT_EQ(send("PROPFIND", alice_), "403");
  // Granted; what serves files has no use for it.
  EXPECT_EQ(send("POST", alice_), "405");
  server_->StopCleanly();
  const std::vector<nlohmann::json> records = Records();
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(records[0]["desired"], "0x120116");
  EXPECT_EQ(records[2]["desired"], "0x10000");
  EXPECT_EQ(records[3]["desired"], "0x1f01ff");
  EXPECT_EQ(records[4]["granted"], "0x120116");
}

TEST_F(ServeAccessTest, EveryRequestIsRecordedAsItsPathAsksFor) {
  Start({Certificates(), Digest()});
  EXPECT_EQ(Get("/staff/page", As(alice_)), "200");
  EXPECT_EQ(Get("//staff/%70age", As(bob_)), "403");
  EXPECT_EQ(Get("/public/page"), "200");  // has no SACL
  EXPECT_EQ(Get("/", With("erin:secret")), "200");
  EXPECT_EQ(Get("/STAFF/page", As(alice_)), "403");
  server_->StopCleanly();
  const std::vector<nlohmann::json> records = Records();
  ASSERT_EQ(records.size(), 5U);
  EXPECT_EQ(records[0]["client"]["user"], kAlice);
  EXPECT_EQ(records[0]["client"]["name"], "alice");
  EXPECT_EQ(records[0]["outcome"], "success");
  EXPECT_EQ(records[0]["object"], "/staff/page");
  EXPECT_EQ(records[0]["desired"], "0x120089");
  EXPECT_EQ(records[0]["granted"], "0x120089");
  EXPECT_EQ(records[0]["subsystem"], "ktlsim serve");
  EXPECT_NE(records[0]["context"], 0);
  EXPECT_NE(records[0]["connection"], records[1]["connection"]);
  EXPECT_TRUE(records[0]["server"]["user"].get<std::string>().starts_with("S-1-22-1-"));
  EXPECT_EQ(records[1]["outcome"], "failure");
  EXPECT_EQ(records[1]["object"], "/staff/page");
  EXPECT_EQ(records[1]["granted"], "0x0");
  // The challenge to Digest is for nobody's request.
  EXPECT_EQ(records[2]["client"]["user"], "S-1-5-7");
  EXPECT_EQ(records[3]["client"]["name"], "erin");
  EXPECT_EQ(records[3]["object"], "/index.html");
  EXPECT_EQ(records[4]["object"], "/STAFF/page");
  EXPECT_EQ(records[4]["outcome"], "failure");
  EXPECT_EQ(Verify().code, 0) << Verify().output;
  // Somebody who would rather not have been there.
  std::string text = TextOf(folder_.File("audit"));
  text.replace(text.find("failure"), 7, "success");
  folder_.Write("audit", text);
  const Finished found = Verify();
  EXPECT_EQ(found.code, 1);
  EXPECT_NE(found.output.find("altered"), std::string::npos) << found.output;
}

TEST_F(ServeAccessTest, ATrailGoesOnWithoutTheKey) {
  Start({Certificates()});
  EXPECT_EQ(Get("/", As(alice_)), "200");
  server_->StopCleanly();
  std::filesystem::remove(folder_.File("key"));
  Start({Certificates()});
  EXPECT_EQ(Get("/", As(alice_)), "200");
  server_->StopCleanly();
  folder_.Write("key", std::string(32, 'k'));
  EXPECT_EQ(Records().size(), 2U);
  EXPECT_EQ(Verify().code, 0) << Verify().output;
}

TEST_F(ServeAccessTest, AReloadTakesAccountsAndDescriptors) {
  Start({Certificates()});
  const auto reload = [this](const std::string& word) {
    server_->Signal(SIGHUP);
    ASSERT_TRUE(server_->WaitForNext(word)) << server_->output();
  };
  EXPECT_EQ(Get("/staff/page", As(alice_)), "200");
  WriteAccounts(/*alice_disabled=*/true);
  reload("reloaded");
  EXPECT_EQ(Get("/staff/page", As(alice_)), "403");
  WriteAccounts(/*alice_disabled=*/false);
  reload("reloaded");
  EXPECT_EQ(Get("/staff/page", As(alice_)), "200");
  WriteAcl("[[path]]\nprefix = \"/\"\nsddl = \"O:BAG:BAD:(A;;FR;;;S-1-5-21-1-2-3-1002)\"\n");
  reload("reloaded");
  EXPECT_EQ(Get("/staff/page", As(alice_)), "403");
  EXPECT_EQ(Get("/staff/page", As(bob_)), "200");
  // What is broken changes nothing.
  WriteAcl("[[path]]\nprefix = \"/\"\nsddl = \"O:BAG:BAD:(A;;XX;;;WD)\"\n");
  reload("acl.toml:3: key `sddl`: byte");
  WriteAcl("[[path]]\nprefix = \"/\"\nsddl = \"O:BAG:BAD:(A;;FR;;;WD)\"\n");
  WriteAccounts(false, "[[mapping]]\nupn = \"alice@example.org\"\naccount = \"alice\"\n");
  reload("accounts.toml:");
  EXPECT_EQ(Get("/staff/page", As(alice_)), "403");
  EXPECT_EQ(Get("/staff/page", As(bob_)), "200");
  EXPECT_EQ(server_->StopCleanly()["reloads_refused"], 2);
}

// A connection that is kept must not keep what its client has lost.
TEST_F(ServeAccessTest, AKeptConnectionEndsWithItsAccounts) {
  Start({Certificates()});
  ChildProcess client({"openssl", "s_client", "-connect", server_->address(), "-cert",
                       alice_.certificate, "-key", alice_.key, "-quiet", "-no_ign_eof"},
                      ChildProcess::Interactive());
  const std::string request = "GET /staff/page HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_TRUE(client.Type(request));
  ASSERT_TRUE(client.WaitForNext("staff/page")) << client.output();
  // The same accounts once more change nothing.
  server_->Signal(SIGHUP);
  ASSERT_TRUE(server_->WaitForNext("reloaded"));
  ASSERT_TRUE(client.Type(request));
  ASSERT_TRUE(client.WaitForNext("staff/page")) << client.output();
  WriteAccounts(/*alice_disabled=*/true);
  server_->Signal(SIGHUP);
  ASSERT_TRUE(server_->WaitForNext("reloaded"));
  const std::size_t so_far = client.output().size();
  ASSERT_TRUE(client.Type(request));
  EXPECT_EQ(client.Wait(), 0);
  EXPECT_EQ(client.output().find("HTTP/1.1", so_far), std::string::npos) << client.output();
  EXPECT_EQ(server_->StopCleanly()["access"]["outdated"], 1);
}

TEST_F(ServeAccessTest, ABrokenFileRefusesTheStart) {
  std::vector<std::string> all = Files();
  const std::vector<std::string> more = Certificates();
  all.insert(all.end(), more.begin(), more.end());
  const auto refused = [&](const std::string& acl, const std::vector<std::string>& words) {
    WriteAcl(acl);
    ExpectRefused(words, all);
    std::vector<std::string> check = all;
    check.emplace_back("--check");
    ExpectRefused(words, check);
  };
  const std::string path = "[[path]]\nprefix = \"/\"\nsddl = ";
  refused(path + "\"O:BAG:BAD:(A;;XX;;;WD)\"\n", {"acl.toml:3: key `sddl`: byte", "sddl explain"});
  refused(path + "\"D:(A;;FR;;;WD)\"\n", {"acl.toml:3", "O:BAG:BA"});
  refused(path + "\"O:BAG:BA\"\n", {"acl.toml:3", "there is no D:"});
  refused("[[path]]\nprefix = \"/a/../b\"\nsddl = \"O:BAG:BAD:\"\n", {"acl.toml:2: key `prefix`"});
  refused(
      "[[path]]\nprefix = \"/a\"\nsddl = \"O:BAG:BAD:\"\n[[path]]\nprefix = \"//a/\"\n"
      "sddl = \"O:BAG:BAD:\"\n",
      {"acl.toml:5: key `prefix`", "acl.toml:1"});
  refused("", {"there is no path"});
  refused("path = 5\n", {"acl.toml:1", "[[path]]"});
  WriteAcl(kPaths);
  folder_.Write("accounts.toml", "[[account]]\nname = 5\n");
  ExpectRefused({"--accounts", "accounts.toml:2: key `name`"}, all);
  WriteAccounts();
  folder_.Write("key", "short");
  std::filesystem::remove(folder_.File("audit.head"));
  ExpectRefused({"--audit-key", "32 bytes"}, all);
}

TEST_F(ServeAccessTest, WhatDoesNotGoTogetherIsRefused) {
  const std::string www = folder_.File("www");
  const std::string acl = folder_.File("acl.toml");
  const std::string accounts = folder_.File("accounts.toml");
  const std::vector<std::string> base = {"--self-signed", "localhost"};
  const auto refused = [&](const std::vector<std::string>& words, std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    ExpectRefused(words, more);
  };
  refused({"acl needs to know who", "--client-auth", "--digest-realm"},
          {"--root", www, "--acl", acl, "--accounts", accounts});
  std::vector<std::string> certificates = Certificates();
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), certificates.begin(), certificates.end());
    return more;
  };
  refused({"acl needs accounts", "--accounts FILE"}, with({"--root", www, "--acl", acl}));
  refused({"need acl", "--acl FILE"}, with({"--root", www, "--accounts", accounts}));
  refused({"need acl"}, with({"--root", www, "--audit", folder_.File("audit")}));
  refused({"need audit", "--audit FILE"}, with({"--root", www, "--acl", acl, "--accounts", accounts,
                                                "--audit-key", folder_.File("key")}));
  refused({"a new trail needs audit-key", "/dev/urandom"},
          with({"--root", www, "--acl", acl, "--accounts", accounts, "--audit",
                folder_.File("audit")}));
  refused({"acl guards", "HTTP"}, with({"--echo", "--acl", acl, "--accounts", accounts}));
  refused({"acl excludes digest-path"},
          {"--root", www, "--acl", acl, "--accounts", accounts, "--digest-realm", "staff",
           "--digest-users", folder_.File("users"), "--digest-path", "/x"});
}

TEST_F(ServeAccessTest, AccessCheckReadsTheSameFiles) {
  const auto check = [this](const std::string& user, const std::string& path,
                            const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {test::CommandPath(),
                                    "access",
                                    "check",
                                    "--acl",
                                    folder_.File("acl.toml"),
                                    "--accounts",
                                    folder_.File("accounts.toml"),
                                    "--user",
                                    user,
                                    "--path",
                                    path};
    all.insert(all.end(), more.begin(), more.end());
    return RunProgram(all);
  };
  const auto expect = [](int code, const std::vector<std::string>& words, const Finished& told) {
    EXPECT_EQ(told.code, code) << told.output;
    for (const std::string& word : words) {
      EXPECT_NE(told.output.find(word), std::string::npos) << word << " in: " << told.output;
    }
  };
  expect(0, {"/staff/page, guarded by /staff", "acl.toml:7", "allowed", "enabled group"},
         check("alice", "//staff/%70age?x"));
  expect(1, {"denied"}, check("bob", "/staff/page"));
  expect(1, {"upper and lower case", "denied"}, check("alice", "/STAFF/page"));
  expect(0, {"allowed"}, check("AN", "/public/page"));
  expect(1, {"denied"}, check("AN", "/"));
  expect(1, {"denied"}, check("alice", "/staff/page", {"--method", "POST"}));
  expect(1, {"/drop/index.html"}, check("alice", "/drop/"));
  expect(2, {"--path", "names nothing", "400"}, check("alice", "/a/../b"));
  expect(2, {"--acl needs --path"},
         RunProgram({test::CommandPath(), "access", "check", "--acl", folder_.File("acl.toml"),
                     "--user", "AN"}));
  expect(2, {"acl.toml:1", "prefix"}, (WriteAcl("[[path]]\nsddl = \"D:\"\n"), check("alice", "/")));
}

// A limit on the size of files stands for a full disk.
TEST_F(ServeAccessTest, WhatCannotBeRecordedIsRefused) {
  std::vector<std::string> all = Files();
  const std::vector<std::string> more = Certificates();
  all.insert(all.end(), more.begin(), more.end());
  // 64 KiB, which is more than the statistics have.
  server_ = std::make_unique<ServeProcess>(
      all,
      std::vector<std::string>{"bash", "-c", "trap '' XFSZ; ulimit -S -f 64; exec \"$@\"", "bash"});
  ASSERT_TRUE(server_->running()) << server_->output();
  std::string last;
  const std::string path = "/staff/" + std::string(3500, 'x');
  for (int i = 0; i < 100 && last != "503"; ++i) last = Get(path, As(bob_));
  EXPECT_EQ(last, "503");
  EXPECT_EQ(Get("/public/page", As(bob_)), "200");  // needs no record
  nlohmann::json statistics;
  // What could not be written in the end is told.
  EXPECT_EQ(server_->Stop(&statistics), 1);
  EXPECT_NE(server_->output().find("the audit trail is not complete"), std::string::npos);
  EXPECT_GE(statistics["access"]["unrecorded"], 1) << statistics.dump(2);
}

}  // namespace
}  // namespace ktlsim::system_tests
