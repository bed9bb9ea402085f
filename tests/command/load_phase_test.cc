// LoadPhase against sockets of the test: which address is dialled, and what is reported of
// operations that never come back.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/driver.h"
#include "kernel_sim/command/load_handlers.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/transport/client_path.h"
#include "kernel_sim/transport/server_path.h"

namespace ktlsim::command {
namespace {

// A port of 127.0.0.1: refusing until Listen, silent after it.
class Port {
 public:
  Port() : descriptor_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
    socklen_t bytes = sizeof(name);
    EXPECT_EQ(getsockname(descriptor_, reinterpret_cast<sockaddr*>(&name), &bytes), 0);
    address_ = io::Address(reinterpret_cast<sockaddr*>(&name), bytes);
  }
  ~Port() {
    for (const int descriptor : accepted_) close(descriptor);
    for (const int descriptor : fillers_) close(descriptor);
    close(descriptor_);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  const io::Address& address() const { return address_; }
  void Listen() const { EXPECT_EQ(listen(descriptor_, 16), 0); }
  // Listens, and fills the backlog: the system then drops new connections, as a firewall does.
  void Fill() {
    EXPECT_EQ(listen(descriptor_, 0), 0);
    for (int i = 0; i < 8; ++i) {
      fillers_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      static_cast<void>(connect(fillers_.back(), address_.data(), address_.size()));
    }
  }
  // Waits for one more client.
  void Accept() {
    accepted_.push_back(accept(descriptor_, nullptr, nullptr));
    EXPECT_GE(accepted_.back(), 0);
  }

 private:
  int descriptor_;
  std::vector<int> accepted_;
  std::vector<int> fillers_;
  io::Address address_;
};

class LoadPhaseTest : public testing::Test {
 protected:
  void SetUp() override {
    StartupOptions startup;
    startup.processors = 1;
    std::string error = StartLibrary(startup);
    ASSERT_EQ(error, "");
    std::optional<Certificate> made = CreateSelfSigned("localhost", KTLSIM_KEY_ECDSA_P256, &error);
    ASSERT_TRUE(made) << error;
    certificate_ = std::move(*made);
    ClientCredentialOptions wanted;
    wanted.trust_pem = certificate_.Pem();
    wanted.resumption = false;
    client_credential_ = MakeClientCredential(wanted, &error);
    ASSERT_TRUE(client_credential_) << error;
    transport::TlsOptions tls;
    tls.credential = client_credential_->handle();
    tls.target_name = "localhost";
    auto profile = transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, tls);
    ASSERT_TRUE(profile.ok());
    profile_ = std::make_unique<transport::TlsProfile>(std::move(*profile));
    ASSERT_TRUE(client_.Start({}).ok());
  }
  void TearDown() override {
    client_.Stop();
    server_.Stop();
    server_credential_.reset();
    client_credential_.reset();
    certificate_ = {};
    static_cast<void>(KtlsimStop());
  }
  io::Address StartServer() {
    std::string error;
    server_credential_ = MakeServerCredential(certificate_, {}, &error);
    EXPECT_TRUE(server_credential_) << error;
    transport::ServerOptions options;
    options.tls.credential = server_credential_->handle();
    const Result<io::Address> bound =
        server_.Start(options, [this](transport::Connection&) { return &closer_; });
    EXPECT_TRUE(bound.ok());
    return bound.value();
  }
  LoadPlan PlanFor(std::vector<io::Address> peers, unsigned slots) const {
    LoadPlan plan;
    plan.peers = std::move(peers);
    plan.slots = slots;
    plan.profiles = {profile_.get()};
    plan.server_closes = true;
    return plan;
  }
  template <typename Condition>
  static void YieldUntil(Condition condition) {
    while (!condition()) std::this_thread::yield();
  }

