// `ktlsim audit`, `ktlsim sddl` and `ktlsim access` as people type them: output, JSON, exit codes.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/audit/audit_trail.h"
#include "tests/support/json_schema.h"
#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"

namespace ktlsim::system_tests {
namespace {

class PolicyCommandsTest : public testing::Test {
 protected:
  Finished Run(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), test::CommandPath());
    return RunProgram(arguments, input);
  }
  void Expect(int code, const std::vector<std::string>& words, const Finished& told) {
    EXPECT_EQ(told.code, code) << told.output;
    for (const std::string& word : words) {
      EXPECT_NE(told.output.find(word), std::string::npos) << word << " in: " << told.output;
    }
  }
  // What --json wrote, held to the schema.
  nlohmann::json ResultOf(const std::string& command) {
    std::ifstream file(json_);
    const nlohmann::json result = nlohmann::json::parse(file);
    EXPECT_EQ(CheckResult(command, result), "");
    return result;
  }

  test::TemporaryFolder folder_;
  const std::string json_ = folder_.File("result.json");
};

// ---- audit verify

class AuditCommandTest : public PolicyCommandsTest {
 protected:
  AuditCommandTest() {
    audit::AuditOptions options;
    options.path = log_;
    options.secret = std::as_bytes(std::span(kKey.data(), kKey.size()));
    auto trail = audit::AuditTrail::Open(options);
    EXPECT_TRUE(trail.ok());
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ((*trail)->Write({.subsystem = "test", .object = "/object"}), audit::Taken::kQueued);
    }
    EXPECT_TRUE((*trail)->Close().ok());
    key_ = folder_.Write("key", kKey);
  }

  std::vector<std::string> Lines() const {
    std::ifstream file(log_);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  void WriteLines(const std::vector<std::string>& lines) const {
    std::ofstream file(log_, std::ios::trunc);
    for (const std::string& line : lines) file << line << "\n";
  }
  Finished Verify(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"audit", "verify", log_, "--audit-key", key_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments);
  }

  static constexpr std::string_view kKey = "0123456789abcdef0123456789abcdef";
  const std::string log_ = folder_.File("audit.log");
  std::string key_;
};

TEST_F(AuditCommandTest, AGoodTrailIsGood) {
  Expect(0, {"5 genuine records, 0 to 4", "ended in order", "the trail is good"},
         Verify({"--json", json_}));
  const nlohmann::json result = ResultOf("audit");
  EXPECT_TRUE(result["valid"]);
  EXPECT_EQ(result["genuine"], 5);
  EXPECT_EQ(result["head"], 5);
}

TEST_F(AuditCommandTest, SaysWhichLineAndWhat) {
  std::vector<std::string> lines = Lines();
  lines[2].replace(lines[2].find("failure"), 7, "success");
  lines.pop_back();
  WriteLines(lines);
  Expect(1,
         {"altered", "audit.log:3", "record 2 was changed", "cut-tail", "record 4 is missing",
          "NOT good"},
         Verify({"--json", json_}));
  const nlohmann::json result = ResultOf("audit");
  EXPECT_FALSE(result["valid"]);
  ASSERT_EQ(result["findings"].size(), 2U);
  EXPECT_EQ(result["findings"][0]["kind"], "altered");
  EXPECT_EQ(result["findings"][0]["line"], 3);
}

TEST_F(AuditCommandTest, TheHeadIsNeededOrLeftOutByName) {
  std::vector<std::string> lines = Lines();
  lines.pop_back();
  WriteLines(lines);
  Expect(1, {"cut-tail"}, Verify({"--head", log_ + ".head"}));
  Expect(0, {"no head"}, Verify({"--no-head"}));
  std::filesystem::remove(log_ + ".head");
  Expect(2, {"--head", "--no-head"}, Verify());
}

TEST_F(AuditCommandTest, AnotherKeyAndMistakesAreNamed) {
  const std::string other = folder_.Write("other", std::string(32, 'x'));
  Expect(1, {"wrong-key", "another audit key"},
         Run({"audit", "verify", log_, "--audit-key", other}));
  Expect(2, {"--audit-key"}, Run({"audit", "verify", log_}));
  Expect(2, {"less than 32 bytes"},
         Run({"audit", "verify", log_, "--audit-key", folder_.Write("short", "x")}));
  Expect(2, {"not one of verify"}, Run({"audit", "check", log_}));
  Expect(2, {"No such file"},
         Run({"audit", "verify", folder_.File("none"), "--no-head", "--audit-key", key_}));
  Expect(2, {"exclude each other"}, Verify({"--head", "x", "--no-head"}));
}

// ---- sddl explain

TEST_F(PolicyCommandsTest, ADescriptorIsExplained) {
  Expect(0,
         {"owner: S-1-5-32-544 (Administrators)", "DACL: 1 entry, protected",
          "allows S-1-1-0 (Everyone): FILE_GENERIC_READ (0x120089)",
          "records accesses that were denied"},
         Run({"sddl", "explain", "O:BAG:SYD:P(A;;FR;;;WD)S:(AU;FA;FA;;;WD)", "--json", json_}));
  const nlohmann::json result = ResultOf("sddl");
  EXPECT_EQ(result["descriptor"]["owner"], "S-1-5-32-544");
  EXPECT_EQ(result["descriptor"]["dacl"]["entries"][0]["mask"], 0x120089);
  EXPECT_TRUE(result["error"].is_null());
}

