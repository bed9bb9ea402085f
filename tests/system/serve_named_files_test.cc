// The files that `ktlsim serve` reads and writes: if a name leads to anything else, it is refused
// at the start, by --check and at SIGHUP, at once and in words, and the running configuration does
// not change.

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/authority.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

// Something that stands in the place of a file.
struct Impostor {
  const char* told;  // the words of the refusal
  std::function<void(const std::string& path)> make;
};

void MakeSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(socket);
}

std::vector<Impostor> Impostors() {
  return {
      {"FIFO", [](const auto& path) { EXPECT_EQ(mkfifo(path.c_str(), 0600), 0); }},
      {"directory", [](const auto& path) { std::filesystem::create_directory(path); }},
      {"device", [](const auto& path) { std::filesystem::create_symlink("/dev/zero", path); }},
      {"socket", &MakeSocket},
      {"No such file", [](const auto&) {}},
      // The refusal comes from reading it.
      {"Input/output error",
       [](const auto& path) { std::filesystem::create_symlink("/proc/self/mem", path); }},
      {"too large",
       [](const auto& path) {
         const std::ofstream made(path);
         std::filesystem::resize_file(path, std::uintmax_t{1} << 40);
       }},
  };
}

class NamedFilesTest : public testing::Test {
 protected:
  NamedFilesTest() {
    own_ = authority_.Issue("localhost");
    other_ = authority_.Issue("other.example");
    client_ = authority_.Issue("client");
    for (const auto& [name, from] : Sources()) std::filesystem::copy_file(from, Path(name));
    WriteConfig();
  }

  std::string Path(const std::string& name) const { return folder_.File(name); }
  std::vector<std::pair<std::string, std::string>> Sources() const {
    return {{"cert", own_.certificate},
            {"key", own_.key},
            {"sni-cert", other_.certificate},
            {"sni-key", other_.key},
            {"ca", authority_.certificate()}};
  }
  void WriteConfig() const {
    std::ofstream(Path("config")) << fmt::format(
        "cert = \"{0}/cert\"\nkey = \"{0}/key\"\nsni = \"other.example={0}/sni-cert,{0}/sni-key\"\n"
        "client-auth = \"require\"\nclient-ca = \"{0}/ca\"\nrespond-bytes = 5\n",
        std::filesystem::path(Path("config")).parent_path().string());
  }
  static std::vector<std::string> Names() {
    return {"config", "cert", "key", "sni-cert", "sni-key", "ca"};
  }
  // Puts `impostor` in the place of a file for as long as it lives.
  class Replaced {
   public:
    Replaced(std::string path, const Impostor& impostor) : path_(std::move(path)) {
      std::filesystem::rename(path_, path_ + ".good");
      impostor.make(path_);
    }
    ~Replaced() {
      std::filesystem::remove(path_);
      std::filesystem::rename(path_ + ".good", path_);
    }
    Replaced(const Replaced&) = delete;
    Replaced& operator=(const Replaced&) = delete;

   private:
    const std::string path_;
  };

  // A request with the client's certificate, and one without, which must not succeed.
  void ExpectServesAsBefore(const ServeProcess& server) const {
    EXPECT_EQ(RunProgram({"curl", "-sSk", "--max-time", "20", "--cert", client_.certificate,
                          "--key", client_.key, server.url()})
                  .output,
              "abcde");
    EXPECT_NE(RunProgram({"curl", "-sSk", "--max-time", "20", server.url()}).output, "abcde")
        << "a client without a certificate is let in";
  }

  Authority authority_{"Known"};
  Authority::Files own_;
  Authority::Files other_;
  Authority::Files client_;
  TemporaryFolder folder_;
};

TEST_F(NamedFilesTest, AreRefusedAtAReloadAndAllStaysAsItWas) {
  ServeProcess server({"--config", Path("config"), "--log-file", "/dev/stderr"});
  ASSERT_TRUE(server.running()) << server.output();
  int refused = 0;
  for (const std::string& name : Names()) {
    for (const Impostor& impostor : Impostors()) {
      const Replaced replaced(Path(name), impostor);
      server.Signal(SIGHUP);
      ASSERT_TRUE(server.WaitForNext("reload refused")) << name << server.output();
      ASSERT_TRUE(server.WaitForNext(impostor.told)) << name << ": " << server.output();
      ++refused;
    }
    ExpectServesAsBefore(server);
  }
  server.Signal(SIGHUP);
  ASSERT_TRUE(server.WaitForNext("reloaded")) << server.output();
  ExpectServesAsBefore(server);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["reloads_refused"], refused);
  EXPECT_EQ(statistics["reloads"], 1);
}

