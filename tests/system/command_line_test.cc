// What a mistyped command line leads to: exit code 2, and a message with the option and the remedy.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/child_process.h"

namespace ktlsim::system_tests {
namespace {

Finished Ktlsim(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), test::CommandPath());
  return RunProgram(arguments);
}

struct Mistake {
  std::vector<std::string> arguments;
  std::vector<std::string> told;
};

TEST(CommandLineTest, MistakesAreNamedWithTheirRemedy) {
  const std::vector<std::string> good = {"serve", "--listen", "127.0.0.1:0", "--self-signed", "a"};
  const auto with = [&good](std::vector<std::string> more) {
    more.insert(more.begin(), good.begin(), good.end());
    return more;
  };
  const std::vector<Mistake> mistakes = {
      {{},
       {"a command is needed",
        "run, serve, load, stress, report, users, accounts, access, sddl, audit"}},
      {{"sevre"}, {"sevre", "did you mean serve?"}},
      {{"load", "--plcement", "pool"}, {"--plcement", "did you mean --placement?"}},
      {{"load"}, {"a server is needed", "https://"}},
      {{"load", "http://127.0.0.1:1/"}, {"https://"}},
      {{"load", "127.0.0.1:0"}, {"1 to 65535"}},
      {{"load", "127.0.0.1:70000"}, {"1 to 65535"}},
      {{"load", "127.0.0.1:1", "--sni", "a\r\nX: y"}, {"--sni", "\\x0d\\x0a"}},
      {{"load", "127.0.0.1:1", "--rate", "0"}, {"--rate", "out of range"}},
      {{"load", "127.0.0.1:1", "--connections", "5s"}, {"--connections", "64 or 10k"}},
      {with({"--respond-bytes", "1", "--alpn", "h2,http/1.1"}), {"h2", "--echo"}},
      {with({"--root", "/", "--alpn", "imap"}), {"imap", "root"}},
      {{"load", "127.0.0.1:1", "--alpn", "h2"}, {"h2", "--mode handshake"}},
      {{"stress", "--connect", "127.0.0.1:1", "--seconds", "1"}, {"127.0.0.1:1", "refused"}},
      {{"run", "--seconds", "5 s"}, {"--seconds", "500ms or 10s"}},
      {{"stress", "--faults", "slow-readr"}, {"did you mean slow-reader?"}},
      {{"serve"}, {"--listen"}},
      {{"serve", "--listen", "nowhere"}, {"--listen", "127.0.0.1:8443"}},
      {{"serve", "--listen", "127.0.0.1:0", "--echo"}, {"--cert", "--self-signed"}},
      {{"serve", "--listen", "127.0.0.1:0", "--echo", "--cert", "x"}, {"--cert", "--key"}},
      {{"serve", "--listen", "127.0.0.1:0", "--echo", "--cert", "/no/file", "--key", "/no/file"},
       {"--cert", "/no/file", "No such file"}},
      {{"serve", "--listen", "192.0.2.1:1", "--echo", "--self-signed", "a"},
       {"--listen: 192.0.2.1:1", "choose an address of this machine"}},
      {good, {"--respond-bytes", "--echo"}},
      {with({"--echo", "--respond-bytes", "1"}), {"--echo", "respond-bytes"}},
      {with({"--root", "/no/folder"}), {"--root", "/no/folder", "name a folder"}},
      {with({"--upstream", "127.0.0.1:0"}), {"--upstream", "port"}},
      {with({"--echo", "--log-file", "/no/folder/log"}), {"--log-file", "/no/folder/log"}},
      {with({"--echo", "--config", "/no/file"}), {"--config /no/file", "No such file"}},
      {with({"--echo", "--client-auth", "require"}), {"client-auth", "--client-ca"}},
      {with({"--root", "/no/folder", "--check"}), {"--root", "/no/folder"}},
      {with({"--echo", "--tls", "1.1"}), {"--tls", "1.2-1.3"}},
      {with({"--echo", "--tickets", "9"}), {"--tickets", "8"}},
      {with({"--echo", "--leg-timeout", "5"}), {"--leg-timeout", "500ms"}},
      {with({"--echo", "--placement", "moon"}), {"--placement", "pool"}},
      {with({"--echo", "--cipher-suites", "NONSENSE"}), {"--cipher-suites", "openssl ciphers"}},
      {with({"--echo", "--frobnicate"}), {"--frobnicate"}},
      {with({"--respond-bytes", "1", "--digest-realm", "r"}), {"--digest-users", "ktlsim users"}},
      {with({"--respond-bytes", "1", "--digest-users", "f"}), {"--digest-realm"}},
      {with({"--respond-bytes", "1", "--digest-realm", "r", "--digest-users", "/no/file"}),
       {"--digest-users", "/no/file", "No such file"}},
      {with({"--respond-bytes", "1", "--digest-realm", "a:b"}), {"--digest-realm", "no colon"}},
      {with({"--respond-bytes", "1", "--digest-path", "private"}), {"--digest-path", "slash"}},
      {with({"--respond-bytes", "1", "--digest-path", "/a/../b"}), {"--digest-path", "decoded"}},
      {with({"--upstream", "127.0.0.1:1", "--digest-realm", "r", "--digest-users", "f"}),
       {"digest-realm", "let the backend authenticate"}},
      {with({"--echo", "--context-store", "redis://127.0.0.1:1"}), {"--node-key", "/dev/urandom"}},
      {with({"--echo", "--context-store", "mysql://x"}), {"--context-store", "redis://", "memory"}},
      {with({"--echo", "--context-store", "redis://127.0.0.1:1", "--node-key", "/no/file"}),
       {"--node-key", "/no/file", "/dev/urandom"}},
      {with({"--echo", "--node-key", "f"}), {"--context-store"}},
      {with({"--echo", "--context-store-wait", "60s"}), {"--context-store-wait", "30s"}},
      {with({"--echo", "--digest-realm", "r", "--digest-users", "f"}), {"echo", "--root"}},
      {with({"--echo", "--json", "/no/folder/x"}), {"--json /no/folder/x", "folder that exists"}},
      {{"run", "--json", "/no/folder/x"}, {"--json", "/no/folder/x"}},
      {{"load", "--connect", "127.0.0.1:1", "--json", "/no/folder/x"}, {"--json", "/no/folder/x"}},
      {{"load", "127.0.0.1:1", "--digest", ":x"}, {"--digest", "USER"}},
      {{"load", "127.0.0.1:1", "--digest", "a:b", "--mode", "handshake"}, {"--mode request"}},
      {{"load", "127.0.0.1:1", "--digest", "a:b", "--digest-password-file", "f"}, {"give one"}},
      {{"load", "127.0.0.1:1", "--digest-password-file", "f"}, {"--digest USER"}},
      {{"load", "--connect", "127.0.0.1:1", "--resume"}, {"--resume", "--mode handshake"}},
      {{"run", "--seconds", "x"}, {"--seconds"}},
      {{"run", "--tls", "1.1"}, {"--tls"}},
      {{"stress", "--faults", "canary"}, {"--faults", "'canary'", "silent"}},
      {{"stress", "--connect", "nowhere"}, {"--connect"}},
  };
  for (const Mistake& mistake : mistakes) {
    const Finished told = Ktlsim(mistake.arguments);
    EXPECT_EQ(told.code, 2) << told.output;
    for (const std::string& word : mistake.told) {
      EXPECT_NE(told.output.find(word), std::string::npos) << word << " in: " << told.output;
    }
  }
}

