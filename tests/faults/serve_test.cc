// The terminator of `ktlsim serve` with an allocation failing: in each of its modes a request, a
// reload, start and stop. A connection ends with a response or is reported in the log; a reload
// that fails changes nothing; the next connection works.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "kernel_sim/command/terminator.h"
#include "tests/faults/ends.h"
#include "tests/faults/tls_client.h"
#include "tests/support/hang_limit.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::test {
namespace {

using command::ServeConfig;
using command::ServeMode;
using command::Terminator;
using std::chrono::milliseconds;

constexpr milliseconds kPatience{30};
constexpr milliseconds kForever = kHangLimit;
constexpr const char* kRequest =
    "GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

std::ptrdiff_t Descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

// Responds to every connection after its request's head, one at a time, without faults.
class FaultBackend {
 public:
  FaultBackend() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(at);
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { Main(); });
  }
  FaultBackend(const FaultBackend&) = delete;
  FaultBackend& operator=(const FaultBackend&) = delete;
  ~FaultBackend() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::uint16_t port() const { return port_; }

 private:
  void Main() const {
    const AllocationFaults::Exempt own;
    for (;;) {
      const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) return;
      Answer(peer);
      close(peer);
    }
  }
  // The PROXY header comes first.
  static void Answer(int peer) {
    std::string text;
    std::array<char, 4096> block;
    while (text.find("\r\n\r\n", text.find("GET /")) == std::string::npos) {
      const ssize_t size = recv(peer, block.data(), block.size(), 0);
      if (size <= 0) return;
      text.append(block.data(), static_cast<std::size_t>(size));
    }
    constexpr std::string_view kAnswer =
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\nbackend";
    static_cast<void>(send(peer, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL));
  }

  const int listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class ServeFaultsTest : public testing::TestWithParam<ServeMode> {
 protected:
  ServeFaultsTest() {
    for (const char* root : {"old", "new"}) {
      std::filesystem::create_directories(folder_ + "/" + root);
      std::ofstream(folder_ + "/" + root + "/page") << root << std::string(40'000, 'x');
    }
  }

  std::string Name(const char* scene) const {
    return std::string(command::ServeModeName(GetParam())) + ", " + scene;
  }
  std::string log_file() const { return folder_ + "/log"; }
  bool has_log() const {
    std::error_code ignored;
    return std::filesystem::file_size(log_file(), ignored) > 0;
  }

  // Two configurations. Where the response is ours, it shows which one is in effect.
  ServeConfig Config(bool after) const {
    command::ListenerConfig listener;
    listener.listen = {"127.0.0.1:0"};
    if (after) listener.listen.emplace_back("127.0.0.1:0");
    // Reading certificates takes tens of thousands of allocations, and is a scene of the library's
    // functions.
    if (certificates_.empty()) {
      listener.self_signed = "localhost";
    } else {
      listener.folder.path = certificates_;
      listener.folder.retry_ns = kNsPerMs;
    }
    listener.mode = GetParam();
    listener.http.respond_bytes = after ? 200 : 100;
    listener.root = folder_ + (after ? "/new" : "/old");
    listener.forward.backends = {io::Address::Loopback(backend_.port())};
    listener.forward.proxy_protocol = true;
    ServeConfig config;
    config.listeners = {listener};
    config.drain_ns = kNsPerSecond;
    config.log.file = log_file();
    config.log.level = serve::LogLevel::kDebug;
    return config;
  }
  std::size_t BytesToRead() const {
    return GetParam() == ServeMode::kEcho ? std::string_view(kRequest).size() : 0;
  }
  std::uint16_t Port(const Terminator& terminator) const {
    const std::string& bound = terminator.sites().front()->bound();
    return static_cast<std::uint16_t>(std::stoi(bound.substr(bound.rfind(':') + 1)));
  }
  std::string Ask(const Terminator& terminator) const {
    FaultClient client(Port(terminator), kRequest, BytesToRead());
    EXPECT_TRUE(client.Run(kForever)) << "the connection never ends";
    return Body(client.text());
  }
  // Without the parts that change with time.
  static std::string Body(const std::string& answer) {
    const std::size_t head = answer.find("\r\n\r\n");
    if (head == std::string::npos || answer.starts_with("GET")) return answer;
    return answer.substr(0, answer.find("\r\n")) + answer.substr(head);
  }
  static std::string Status(const std::string& answer) { return answer.substr(0, 12); }

  void RequestScene(FaultRun& run, const std::string& right);
  void ReloadScene(FaultRun& run, const std::string& before, const std::string& after);

  FaultBackend backend_;
  const TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  std::string certificates_;  // a folder, which replaces the certificate of our own
};

// A log in a fresh file, and a running terminator.
struct Running {
  explicit Running(const ServeConfig& config) {
    std::filesystem::remove(config.log.file);
    std::string error;
    log = serve::Log::Open(config.log, &error);
    EXPECT_NE(log, nullptr) << error;
    terminator.emplace(*log);
    EXPECT_EQ(terminator->Start(terminator->Plan(config)), "");
  }

  std::unique_ptr<serve::Log> log;
  std::optional<Terminator> terminator;
};

void ServeFaultsTest::RequestScene(FaultRun& run, const std::string& right) {
  // Ends with the scene, so that memory that its processor caches (expanded keys) does not count as
  // lost.
  const RuntimeWith runtime(OneProcessor());
  ServeConfig config = Config(false);
  config.log.level = serve::LogLevel::kWarning;  // no line without a reason
  Running server(config);
  std::optional<FaultClient> client;
  client.emplace(Port(*server.terminator), kRequest, BytesToRead());
  run.Call([&] {
    while (!client->Run(kPatience) && !run.fired()) {
    }
  });
  EXPECT_TRUE(client->Run(kForever)) << "the connection never ends";
  const std::string text = client->text();
  client.reset();  // otherwise the server waits for its end
  const std::string answer = Body(text);
  const bool told = Status(answer) == "HTTP/1.1 503" || Status(answer) == "HTTP/1.1 500";
  // The next connection. A certificate that could not be read is tried again after a while.
  std::string next = Ask(*server.terminator);
  const auto end = std::chrono::steady_clock::now() + kForever;
  while (!certificates_.empty() && next != right && std::chrono::steady_clock::now() < end) {
    next = Ask(*server.terminator);
  }
  EXPECT_EQ(next, right);
  server.terminator->Stop();
  const transport::TransportStatistics now = server.terminator->Report().statistics;
  EXPECT_EQ(now.opened, now.ended);
  EXPECT_EQ(now.connections + now.handshakes + now.security_contexts + now.buffers, 0U);
  const std::uint64_t lost = server.log->lost();
  server.terminator.reset();
  server.log.reset();  // all is written
  if (answer == right || told) return;
  std::ostringstream what;
  what << "a connection ended with \"" << Status(answer) << "\" after " << text.size()
       << " bytes; lines lost: " << lost << ";";
  if (!run.fired() || (!has_log() && lost == 0)) run.Report(what.str(), SEC_E_INTERNAL_ERROR);
}

TEST_P(ServeFaultsTest, ARequest) {
  std::string right;
  {
    const Running server(Config(false));
    right = Ask(*server.terminator);
    EXPECT_GT(right.size(), 20U);
  }
  PlayWithFaults(Name("a request"), [&](FaultRun& run) { RequestScene(run, right); });
}

// A server starts and stops, and leaves no descriptor open.
void StartScene(FaultRun& run, const ServeConfig& config) {
  const RuntimeWith runtime(OneProcessor());
  const std::ptrdiff_t descriptors = Descriptors();
  ServeConfig given = config;
  const SECURITY_STATUS status = run.Status([&] {
    std::string error;
    const std::unique_ptr<serve::Log> log = serve::Log::Open(config.log, &error);
    if (log == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
    Terminator terminator(*log);
    const bool started = terminator.Start(terminator.Plan(std::move(given))).empty();
    terminator.Stop();
    return started ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
  });
  run.Judge(SEC_E_OK, "start", status);
  WaitUntil([&] { return Descriptors() <= descriptors; });
}

// The certificate is read and acquired for the connection, which waits for it.
class CertificateFaultsTest : public ServeFaultsTest {
 protected:
  CertificateFaultsTest() {
    const FaultAuthority& authority = FaultAuthority::Get();
    certificates_ = folder_ + "/certificates";
    std::filesystem::create_directories(certificates_);
    std::filesystem::copy_file(authority.chain_path, certificates_ + "/default.crt");
    std::filesystem::copy_file(authority.key_path, certificates_ + "/default.key");
  }
};

TEST_P(CertificateFaultsTest, ARequestThatWaitsForItsCertificate) {
  std::string right;
  {
    const Running server(Config(false));
    right = Ask(*server.terminator);
    EXPECT_GT(right.size(), 20U);
  }
  PlayWithFaults("a request that waits for its certificate",
                 [&](FaultRun& run) { RequestScene(run, right); });
}

TEST_P(CertificateFaultsTest, StartAtWhichAllAreRead) {
  ServeConfig config = Config(false);
  config.listeners[0].folder.acquire = command::AcquireWhen::kStart;
  PlayWithFaults("a start at which all certificates are read",
                 [&](FaultRun& run) { StartScene(run, config); });
}

INSTANTIATE_TEST_SUITE_P(Folder, CertificateFaultsTest, testing::Values(ServeMode::kRespond),
                         [](const auto& /*test*/) { return std::string("Respond"); });

void ServeFaultsTest::ReloadScene(FaultRun& run, const std::string& before,
                                  const std::string& after) {
  const RuntimeWith runtime(OneProcessor());
  Running server(Config(false));
  Terminator& terminator = *server.terminator;
  const std::ptrdiff_t descriptors = Descriptors();
  const ServeConfig next = Config(true);
  ServeConfig given = next;
  run.Call([&] { terminator.Reload(terminator.Plan(std::move(given))); });
  const command::ServeReport report = terminator.Report();
  EXPECT_EQ(report.reloads + report.reloads_refused, 1U);
  if (report.reloads_refused != 0) {
    if (!run.fired()) run.Report("a reload was refused", SEC_E_INTERNAL_ERROR);
    EXPECT_EQ(terminator.sites().size(), 1U);
    EXPECT_EQ(Ask(terminator), before);
    WaitUntil([&] { return Descriptors() <= descriptors; });
    // Now it works.
    terminator.Reload(terminator.Plan(next));
    EXPECT_EQ(terminator.Report().reloads, 1U);
  }
  EXPECT_EQ(terminator.sites().size(), 2U);
  EXPECT_EQ(Ask(terminator), after);
  terminator.Stop();
}

TEST_P(ServeFaultsTest, AReload) {
  std::string before;
  std::string after;
  {
    const Running server(Config(false));
    before = Ask(*server.terminator);
  }
  {
    const Running server(Config(true));
    after = Ask(*server.terminator);
  }
  const bool shows = GetParam() == ServeMode::kRespond || GetParam() == ServeMode::kFiles;
  EXPECT_EQ(before != after, shows);
  PlayWithFaults(Name("a reload"), [&](FaultRun& run) { ReloadScene(run, before, after); });
}

TEST_P(ServeFaultsTest, StartAndStop) {
  const ServeConfig config = Config(true);
  PlayWithFaults(Name("start and stop"), [&](FaultRun& run) { StartScene(run, config); });
}

INSTANTIATE_TEST_SUITE_P(Modes, ServeFaultsTest,
                         testing::Values(ServeMode::kRespond, ServeMode::kEcho, ServeMode::kFiles,
                                         ServeMode::kForward),
                         [](const auto& test) {
                           std::string name = command::ServeModeName(test.param);
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace ktlsim::test