TEST_F(NamedFilesTest, AreRefusedAtTheStartAndByTheCheck) {
  for (const std::string& name : Names()) {
    for (const Impostor& impostor : Impostors()) {
      const Replaced replaced(Path(name), impostor);
      for (const bool check : {true, false}) {
        std::vector<std::string> arguments = {test::CommandPath(), "serve",    "--listen",
                                              "127.0.0.1:0",       "--config", Path("config")};
        if (check) arguments.emplace_back("--check");
        const Finished told = RunProgram(arguments);
        EXPECT_EQ(told.code, 2) << told.output;
        EXPECT_NE(told.output.find(Path(name)), std::string::npos) << told.output;
        EXPECT_NE(told.output.find(impostor.told), std::string::npos) << told.output;
      }
    }
  }
}

TEST_F(NamedFilesTest, AnEmptyFileIsNoCertificateAndNoTrust) {
  ServeProcess server({"--config", Path("config")});
  ASSERT_TRUE(server.running()) << server.output();
  for (const std::string& name : Names()) {
    const Replaced replaced(Path(name),
                            {"", [](const auto& path) { const std::ofstream made(path); }});
    server.Signal(SIGHUP);
    ASSERT_TRUE(server.WaitForNext("reload refused")) << name << server.output();
  }
  ExpectServesAsBefore(server);
  server.StopCleanly();
}

TEST_F(NamedFilesTest, ADamagedCertificateAmongTheTrustedIsNotLeftOutSilently) {
  std::ofstream(Path("ca"), std::ios::app)
      << "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
  const Finished told = RunProgram({test::CommandPath(), "serve", "--listen", "127.0.0.1:0",
                                    "--config", Path("config"), "--check"});
  EXPECT_EQ(told.code, 2) << told.output;
  EXPECT_NE(told.output.find("damaged"), std::string::npos) << told.output;
}

TEST_F(NamedFilesTest, AFifoIsNoPlaceForTheLogNorForStatistics) {
  ASSERT_EQ(mkfifo(Path("fifo").c_str(), 0600), 0);
  for (const char* option : {"--log-file", "--json"}) {
    const Finished told = RunProgram({test::CommandPath(), "serve", "--listen", "127.0.0.1:0",
                                      "--config", Path("config"), option, Path("fifo")});
    EXPECT_EQ(told.code, 2) << told.output;
    EXPECT_NE(told.output.find(option), std::string::npos) << told.output;
    EXPECT_NE(told.output.find("FIFO"), std::string::npos) << told.output;
  }
}

TEST_F(NamedFilesTest, ALogThatBecomesAFifoStopsNothing) {
  ServeProcess server({"--config", Path("config"), "--log-file", Path("log")});
  ASSERT_TRUE(server.running()) << server.output();
  ASSERT_TRUE(WaitForContent(Path("log")));
  std::filesystem::rename(Path("log"), Path("log.1"));
  ASSERT_EQ(mkfifo(Path("log").c_str(), 0600), 0);
  server.Signal(SIGHUP);
  while (server.output().find("reloads: 1 carried out") == std::string::npos) {
    server.Signal(SIGUSR1);
    ASSERT_TRUE(server.WaitForNext("connections now")) << server.output();
  }
  server.StopCleanly();
  std::ifstream log(Path("log.1"));
  const std::string lines((std::istreambuf_iterator<char>(log)), {});
  EXPECT_NE(lines.find("the old one is kept"), std::string::npos) << lines;
  EXPECT_NE(lines.find("FIFO"), std::string::npos) << lines;
  EXPECT_NE(lines.find("reloaded"), std::string::npos) << lines;
}

TEST_F(NamedFilesTest, ALogThatMayNotGrowIsCounted) {
  ServeProcess server({"--config", Path("config"), "--log-file", Path("log")},
                      {"prlimit", "--fsize=16384:16384"});
  ASSERT_TRUE(server.running()) << server.output();
  // A line of a kilobyte for each.
  const std::string name = "x" + std::string(1000, 'y') + ".pem";
  std::ofstream(Path("config")) << fmt::format("cert = \"{0}\"\nkey = \"{0}\"\necho = true\n",
                                               name);
  while (server.output().find(" could not be written") == std::string::npos) {
    server.Signal(SIGHUP);
    server.Signal(SIGUSR1);
    ASSERT_TRUE(server.WaitForNext("connections now")) << server.output();
  }
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_GT(statistics["log_lines_lost"], 0);
  EXPECT_EQ(std::filesystem::file_size(Path("log")), 16384U);
}

}  // namespace
}  // namespace ktlsim::system_tests