TEST(CommandLineTest, StatusesAndAlertsAreExplained) {
  const auto has = [](const std::vector<std::string>& arguments, const std::string& word) {
    const Finished told = Ktlsim(arguments);
    EXPECT_EQ(told.code, 0) << told.output;
    EXPECT_NE(told.output.find(word), std::string::npos) << word << " in: " << told.output;
  };
  has({"status", "0x80090325"}, "SEC_E_UNTRUSTED_ROOT");
  has({"status", "-2146893019"}, "SEC_E_UNTRUSTED_ROOT");
  has({"status", "2148074277"}, "unknown_ca (48)");
  has({"status", "SEC_E_UNTRUSTED_ROOT"}, "0x80090325");
  has({"status", "unknown_ca"}, "alert 48");
  has({"status", "48"}, "becomes SEC_E_UNTRUSTED_ROOT");
  has({"status", "0"}, "SEC_E_OK");
  has({"status", "0x8009ffff"}, "does not define");
  for (const char* wrong : {"", "SEC_E_NOTHING", "0x", "0x1ffffffff", "-99999999999", "4 8"}) {
    EXPECT_EQ(Ktlsim({"status", wrong}).code, 2) << wrong;
  }
  EXPECT_EQ(Ktlsim({"status"}).code, 2);
}

TEST(CommandLineTest, HelpAndVersionAreThere) {
  EXPECT_EQ(Ktlsim({"--help"}).code, 0);
  EXPECT_NE(Ktlsim({"run", "--help"}).output.find("--seconds"), std::string::npos);
  EXPECT_NE(Ktlsim({"serve", "--help"}).output.find("--handshake-timeout"), std::string::npos);
  EXPECT_TRUE(Ktlsim({"--version"}).output.starts_with("ktlsim "));
  for (const std::vector<std::string>& asked :
       {std::vector<std::string>{"--version", "-v"}, {"--verbose", "--version"}}) {
    const Finished told = Ktlsim(asked);
    EXPECT_EQ(told.code, 0);
    for (const char* word :
         {"OpenSSL 3", "liburing", "io_uring  ", "usable", "open files", "records"}) {
      EXPECT_NE(told.output.find(word), std::string::npos) << word << " in: " << told.output;
    }
  }
  EXPECT_EQ(Ktlsim({"-v"}).code, 2);
}

TEST(CommandLineTest, CompletionIsForShellsItKnows) {
  EXPECT_NE(Ktlsim({"--completion", "bash"}).output.find("complete -o filenames -F _ktlsim ktlsim"),
            std::string::npos);
  const Finished other = Ktlsim({"--completion", "tcsh"});
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.output.find("bash, zsh or fish"), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::system_tests
