// `ktlsim serve --cert-dir`: openssl and curl get the certificate of the name that they ask for,
// whether it was read at the start or is read now; changes, mistakes, and ten thousand of them.

#include <signal.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/support/test_authority.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class CertDirTest : public testing::Test {
 protected:
  CertDirTest() { std::filesystem::create_directory(Folder()); }

  std::string Folder() const { return folder_.File("certificates"); }
  // `stem`.crt and `stem`.key, for the DNS name `name`; each file changes at once.
  void Put(const std::string& stem, const std::string& name) const {
    const test::IssuedCertificate leaf = root_.Leaf(name);
    for (const auto& [end, text] :
         {std::pair(".crt", leaf.Pem()), std::pair(".key", leaf.KeyPem())}) {
      std::filesystem::rename(folder_.Write("fresh", text), Folder() + "/" + stem + end);
    }
  }
  std::vector<std::string> Arguments(const std::string& acquire) const {
    return {"--cert-dir", Folder(), "--acquire", acquire, "--respond-bytes", "5"};
  }

  // What `openssl s_client` prints. `name` empty: it asks for none.
  static std::string Client(const ServeProcess& server, const std::string& name,
                            const std::vector<std::string>& more = {}) {
    ChildProcess::Arguments arguments = {"openssl", "s_client", "-connect", server.address()};
    if (name.empty()) {
      arguments.emplace_back("-noservername");
    } else {
      arguments.insert(arguments.end(), {"-servername", name});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram(arguments).output;
  }
  static bool Shows(const std::string& output, const std::string& name) {
    return output.find("subject=CN = " + name + "\n") != std::string::npos;
  }
  // Verifies the certificate against the root, and gets the body.
  Finished Curl(const ServeProcess& server, const std::string& name) const {
    const std::string port = std::to_string(server.port());
    return RunProgram({"curl", "-sS", "--max-time", "20", "--cacert",
                       folder_.Write("root.pem", root_.Pem()), "--resolve",
                       name + ":" + port + ":127.0.0.1", "https://" + name + ":" + port + "/"});
  }
  // The messages of a server that does not start.
  std::string Refusal(const std::vector<std::string>& arguments) const {
    const ServeProcess server(arguments);
    EXPECT_FALSE(server.running());
    return server.output();
  }

  const test::IssuedCertificate root_ = test::IssuedCertificate::Root("root");
  TemporaryFolder folder_;
};

class AcquireTest : public CertDirTest, public testing::WithParamInterface<const char*> {};

TEST_P(AcquireTest, EachNameGetsItsCertificate) {
  Put("a.example", "a.example");
  Put("_.w.example", "*.w.example");
  Put("default", "other.example");
  ServeProcess server(Arguments(GetParam()));
  ASSERT_TRUE(server.running()) << server.output();
  for (const char* name : {"a.example", "A.Example"}) {
    EXPECT_TRUE(Shows(Client(server, name), "a.example")) << name;
  }
  EXPECT_TRUE(Shows(Client(server, "x.w.example"), "*.w.example"));
  for (const char* name : {"", "other.example", "w.example", "a.x.w.example", "../a.example"}) {
    EXPECT_TRUE(Shows(Client(server, name), "other.example")) << name;
  }
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    EXPECT_TRUE(Shows(Client(server, "a.example", {version}), "a.example")) << version;
  }
  for (const char* name : {"a.example", "x.w.example", "other.example"}) {
    const Finished fetched = Curl(server, name);
    EXPECT_EQ(fetched.code, 0) << fetched.output;
    EXPECT_EQ(fetched.output, "abcde");
  }
  EXPECT_NE(Curl(server, "elsewhere.example").code, 0);  // the default does not hold that name
  server.StopCleanly();
}

TEST_P(AcquireTest, AChangedFileIsTakenByTheNextConnection) {
  Put("a.example", "first.example");
  Put("default", "other.example");
  ServeProcess server(Arguments(GetParam()));
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_TRUE(Shows(Client(server, "a.example"), "first.example"));
  Put("a.example", "second.example");
  EXPECT_TRUE(Shows(Client(server, "a.example"), "second.example"));
  // And a new one, once the name is not remembered any more as one without a file.
  EXPECT_TRUE(Shows(Client(server, "b.example"), "other.example"));
  Put("b.example", "b.example");
  std::string output;
  do {
    output = Client(server, "b.example");
  } while (Shows(output, "other.example"));
  EXPECT_TRUE(Shows(output, "b.example"));
  server.StopCleanly();
}