TEST_F(PolicyCommandsTest, ADescriptorComesFromAnywhere) {
  Expect(0, {"KEY_READ"}, Run({"sddl", "explain", "-", "--kind", "key"}, "D:(A;;KR;;;WD)\n"));
  const std::string file = folder_.Write("policy", "O:BA\nG:BA\nD:(A;;FR;;;DA)\n");
  Expect(1, {"byte 22", "domain", "  D:(A;;FR;;;DA)\n             ^"},
         Run({"sddl", "explain", "--file", file}));
  Expect(0, {"S-1-5-21-1-2-3-512"},
         Run({"sddl", "explain", "--file", file, "--domain", "S-1-5-21-1-2-3"}));
}

TEST_F(PolicyCommandsTest, AMistakeInADescriptorIsPointedAt) {
  Expect(1, {"byte 7: no such right", "  D:(A;;ZZ;;;WD)\n        ^"},
         Run({"sddl", "explain", "D:(A;;ZZ;;;WD)", "--json", json_}));
  const nlohmann::json result = ResultOf("sddl");
  EXPECT_EQ(result["error"]["position"], 6);
  EXPECT_EQ(result["error"]["code"], 1336);
  EXPECT_TRUE(result["descriptor"].is_null());
  Expect(2, {"a descriptor is needed"}, Run({"sddl", "explain"}));
  Expect(2, {"a descriptor is needed"}, Run({"sddl", "explain", "D:", "--file", "x"}));
  Expect(2, {"not one of explain"}, Run({"sddl", "show", "D:"}));
  Expect(2, {"--kind", "directory-service"}, Run({"sddl", "explain", "D:", "--kind", "fish"}));
  Expect(2, {"--domain", "no SID"}, Run({"sddl", "explain", "D:", "--domain", "x"}));
  Expect(2, {"No such file"}, Run({"sddl", "explain", "--file", folder_.File("none")}));
}

// ---- access check

TEST_F(PolicyCommandsTest, AccessIsDecidedAndExplained) {
  const std::vector<std::string> ask = {
      "access",  "check", "--sddl", "O:BAG:BAD:(A;;FR;;;BU)", "--user", "S-1-5-21-1-2-3-1001",
      "--rights"};
  const auto with = [&ask](std::vector<std::string> more) {
    more.insert(more.begin(), ask.begin(), ask.end());
    return more;
  };
  Expect(0, {"allowed: FILE_READ_DATA (0x1)", "entry 1 (A;;FR;;;BU)", "S-1-5-32-545 (Users)"},
         Run(with({"FILE_READ_DATA", "--groups", "BU,BG", "--json", json_})));
  const nlohmann::json result = ResultOf("access");
  EXPECT_TRUE(result["allowed"]);
  EXPECT_EQ(result["rights"][0]["entry"], 1);
  EXPECT_EQ(result["rights"][0]["decider"], "ace");
  Expect(1, {"DELETE", "denied", "no entry for a SID of the token"},
         Run(with({"FR,DELETE", "--groups", "BU"})));
  Expect(1, {"denied"}, Run(with({"FR"})));
  Expect(2, {"--rights", "is no right"}, Run(with({"XX"})));
}

TEST_F(PolicyCommandsTest, AUserComesFromTheDirectoryOfAccounts) {
  const std::string accounts = folder_.Write(
      "accounts.toml",
      "domain-sid = \"S-1-5-21-1-2-3\"\n[[group]]\nname = \"staff\"\nsid = "
      "\"S-1-5-21-1-2-3-1100\"\n"
      "[[account]]\nname = \"alice\"\nsid = \"S-1-5-21-1-2-3-1001\"\ngroups = [\"staff\"]\n"
      "privileges = [\"SeSecurityPrivilege\"]\n[[account]]\nname = \"bob\"\ndisabled = true\n");
  const auto check = [&](const std::string& user, const std::string& rights) {
    return Run({"access", "check", "--accounts", accounts, "--user", user, "--sddl",
                "O:DAG:DAD:(A;;FR;;;S-1-5-21-1-2-3-1100)", "--rights", rights});
  };
  Expect(0, {"S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1100 is an enabled group", "allowed"},
         check("alice", "FR"));
  Expect(0, {"SeSecurityPrivilege is enabled"}, check("Alice", "ACCESS_SYSTEM_SECURITY"));
  Expect(1, {"warning", "disabled", "denied"}, check("bob", "FR"));
  Expect(2, {"--accounts", "no account \"carol\""}, check("carol", "FR"));
}

TEST_F(PolicyCommandsTest, ATokenComesFromAFileToo) {
  const std::string token =
      folder_.Write("token.toml", "user = \"S-1-5-21-1-2-3-1001\"\ngroups = [\"WD\"]\n");
  const std::string policy = folder_.Write("policy", "O:BAG:BAD:(A;;FR;;;WD)\n");
  Expect(0, {"group  S-1-1-0 (Everyone)", "allowed"},
         Run({"access", "check", "--sddl-file", policy, "--token", token, "--rights", "FR"}));
  Expect(2, {"somebody is needed"},
         Run({"access", "check", "--sddl-file", policy, "--rights", "FR"}));
  Expect(2, {"token.toml", "line 1"},
         Run({"access", "check", "--sddl-file", policy, "--rights", "FR", "--token",
              folder_.Write("token.toml", "user = 5")}));
  Expect(2, {"owner and a group"},
         Run({"access", "check", "--sddl", "D:", "--user", "BA", "--rights", "FR"}));
  Expect(2, {"--sddl", "byte 3"},
         Run({"access", "check", "--sddl", "D:x", "--user", "BA", "--rights", "FR"}));
  Expect(2, {"not one of check"},
         Run({"access", "show", "--sddl", "D:", "--user", "BA", "--rights", "FR"}));
}

}  // namespace
}  // namespace ktlsim::system_tests
