#include "kernel_sim/accounts/directory.h"

#include <sys/resource.h>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/accounts/accounts_test_support.h"
#include "tests/support/paths.h"

namespace ktlsim::accounts {
namespace {

using security::MappingOutcome;
using test::CheapHash;
using test::DirectoryOf;
using test::kNow;
using test::SidTextOf;

std::string KeyText(char digit) { return std::string(64, digit); }
security::KeyId KeyOfDigit(char digit) { return ParseKeyId(KeyText(digit)).value(); }

TEST(DirectoryTest, AnEmptyTextHasNobody) {
  const auto directory = DirectoryOf("");
  EXPECT_EQ(directory->domain(), "KTLSIM");
  EXPECT_TRUE(directory->accounts().empty());
  EXPECT_EQ(directory->FindByName("alice"), nullptr);
  EXPECT_EQ(directory->DecoyFor("alice"), nullptr);
  EXPECT_EQ(directory->digest_accounts(), nullptr);
  EXPECT_EQ(directory->MapCertificate({}, {}, kNow).outcome, MappingOutcome::kNoMatch);
  EXPECT_EQ(directory->MapDigest("", "", kNow).outcome, MappingOutcome::kNoMatch);
}

TEST(DirectoryTest, ReadsAllOfAnAccount) {
  const auto directory = DirectoryOf(R"(
domain = "EXAMPLE"
domain-sid = "S-1-5-21-1-2-3"
[[group]]
name = "staff"
sid = "S-1-5-21-1-2-3-1100"
privileges = ["SeChangeNotifyPrivilege"]
[[group]]
name = "Administrators"
sid = "S-1-5-32-544"
[[account]]
name = "Alice"
sid = "S-1-5-21-1-2-3-1001"
upn = "alice@example.org"
groups = ["STAFF", "S-1-5-32-545", "staff"]
privileges = "seauditprivilege"
password = ")" + CheapHash("secret") +
                                     R"("
digest = ["alice:staff:00112233445566778899aabbccddeeff",
          "SHA-256:alice:staff:)" + KeyText('a') +
                                     R"("]
logon-types = ["network", "batch"]
disabled = true
locked = true
password-must-change = true
expires = 2027-01-31T12:00:00+01:00
password-expires = 1970-01-01T00:00:01Z
unix-user = 1000
unix-group = 1001
unix-groups = [27, 100]
)");
  ASSERT_EQ(directory->accounts().size(), 1U);
  const Account& alice = directory->accounts()[0];
  EXPECT_EQ(alice.name, "Alice");
  EXPECT_EQ(SidTextOf(alice.sid), "S-1-5-21-1-2-3-1001");
  ASSERT_EQ(alice.groups.size(), 2U);
  EXPECT_EQ(SidTextOf(alice.groups[0]), "S-1-5-21-1-2-3-1100");
  EXPECT_EQ(SidTextOf(alice.groups[1]), "S-1-5-32-545");
  EXPECT_EQ(alice.privileges, (security::PrivilegeSet{security::Privilege::kChangeNotify,
                                                      security::Privilege::kAudit}));
  ASSERT_TRUE(alice.password.has_value());
  ASSERT_EQ(alice.digest.size(), 2U);
  EXPECT_EQ(alice.digest[1].hash_id, digest::HashId::kSha256);
  EXPECT_TRUE(alice.logon_types.Has(LogonType::kNetwork));
  EXPECT_TRUE(alice.logon_types.Has(LogonType::kNetworkCleartext));
  EXPECT_TRUE(alice.logon_types.Has(LogonType::kBatch));
  EXPECT_FALSE(alice.logon_types.Has(LogonType::kInteractive));
  EXPECT_FALSE(alice.logon_types.Has(LogonType::kService));
  EXPECT_TRUE(alice.disabled && alice.locked && alice.password_must_change);
  EXPECT_EQ(alice.expires, 1801393200);  // date -d 2027-01-31T11:00:00Z +%s
  EXPECT_EQ(alice.password_expires, 1);
  ASSERT_TRUE(alice.unix_identity.has_value());
  EXPECT_EQ(alice.unix_identity->uid, 1000U);
  EXPECT_EQ(alice.unix_identity->gid, 1001U);
  EXPECT_EQ(alice.unix_identity->groups, (std::vector<gid_t>{27, 100}));
  EXPECT_EQ(directory->FindBySid(alice.sid), &alice);
  EXPECT_EQ(directory->FindGroupBySid(alice.groups[0]), &directory->groups()[0]);
  EXPECT_EQ(directory->FindGroupBySid(alice.sid), nullptr);
  ASSERT_NE(directory->digest_accounts(), nullptr);
  EXPECT_EQ(directory->digest_accounts()->size(), 4U);  // each by its hashed name, too
}

TEST(DirectoryTest, TheReadmesExampleIsOne) {
  std::ifstream file(ktlsim::test::SourceRoot() + "/kernel_sim/accounts/README.md");
  const std::string readme{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::size_t begin = readme.find("```toml\n");
  ASSERT_NE(begin, std::string::npos);
  const std::size_t end = readme.find("```", begin + 3);
  const auto directory = DirectoryOf(readme.substr(begin + 8, end - begin - 8));
  ASSERT_NE(directory->FindByName("alice"), nullptr);
  EXPECT_EQ(directory->FindByName("alice")->password->Verify(SecretText("password")),
            PasswordMatch::kRight);
  EXPECT_EQ(directory->rules(), 1U);
}

TEST(DirectoryTest, DerivedSidsDependOnTheNamesAlone) {
  const auto one = DirectoryOf("[[account]]\nname = 'alice'\n[[account]]\nname = 'bob'\n");
  const auto two = DirectoryOf("[[account]]\nname = 'Bob'\n[[group]]\nname = 'ALICE'\n");
  EXPECT_EQ(one->accounts()[0].sid, two->groups()[0].sid);
  EXPECT_EQ(one->accounts()[1].sid, two->accounts()[0].sid);
  EXPECT_TRUE(security::InSameDomain(one->accounts()[0].sid, one->domain_sid()).value());
  EXPECT_GE(one->accounts()[0].sid.view().last(), 0x80000000U);
  const auto other = DirectoryOf("domain = 'OTHER'\n[[account]]\nname = 'alice'\n");
  EXPECT_NE(other->accounts()[0].sid, one->accounts()[0].sid);
  EXPECT_EQ(other->accounts()[0].sid.view().last(), one->accounts()[0].sid.view().last());
}

TEST(DirectoryTest, FindsWhoLogsOn) {
  const auto directory =
      DirectoryOf("domain = 'EXAMPLE'\n[[account]]\nname = 'alice'\nupn = 'a.smith@example.org'\n");
  const Account* const alice = &directory->accounts()[0];
  EXPECT_EQ(directory->FindForLogon("alice", ""), alice);
  EXPECT_EQ(directory->FindForLogon("ALICE", "."), alice);
  EXPECT_EQ(directory->FindForLogon("alice", "example"), alice);
  EXPECT_EQ(directory->FindForLogon("A.Smith@Example.Org", ""), alice);
  EXPECT_EQ(directory->FindForLogon("alice", "OTHER"), nullptr);
  EXPECT_EQ(directory->FindForLogon("a.smith@example.org", "EXAMPLE"), nullptr);
  EXPECT_EQ(directory->FindForLogon("alice@example.org", ""), nullptr);
  EXPECT_EQ(directory->FindForLogon("", ""), nullptr);
}

// Who cannot look does not know that there is nothing: groups are not left out.
TEST(DirectoryTest, ASystemThatCannotLookIsAMistake) {
  const std::string a = "[[account]]\nname = 'a'\n";
  static_cast<void>(DirectoryOf(a + "unix-user = 'daemon'\n"));  // it has read its configuration
  const auto mistake_in = [](const std::string& text) {
    std::string told;
    static_cast<void>(Directory::Parse(text, "d.toml", &told));
    return told;
  };
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const std::string user = mistake_in(a + "unix-user = 'daemon'\n");
  const std::string group =
      mistake_in(a + "unix-user = 1\nunix-group = 'daemon'\nunix-groups = []\n");
  const std::string numbers = mistake_in(a + "unix-user = 1\nunix-group = 1\nunix-groups = [2]\n");
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(user, testing::HasSubstr("d.toml:3: key `unix-user`: the system could not look"));
  EXPECT_THAT(group, testing::HasSubstr("d.toml:4: key `unix-group`: the system could not look"));
  EXPECT_EQ(numbers, "");
}

TEST(DirectoryTest, MistakesNameFileLineKeyAndRemedy) {
  const std::string a = "[[account]]\nname = 'a'\n";  // two lines
  const std::string g = "[[group]]\nname = 'g'\n";
  const std::string key = "'" + KeyText('a') + "'";
  struct Mistake {
    std::string text;
    std::vector<std::string> told;
  };
  const Mistake mistakes[] = {
      {"x = \n", {"d.toml:1: not TOML"}},
      {"users = 1\n", {"d.toml:1: key `users`: unknown", "account"}},
      {"domain = 1\n", {"d.toml:1: key `domain`: a text"}},
      {"domain = 'a\\b'\n", {"d.toml:1: key `domain`: a name is"}},
      {"domain-sid = 'S-1-5-32'\n", {"d.toml:1: key `domain-sid`: write S-1-5-21-A-B-C"}},
      {"domain-sid = 'S-1-5-21-1-2-3-4'\n", {"d.toml:1: key `domain-sid`"}},
      {"account = 1\n", {"d.toml:1: key `account`: write [[account]]"}},
      {"[account]\nname = 'a'\n", {"d.toml:1: key `account`: write [[account]]"}},
      {"[[account]]\nupn = 'a@b'\n", {"d.toml:1: key `name`: is missing"}},
      {a + "nam = 1\n", {"d.toml:3: key `nam`: unknown", "logon-types"}},
      {"[[account]]\nname = 'a@b'\n", {"d.toml:2: key `name`: a name is"}},
      {"[[account]]\nname = '.'\n", {"d.toml:2: key `name`"}},
      {"[[account]]\nname = \"a\\u0000\"\n", {"d.toml:2: key `name`: a NUL"}},
      {a + "[[account]]\nname = 'A'\n", {"d.toml:4: key `name`: another account or group"}},
      {g + "[[account]]\nname = 'G'\n", {"d.toml:4: key `name`: another account or group"}},
      {a + "sid = 'S-1-5-18'\n", {"d.toml:3: key `sid`: write S-1-5-21-A-B-C-N"}},
      {a + "sid = 'S-1-5-32-544'\n", {"d.toml:3: key `sid`"}},
      {g + "sid = 'S-1-5-2'\n", {"d.toml:3: key `sid`", "S-1-5-32-N"}},
      {g + "sid = 'S-1-16-16384'\n", {"d.toml:3: key `sid`"}},
      {a + "sid = 'S-1-5-21-1-2-3-4'\n[[account]]\nname = 'b'\nsid = 'S-1-5-21-1-2-3-4'\n",
       {"d.toml:6: key `sid`: another account or group has the same SID"}},
      {a + "upn = 'alice'\n", {"d.toml:3: key `upn`: write user@domain"}},
      {a + "upn = 'a@b'\n[[account]]\nname = 'b'\nupn = 'A@B'\n", {"d.toml:6: key `upn`"}},
      {a + "groups = ['x']\n", {"d.toml:3: key `groups`: there is no such group"}},
      {a + "groups = ['S-1-5-18']\n", {"d.toml:3: key `groups`"}},
      {a + "groups = ['S-1-16-16384']\n", {"d.toml:3: key `groups`"}},
      {a + "groups = [1]\n", {"d.toml:3: key `groups`: a text or a list of texts"}},
      {a + "privileges = ['SeMagic']\n", {"d.toml:3: key `privileges`: there is no such"}},
      {a + "password = 'opensesame'\n", {"d.toml:3: key `password`", "Argon2id", "passwd"}},
      {a + "digest = 'x'\n", {"d.toml:3: key `digest`", "USER:REALM:HASH"}},
      {a + "digest = \"a:b:00112233445566778899aabbccddeeff\\n\"\n", {"d.toml:3", "one line"}},
      {a + "digest = ['# x']\n", {"d.toml:3: key `digest`", "one line"}},
      {a + "digest = ['a:b:00112233445566778899aabbccddeeff',\n"
           "'a:b:00112233445566778899aabbccddeeff']\n",
       {"d.toml:4: key `digest`: another line"}},
      {a + "digest = 'u:r:00112233445566778899aabbccddeeff'\n[[account]]\nname = 'b'\n"
           "digest = 'u:r:ff112233445566778899aabbccddeeff'\n",
       {"d.toml:6: key `digest`: another account"}},
      {a + "logon-types = ['unlock']\n", {"d.toml:3: key `logon-types`: write interactive"}},
      {a + "disabled = 'no'\n", {"d.toml:3: key `disabled`: write true or false"}},
      {a + "expires = '2027-01-01'\n", {"d.toml:3: key `expires`: a time with its offset"}},
      {a + "expires = 2027-01-01\n", {"d.toml:3: key `expires`"}},
      {a + "expires = 2027-01-01T00:00:00\n", {"d.toml:3: key `expires`"}},
      {a + "unix-user = 0\nunix-group = 1\n", {"d.toml:3: key `unix-user`", "superuser"}},
      {a + "unix-user = 1\nunix-group = 0\n", {"d.toml:4: key `unix-group`", "superuser"}},
      {a + "unix-user = 1\nunix-group = 1\nunix-groups = [1, 0]\n",
       {"d.toml:5: key `unix-groups`"}},
      {a + "unix-user = 4294967295\nunix-group = 1\n", {"d.toml:3: key `unix-user`"}},
      {a + "unix-user = -1\nunix-group = 1\n", {"d.toml:3: key `unix-user`"}},
      {a + "unix-user = 'root'\nunix-group = 1\n", {"d.toml:3: key `unix-user`", "superuser"}},
      {a + "unix-user = 'nobody-has-it'\n", {"d.toml:3: key `unix-user`: the system has no such"}},
      {a + "unix-user = ''\n", {"d.toml:3: key `unix-user`: a name in quotes or"}},
      {a + "unix-user = 1.5\n", {"d.toml:3: key `unix-user`: a name in quotes or"}},
      {a + "unix-user = 4000000001\n", {"d.toml:1: key `unix-group`: is missing"}},
      {a + "unix-user = 1\nunix-group = 'root'\n", {"d.toml:4: key `unix-group`", "superuser"}},
      {a + "unix-user = 1\nunix-group = 'nobody-has-it'\n",
       {"d.toml:4: key `unix-group`: the system has no such"}},
      {a + "unix-user = 1\nunix-groups = ['root']\n", {"d.toml:4: key `unix-groups`"}},
      {a + "unix-user = 1\nunix-groups = 5\n", {"d.toml:4: key `unix-groups`: a list of names"}},
      {a + "unix-groups = [5]\n", {"d.toml:1: key `unix-user`: is missing; unix-groups"}},
      {a + "unix-group = 5\n", {"d.toml:1: key `unix-user`: is missing; unix-group"}},
      // Any trusted authority can write any name.
      {a + "[[mapping]]\nupn = 'a@b'\naccount = 'a'\n", {"d.toml:4: key `upn`: add `issuers`"}},
      {a + "[[mapping]]\nemail = 'a@b'\naccount = 'a'\nissuers = []\n",
       {"d.toml:4: key `email`: add `issuers`"}},
      {a + "[[mapping]]\nupn = 'a'\naccount = 'a'\nissuers = " + key + "\n",
       {"d.toml:4: key `upn`"}},
      {a + "[[mapping]]\nupn = 'a@b'\naccount = 'a'\nissuers = 'CN=x'\n",
       {"d.toml:6: key `issuers`: a key identifier"}},
      {a + "[[mapping]]\naccount = 'a'\n", {"d.toml:3: [[mapping]]: write exactly one of"}},
      {a + "[[mapping]]\nupn = 'a@b'\nemail = 'a@b'\naccount = 'a'\n", {"d.toml:3: [[mapping]]"}},
      {a + "[[mapping]]\nupn = 'a@b'\nissuers = " + key + "\n", {"key `account`: is missing"}},
      {a + "[[mapping]]\nsubject-key = " + key + "\naccount = 'x'\n",
       {"d.toml:5: key `account`: there is no such account"}},
      {a + "[[mapping]]\nsubject-key = 'x'\naccount = 'a'\n", {"d.toml:4: key `subject-key`"}},
      {a + "[[mapping]]\nsubject-key = " + key + "\naccount = 'a'\nissuers = " + key + "\n",
       {"d.toml:6: key `issuers`", "remove"}},
      {a + "[[mapping]]\nissuer = " + key + "\naccount = 'a'\n", {"key `issuer`: add `serial`"}},
      {a + "[[mapping]]\nissuer = " + key + "\nserial = 'z'\naccount = 'a'\n",
       {"d.toml:5: key `serial`"}},
      {g + "[[mapping]]\nissuer = " + key + "\nserial = '1'\ngroup = 'g'\n",
       {"d.toml:6: key `group`"}},
      {g + "[[mapping]]\nissuer = " + key + "\ngroup = 'h'\n", {"d.toml:5: key `group`"}},
      {g + "[[mapping]]\nsubject-key = " + key + "\ngroup = 'g'\n", {"d.toml:5: key `group`"}},
      {a + "[[mapping]]\ndigest-user = 'u'\naccount = 'a'\n", {"key `realm`: is missing"}},
      {a + "[[mapping]]\ndigest-user = 'u'\nrealm = 'r'\n", {"key `account`: is missing"}},
      {a + "[[mapping]]\nsubject-key = " + key + "\nrealm = 'r'\naccount = 'a'\n",
       {"d.toml:5: key `realm`"}},
  };
  for (const Mistake& mistake : mistakes) {
    std::string told;
    EXPECT_EQ(Directory::Parse(mistake.text, "d.toml", &told), nullptr) << mistake.text;
    for (const std::string& word : mistake.told) {
      EXPECT_NE(told.find(word), std::string::npos) << word << " in: " << told;
    }
    EXPECT_EQ(told.find('\n'), std::string::npos) << told;
  }
}

TEST(DirectoryTest, NoMessageShowsAPassword) {
  for (const std::string text : {"[[account]]\nname = 'a'\npassword = 'opensesame'\n",
                                 "[[account]]\nname = 'a'\ndigest = 'a:b:opensesame'\n",
                                 "[[account]]\nname = 'a'\ndigest = 'opensesame'\n"}) {
    std::string told;
    EXPECT_EQ(Directory::Parse(text, "d.toml", &told), nullptr);
    EXPECT_EQ(told.find("opensesame"), std::string::npos) << told;
  }
}

TEST(DirectoryTest, DepthIsBounded) {
  std::string deep = "x = ";
  for (int i = 0; i < 100000; ++i) deep += "[";
  std::string told;
  EXPECT_EQ(Directory::Parse(deep, "d.toml", &told), nullptr);
  EXPECT_NE(told.find("d.toml:1: a key of more than"), std::string::npos) << told;
}

// ---- Mapping

// One account for each rule, named after it.
std::string RulesText() {
  std::string text = "[[group]]\nname = 'partners'\nprivileges = 'SeAuditPrivilege'\n";
  for (const char* name : {"by-upn", "by-email", "by-serial", "by-key", "by-issuer", "by-digest",
                           "off", "old", "local-only"}) {
    text += std::string("[[account]]\nname = '") + name + "'\n";
    if (name == std::string("off")) text += "disabled = true\n";
    if (name == std::string("old")) text += "expires = 2026-01-01T00:00:00Z\n";
    if (name == std::string("local-only")) text += "logon-types = ['interactive']\n";
  }
  const std::string a = "'" + KeyText('a') + "'";
  const std::string b = "'" + KeyText('b') + "'";
  text += "[[mapping]]\nupn = 'User@Example.org'\nissuers = [" + a + "," + b +
          "]\naccount = 'by-upn'\n";
  text += "[[mapping]]\nemail = 'User@Example.org'\nissuers = " + a + "\naccount = 'by-email'\n";
  text += "[[mapping]]\nissuer = " + a + "\nserial = '00:0A'\naccount = 'by-serial'\n";
  text += "[[mapping]]\nsubject-key = '" + KeyText('c') + "'\naccount = 'by-key'\n";
  text += "[[mapping]]\nissuer = " + b + "\ngroup = 'partners'\naccount = 'by-issuer'\n";
  text += "[[mapping]]\ndigest-user = 'Dora'\nrealm = 'staff'\naccount = 'by-digest'\n";
  for (const char* name : {"off", "old", "local-only"}) {
    text += std::string("[[mapping]]\nemail = '") + name + "@example.org'\nissuers = " + a +
            "\naccount = '" + name + "'\n";
  }
  return text;
}

struct Asked {
  std::vector<std::string> emails = {};
  std::vector<std::string> upns = {};
  std::string serial = "1";
  char key = '0';
  std::string issuers = "a";  // a digit each, the nearest first
};

Match Map(const Directory& directory, const Asked& asked) {
  CertificateFacts facts;
  for (const std::string& email : asked.emails) facts.emails.push_back(FoldEmail(email));
  for (const std::string& upn : asked.upns) facts.upns.push_back(FoldUpn(upn));
  facts.serial = asked.serial;
  facts.key = KeyOfDigit(asked.key);
  std::vector<security::KeyId> issuers;
  for (const char digit : asked.issuers) issuers.push_back(KeyOfDigit(digit));
  return directory.MapCertificate(facts, issuers, kNow);
}

std::string MapName(const Directory& directory, const Asked& asked) {
  const Match match = Map(directory, asked);
  switch (match.outcome) {
    case MappingOutcome::kToken:
      return match.account->name;
    case MappingOutcome::kNoMatch:
      return "nobody";
    case MappingOutcome::kTwoMatches:
      return "two";
    case MappingOutcome::kDisabled:
      return "disabled";
    case MappingOutcome::kNoMemory:
    case MappingOutcome::kFailure:
      break;
  }
  return "?";
}

TEST(MappingTest, EachRuleFindsItsAccount) {
  const auto directory = DirectoryOf(RulesText());
  EXPECT_EQ(directory->rules(), 8U);
  EXPECT_EQ(MapName(*directory, {.upns = {"uSER@example.ORG"}}), "by-upn");
  EXPECT_EQ(MapName(*directory, {.emails = {"User@EXAMPLE.org"}}), "by-email");
  // The local part of an e-mail keeps its case.
  EXPECT_EQ(MapName(*directory, {.emails = {"user@example.org"}}), "nobody");
  EXPECT_EQ(MapName(*directory, {.serial = "a"}), "by-serial");
  EXPECT_EQ(MapName(*directory, {.key = 'c', .issuers = ""}), "by-key");
  EXPECT_EQ(MapName(*directory, {.issuers = "b"}), "by-issuer");
  EXPECT_EQ(MapName(*directory, {}), "nobody");
}

TEST(MappingTest, ANameCountsFromItsIssuersAlone) {
  const auto directory = DirectoryOf(RulesText());
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org"}, .issuers = "f"}), "nobody");
  EXPECT_EQ(MapName(*directory, {.emails = {"User@example.org"}, .issuers = "f"}), "nobody");
  EXPECT_EQ(MapName(*directory, {.serial = "a", .issuers = "f"}), "nobody");
  // Whoever stands above the issuer did not issue it, and one that nobody knows is nobody.
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org"}, .issuers = "fa"}), "nobody");
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org"}, .issuers = ""}), "nobody");
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org"}, .issuers = "af"}), "by-upn");
}

TEST(MappingTest, TwoAccountsAreNone) {
  const auto directory = DirectoryOf(RulesText());
  EXPECT_EQ(MapName(*directory, {.emails = {"User@example.org"}, .upns = {"user@example.org"}}),
            "two");
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org"}, .serial = "a"}), "two");
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org"}, .key = 'c'}), "two");
  // Twice the same one is one; a second name that nobody has is none.
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org", "USER@example.org"}}), "by-upn");
  EXPECT_EQ(MapName(*directory, {.upns = {"user@example.org", "other@example.org"}}), "by-upn");
  // One that is off makes two, too: nobody chooses.
  EXPECT_EQ(MapName(*directory, {.emails = {"off@example.org", "User@example.org"}}), "two");
}

TEST(MappingTest, TwoRulesForOneNameAreTwoMatches) {
  const auto directory = DirectoryOf(
      "[[account]]\nname = 'a'\n[[account]]\nname = 'b'\n"
      "[[mapping]]\nupn = 'u@x'\nissuers = '" +
      KeyText('a') +
      "'\naccount = 'a'\n"
      "[[mapping]]\nupn = 'U@X'\nissuers = '" +
      KeyText('b') +
      "'\naccount = 'b'\n"
      "[[mapping]]\nupn = 'u@x'\nissuers = '" +
      KeyText('d') +
      "'\naccount = 'a'\n"
      "[[mapping]]\nupn = 'u@x'\nissuers = '" +
      KeyText('d') + "'\naccount = 'b'\n");
  EXPECT_EQ(MapName(*directory, {.upns = {"u@x"}, .issuers = "a"}), "a");
  EXPECT_EQ(MapName(*directory, {.upns = {"u@x"}, .issuers = "b"}), "b");
  EXPECT_EQ(MapName(*directory, {.upns = {"u@x"}, .issuers = "d"}), "two");
}

TEST(MappingTest, AnIssuerGivesItsGroupToAll) {
  const auto directory = DirectoryOf(RulesText());
  const Match known = Map(*directory, {.upns = {"user@example.org"}, .issuers = "b"});
  ASSERT_NE(known.account, nullptr);
  EXPECT_EQ(known.account->name, "by-upn");
  ASSERT_EQ(known.groups.size(), 1U);
  EXPECT_EQ(known.groups[0], directory->groups()[0].sid);
  EXPECT_EQ(known.privileges, security::PrivilegeSet{security::Privilege::kAudit});
  EXPECT_TRUE(Map(*directory, {.upns = {"user@example.org"}, .issuers = "a"}).groups.empty());
  // Without an account of its own, a group alone is nobody.
  const auto group_only = DirectoryOf("[[group]]\nname = 'g'\n[[mapping]]\nissuer = '" +
                                      KeyText('b') + "'\ngroup = 'g'\n");
  EXPECT_EQ(MapName(*group_only, {.issuers = "b"}), "nobody");
}

TEST(MappingTest, WhoMayNotIsDisabled) {
  const auto directory = DirectoryOf(RulesText());
  for (const char* name : {"off@example.org", "old@example.org", "local-only@example.org"}) {
    EXPECT_EQ(MapName(*directory, {.emails = {name}}), "disabled") << name;
  }
}

TEST(MappingTest, DigestNeedsTheExactUserAndRealm) {
  const auto directory = DirectoryOf(RulesText());
  const auto outcome = [&](std::string_view user, std::string_view realm) {
    return directory->MapDigest(user, realm, kNow).outcome;
  };
  EXPECT_EQ(outcome("Dora", "staff"), MappingOutcome::kToken);
  EXPECT_EQ(directory->MapDigest("Dora", "staff", kNow).account->name, "by-digest");
  using std::string_view_literals::operator""sv;
  for (const auto& [user, realm] : {std::pair("dora"sv, "staff"sv),
                                    {"Dora"sv, "Staff"sv},
                                    {"Dora "sv, "staff"sv},
                                    {"Dora\0"sv, "staff"sv},
                                    {"Dora"sv, ""sv},
                                    {""sv, "staff"sv},
                                    {"by-digest"sv, "staff"sv},
                                    {"Dora\0staff"sv, ""sv}}) {
    EXPECT_EQ(outcome(user, realm), MappingOutcome::kNoMatch) << user << " in " << realm;
  }
}

// ---- What nobody costs

// Spellings that are one account's where there is one are one name's where there is none.
TEST(NameForPaceTest, DoesNotTellWhetherThereIsAnAccount) {
  const auto directory = test::DirectoryOf(
      "domain = 'EXAMPLE'\n[[account]]\nname = 'Alice'\nupn = 'alice@example.org'\n");
  for (const std::string name : {"alice", "nobody"}) {
    const std::string upper = name == "alice" ? "ALICE" : "NOBODY";
    EXPECT_EQ(directory->NameForPace(name, ""), name);
    EXPECT_EQ(directory->NameForPace(upper, ""), name);
    EXPECT_EQ(directory->NameForPace(upper, "."), name);
    EXPECT_EQ(directory->NameForPace(name, "example"), name);
    EXPECT_EQ(directory->NameForPace(name, "EXAMPLE"), name);
    EXPECT_EQ(directory->NameForPace(upper + "@Example.org", ""), name);
    EXPECT_EQ(directory->NameForPace(name, "Other"), "other\\" + name);
  }
}

TEST(DecoyTest, CostsWhatTheAccountsCost) {
  std::string text;
  PasswordHash expensive;
  const std::array<std::uint8_t, 16> salt{};
  ASSERT_TRUE(PasswordHash::Make(SecretText("x"), {.memory_kib = 64, .passes = 2, .lanes = 1}, salt,
                                 &expensive));
  for (int i = 0; i < 4; ++i) {
    const std::string password = i == 0 ? expensive.Text() : CheapHash("x");
    text += "[[account]]\nname = 'u" + std::to_string(i) + "'\npassword = '" + password + "'\n";
  }
  const auto directory = DirectoryOf(text);
  int costly = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "nobody" + std::to_string(i);
    const PasswordHash* const decoy = directory->DecoyFor(name);
    ASSERT_NE(decoy, nullptr);
    EXPECT_EQ(decoy, directory->DecoyFor(name));
    if (decoy->cost().memory_kib == 64) ++costly;
  }
  // A quarter of them; 14 standard deviations would be missed once in 10^40 runs.
  EXPECT_GT(costly, 50);
  EXPECT_LT(costly, 450);
}

}  // namespace
}  // namespace ktlsim::accounts