TEST_P(AcquireTest, SessionsOutliveAReload) {
  Put("default", "a.example");
  ServeProcess server(Arguments(GetParam()));
  ASSERT_TRUE(server.running()) << server.output();
  const std::string session = folder_.File("session");
  EXPECT_NE(Client(server, "a.example", {"-tls1_2", "-sess_out", session}).find("New, TLSv1.2"),
            std::string::npos);
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForNext("reloaded")) << server.output();
  EXPECT_NE(Client(server, "a.example", {"-tls1_2", "-sess_in", session}).find("Reused, TLSv1.2"),
            std::string::npos);
  Put("default", "a.example");
  EXPECT_NE(Client(server, "a.example", {"-tls1_2", "-sess_in", session}).find("New, TLSv1.2"),
            std::string::npos);
  server.StopCleanly();
}

INSTANTIATE_TEST_SUITE_P(When, AcquireTest, testing::Values("first-use", "start"),
                         [](const auto& parameter) {
                           return std::string(parameter.param) == "start" ? "Start" : "FirstUse";
                         });

TEST_F(CertDirTest, ANameWithoutCertificateIsRefusedByItsAlert) {
  Put("a.example", "a.example");
  ServeProcess server(Arguments("first-use"));
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_TRUE(server.WaitForOutput("there is no default.crt")) << server.output();
  for (const char* name : {"b.example", ""}) {
    EXPECT_NE(Client(server, name).find("unrecognized name"), std::string::npos) << name;
  }
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["ends"]["no_credential"], 2);
  EXPECT_EQ(statistics["alerts_sent"]["unrecognized_name"], 2);
}

TEST_F(CertDirTest, AnUnusableFileIsNamedInTheLogAndTriedAgain) {
  Put("a.example", "a.example");
  Put("default", "other.example");
  std::filesystem::rename(Folder() + "/a.example.key", folder_.File("away"));
  ServeProcess server(Arguments("first-use"));
  ASSERT_TRUE(server.running()) << server.output();
  EXPECT_NE(Client(server, "a.example").find("internal error"), std::string::npos);
  ASSERT_TRUE(server.WaitForOutput("put the private key of a.example.crt there"))
      << server.output();
  EXPECT_TRUE(Shows(Client(server, "other.example"), "other.example"));
  std::filesystem::rename(folder_.File("away"), Folder() + "/a.example.key");
  std::string output;
  do {
    output = Client(server, "a.example");
  } while (output.find("internal error") != std::string::npos);
  EXPECT_TRUE(Shows(output, "a.example"));
  server.StopCleanly();
}

TEST_F(CertDirTest, TheStartSaysWhatIsWrong) {
  std::string output = Refusal(Arguments("first-use"));
  EXPECT_NE(output.find("--cert-dir: " + Folder() + ": there is no certificate in it; put"),
            std::string::npos)
      << output;
  Put("a.example", "a.example");
  std::filesystem::remove(Folder() + "/a.example.key");
  output = Refusal(Arguments("start"));
  EXPECT_NE(output.find("a.example.key: there is no such file; put the private key"),
            std::string::npos)
      << output;
  output = Refusal({"--cert-dir", folder_.File("nothing"), "--echo"});
  EXPECT_NE(output.find("name a folder that can be read"), std::string::npos) << output;
  output = Refusal({"--cert-dir", Folder(), "--cipher-suites", "NONSENSE", "--echo"});
  EXPECT_NE(output.find("--cipher-suites"), std::string::npos) << output;
  output = RunProgram({test::CommandPath(), "serve", "--check", "--listen", "127.0.0.1:0",
                       "--cert-dir", Folder(), "--echo"})
               .output;
  EXPECT_NE(output.find("a.example.key: there is no such file"), std::string::npos) << output;
}

// They are neither opened nor kept before somebody asks for them.
TEST_F(CertDirTest, TenThousandCertificatesWaitForTheirFirstUse) {
  Put("default", "other.example");
  for (int i = 0; i < 10000; ++i) {
    for (const char* end : {".crt", ".key"}) {
      std::filesystem::create_hard_link(Folder() + "/default" + end,
                                        Folder() + "/n" + std::to_string(i) + ".example" + end);
    }
  }
  ServeProcess server(Arguments("first-use"));
  ASSERT_TRUE(server.running()) << server.output();
  for (const char* name : {"n0.example", "n5000.example", "n9999.example", "n10000.example"}) {
    EXPECT_TRUE(Shows(Client(server, name), "other.example")) << name;
  }
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["established"], 4);
  const nlohmann::json& certificates = statistics["listeners"][0]["certificates"];
  EXPECT_EQ(certificates["kept"], 4) << certificates;
  // There is neither n10000.example nor _.example.
  EXPECT_EQ(certificates["refused"], 2) << certificates;
  EXPECT_EQ(certificates["loads"], 6) << certificates;
  EXPECT_EQ(certificates["turned_away"], 0) << certificates;
  EXPECT_NE(server.output().find(": 4 kept, "), std::string::npos) << server.output();
}

}  // namespace
}  // namespace ktlsim::system_tests
