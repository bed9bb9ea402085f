// `ktlsim accounts`: the file that it keeps, and what it shows of a certificate.
#include <sys/stat.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"
#include "tests/system/kept_file_test.h"

namespace ktlsim::system_tests {
namespace {

class AccountsTest : public KeptFileTest {
 protected:
  AccountsTest() : KeptFileTest("accounts", "accounts.toml") {}
  Finished Accounts(std::vector<std::string> arguments, const std::string& input = "") const {
    return Run(std::move(arguments), input);
  }
};

TEST_F(AccountsTest, KeepsAFileOfAccounts) {
  Expect(0, "added \"alice\"", Accounts({"add", file_, "alice"}, "secret\n"));
  struct stat facts{};
  ASSERT_EQ(stat(file_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600);
  EXPECT_NE(Content().find("password = \"$argon2id$v=19$m=65536,t=3,p=4$"), std::string::npos);
  EXPECT_EQ(Content().find("secret"), std::string::npos);
  Expect(0, "1 account, 0 groups", Accounts({"check", file_}));
  Expect(0, "right", Accounts({"check", file_, "alice"}, "secret\n"));
  Expect(1, "another one", Accounts({"check", file_, "alice"}, "Secret\n"));
  Expect(1, "no such account", Accounts({"check", file_, "bob"}, "secret\n"));
  Expect(0, "changed", Accounts({"passwd", file_, "alice"}, "new\n"));
  Expect(1, "another one", Accounts({"check", file_, "alice"}, "secret\n"));
  Expect(0, "right", Accounts({"check", file_, "alice"}, "new\n"));
  Expect(0, "alice", Accounts({"list", file_}));
  // The same password twice has two salts.
  const std::string before = Content();
  Accounts({"passwd", file_, "alice"}, "new\n");
  EXPECT_NE(Content(), before);
}

TEST_F(AccountsTest, WritesTheUnixUserOfAnAccount) {
  folder_.Write("accounts.toml",
                "# ours\n[[account]]\nname = 'a'\n[[account]]\nname = 'b'\nunix-user = 5  # five\n"
                "unix-group = 6\n");
  Expect(0, "changed the Unix user of \"a\"", Accounts({"unix", file_, "a", "nobody"}));
  EXPECT_EQ(Content().find("# ours\n[[account]]\nunix-user = \"nobody\"\nname = 'a'\n"), 0U)
      << Content();
  Expect(0, "changed", Accounts({"unix", file_, "a", "65534"}));
  EXPECT_EQ(Content().find("# ours\n[[account]]\nunix-user = 65534\nname = 'a'\n"), 0U);
  const std::string before = Content();
  Expect(2, "superuser", Accounts({"unix", file_, "a", "root"}));
  Expect(2, "superuser", Accounts({"unix", file_, "a", "4294967295"}));
  Expect(2, "no such user", Accounts({"unix", file_, "a", "0"}));
  Expect(2, "no such user", Accounts({"unix", file_, "a", "nobody-has-it"}));
  Expect(2, "`unix-group`: is missing", Accounts({"unix", file_, "a", "4000000001"}));
  Expect(2, "no name", Accounts({"unix", file_, "a", "x\"\ndisabled = true"}));
  Expect(2, "by hand", Accounts({"unix", file_, "b", "9"}));
  Expect(2, "no account", Accounts({"unix", file_, "c", "9"}));
  Expect(2, "two users", Accounts({"unix", file_, "a"}));
  EXPECT_EQ(Content(), before);
}

TEST_F(AccountsTest, MistakesAreNamed) {
  Expect(2, "add, passwd", Accounts({"frobnicate", file_}));
  Expect(2, "a user is needed", Accounts({"add", file_}));
  Expect(2, "a name is", Accounts({"add", file_, "a@b"}, "x\n"));
  Expect(2, "accounts.toml", Accounts({"passwd", file_, "alice"}, "x\n"));
  Expect(1, "accounts.toml", Accounts({"check", file_}));
  folder_.Write("accounts.toml", "[[account]]\nname = 'a'\nunix-user = 0\nunix-group = 0\n");
  Expect(1, "accounts.toml:3: key `unix-user`", Accounts({"check", file_}));
  Expect(1, "no certificate", Accounts({"key", file_}));
}

TEST_F(AccountsTest, ShowsWhatRulesNeedOfACertificate) {
  const std::string pem = folder_.File("a.pem");
  ASSERT_EQ(RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder_.File("key"), "-out",
                        pem, "-subj", "/CN=a", "-set_serial", "0xAB", "-addext",
                        "subjectAltName=email:Alice@Example.org,otherName:msUPN;UTF8:Alice@Corp"})
                .code,
            0);
  ASSERT_EQ(
      RunProgram({"openssl", "x509", "-in", pem, "-noout", "-pubkey", "-out", folder_.File("p")})
          .code,
      0);
  ASSERT_EQ(RunProgram({"openssl", "pkey", "-pubin", "-in", folder_.File("p"), "-outform", "DER",
                        "-out", folder_.File("d")})
                .code,
            0);
  const std::string digest =
      RunProgram({"openssl", "dgst", "-sha256", "-r", folder_.File("d")}).output.substr(0, 64);
  const Finished told = Accounts({"key", pem});
  EXPECT_EQ(told.code, 0);
  EXPECT_EQ(told.output, "subject-key = \"" + digest +
                             "\"\nserial = \"ab\"\nupn = \"alice@corp\"\nemail = "
                             "\"Alice@example.org\"\n");
}

}  // namespace
}  // namespace ktlsim::system_tests