  Certificate certificate_;
  std::optional<Credential> client_credential_;
  std::optional<Credential> server_credential_;
  std::unique_ptr<transport::TlsProfile> profile_;
  CloseWhenEstablished closer_;
  transport::ServerPath server_;
  transport::ClientPath client_;
};

TEST_F(LoadPhaseTest, DialsTheNextAddressWhenOneRefuses) {
  const Port refusing;
  LoadPhase phase(client_, PlanFor({refusing.address(), StartServer()}, 2));
  phase.Start();
  phase.BeginMeasuring();
  YieldUntil([&] { return phase.operations() >= 10; });
  phase.EndMeasuring();
  phase.End(10 * kNsPerSecond);
  EXPECT_EQ(phase.errors() + phase.warm_up_errors(), 0U);
  EXPECT_FALSE(phase.nobody_there());
}

TEST_F(LoadPhaseTest, NamesEveryAddressThatRefused) {
  const Port one;
  const Port other;
  LoadPhase phase(client_, PlanFor({one.address(), other.address()}, 1));
  phase.Start();
  // More than a few attempts: it goes on dialling.
  YieldUntil([&] { return phase.warm_up_errors() >= 3; });
  EXPECT_TRUE(phase.nobody_there());
  phase.BeginMeasuring();
  phase.EndMeasuring();
  phase.End(10 * kNsPerSecond);
  const std::vector<std::string> texts = phase.warm_up_error_texts();
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_NE(texts[0].find(one.address().ToString() + ": "), std::string::npos) << texts[0];
  EXPECT_NE(texts[0].find("; " + other.address().ToString() + ": "), std::string::npos) << texts[0];
  EXPECT_EQ(phase.errors(), 0U);
}

// Without the limit, TCP would wait for minutes.
TEST_F(LoadPhaseTest, DialsTheNextAddressWhenOneSwallowsEverything) {
  Port full;
  full.Fill();
  LoadPlan plan = PlanFor({full.address(), StartServer()}, 2);
  plan.next_address_ns = 20 * kNsPerMs;
  LoadPhase phase(client_, std::move(plan));
  phase.Start();
  phase.BeginMeasuring();
  YieldUntil([&] { return phase.operations() >= 10; });
  phase.EndMeasuring();
  phase.End(10 * kNsPerSecond);
  EXPECT_EQ(phase.errors() + phase.warm_up_errors(), 0U);
  EXPECT_EQ(phase.passed_over(),
            std::vector<std::string>{full.address().ToString() + ": accepts nothing within 20 ms"});
}

TEST_F(LoadPhaseTest, NoAddressIsDialledForLongerThanTheOperationMayTake) {
  Port full;
  full.Fill();
  LoadPlan plan = PlanFor({full.address()}, 1);
  plan.timeout_ns = 20 * kNsPerMs;
  LoadPhase phase(client_, std::move(plan));
  phase.Start();
  YieldUntil([&] { return phase.warm_up_errors() >= 2; });
  phase.BeginMeasuring();
  phase.EndMeasuring();
  phase.End(10 * kNsPerSecond);
  EXPECT_EQ(phase.warm_up_error_texts(),
            std::vector<std::string>{"timed out after 20 ms: the connection was not accepted"});
}

TEST_F(LoadPhaseTest, AnOperationPastItsTimeIsAnErrorWithItsAge) {
  Port silent;
  silent.Listen();
  LoadPlan plan = PlanFor({silent.address()}, 1);
  plan.timeout_ns = 20 * kNsPerMs;
  LoadPhase phase(client_, std::move(plan));
  phase.Start();
  phase.BeginMeasuring();
  // The connection is given up and dialled again, until the phase ends.
  for (int i = 0; i < 3; ++i) silent.Accept();
  YieldUntil([&] { return phase.errors() >= 2; });
  phase.EndMeasuring();
  phase.End(10 * kNsPerSecond);
  ResultRow row;
  phase.Tell(&row);
  EXPECT_EQ(row.operations, 0U);
  EXPECT_EQ(row.unfinished, 0U);
  EXPECT_EQ(row.latency.count(), row.errors);
  EXPECT_GE(row.latency.max(), 20 * kNsPerMs);
  EXPECT_EQ(row.error_texts,
            std::vector<std::string>{"timed out after 20 ms: the handshake was not over"});
}

TEST_F(LoadPhaseTest, WhatNeverComesBackCountsWithItsAge) {
  Port silent;
  silent.Listen();
  LoadPhase phase(client_, PlanFor({silent.address()}, 3));
  const std::uint64_t before = MonotonicClock::Now();
  phase.Start();
  phase.BeginMeasuring();
  for (int i = 0; i < 3; ++i) silent.Accept();
  phase.EndMeasuring();
  std::size_t told = 0;
  phase.End(10 * kNsPerSecond, [&](std::size_t slots, std::uint64_t) {
    told = slots;
    return false;
  });
  const std::uint64_t after = MonotonicClock::Now();
  EXPECT_EQ(told, 3U);
  ResultRow row;
  phase.Tell(&row);
  EXPECT_EQ(row.operations, 0U);
  EXPECT_EQ(row.errors, 0U);
  EXPECT_EQ(row.unfinished, 3U);
  EXPECT_EQ(row.latency.count(), 3U);
  EXPECT_LE(row.oldest_unfinished_ns, after - before);
  EXPECT_GE(row.latency.max(), row.oldest_unfinished_ns);
}

TEST_F(LoadPhaseTest, WhatWasDueAndNeverBeganCountsWithItsWait) {
  Port silent;
  silent.Listen();
  LoadPlan plan = PlanFor({silent.address()}, 1);
  plan.rate = 1000;
  LoadPhase phase(client_, std::move(plan));
  const std::uint64_t before = MonotonicClock::Now();
  phase.Start();
  phase.BeginMeasuring();
  silent.Accept();
  YieldUntil([before] { return MonotonicClock::Now() - before >= 20 * kNsPerMs; });
  phase.EndMeasuring();
  phase.End(10 * kNsPerSecond, [](std::size_t, std::uint64_t) { return false; });
  ResultRow row;
  phase.Tell(&row);
  EXPECT_EQ(row.unfinished, 1U);
  EXPECT_GE(row.not_begun, 15U);
  EXPECT_EQ(row.latency.count(), row.unfinished + row.not_begun);
}

}  // namespace
}  // namespace ktlsim::command
