// A server path and peers for it: our own client path, and raw sockets that do what the test wants;
// on real rings and threads, or on a seeded machine.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/address.h"
#include "kernel_sim/base/stepping.h"
#include "kernel_sim/transport/client_path.h"
#include "kernel_sim/transport/processors.h"
#include "kernel_sim/transport/server_path.h"
#include "tests/support/hang_limit.h"
#include "tests/support/sspi_pair.h"
#include "tests/transport/raw_peer.h"
#include "tests/transport/seeded_machine.h"

namespace ktlsim::test {

using transport::ClientPath;
using transport::Connection;
using transport::ConnectionHandler;
using transport::ConnectionInfo;
using transport::EndKind;
using transport::EndReason;
using transport::ServerOptions;
using transport::ServerPath;
using transport::TlsOptions;
using transport::TlsProfile;
using transport::TransportStatistics;

inline std::string Pattern(std::size_t bytes, unsigned seed = 1) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) {
    text[i] = static_cast<char>((i * 31 + i / 251 + seed) & 0xff);
  }
  return text;
}

// Waits until `done`, which any thread may bring about. False: it takes too long.
[[nodiscard]] inline bool WaitUntil(const std::function<bool()>& done) {
  Stepping* const stepping = Stepping::Current();
  const auto limit = std::chrono::steady_clock::now() + kHangLimit;
  while (!done()) {
    if (stepping != nullptr) {
      if (!stepping->TakeStep()) return false;
    } else {
      std::this_thread::yield();
    }
    if (std::chrono::steady_clock::now() > limit) return false;
  }
  return true;
}

// State that loops change and the test waits for.
class Monitor {
 public:
  template <typename Change>
  void Update(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  template <typename Predicate>
  [[nodiscard]] bool Wait(Predicate predicate) {
    if (Stepping::Current() != nullptr) return WaitUntil(predicate);
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kHangLimit, predicate);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Sends back what it gets, with back-pressure: it does not read while bytes wait to be sent.
class EchoHandler final : public ConnectionHandler {
 public:
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    if (left_.empty()) {
      plaintext = plaintext.subspan(connection.Send(plaintext));
    }
    if (plaintext.empty()) return;
    left_.insert(left_.end(), plaintext.begin(), plaintext.end());
    connection.PauseReading();
  }
  void OnWritable(Connection& connection) override {
    const std::size_t sent = connection.Send(left_);
    left_.erase(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(sent));
    if (!left_.empty()) return;
    if (peer_closed_) {
      connection.Close();
    } else {
      connection.ResumeReading();
    }
  }
  void OnPeerClosed(Connection& connection, bool) override {
    peer_closed_ = true;
    if (left_.empty()) connection.Close();
  }
  void OnEnded(Connection&, const EndReason&) override { delete this; }

 private:
  std::vector<std::byte> left_;
  bool peer_closed_ = false;
};

// A client that sends one message, expects as many bytes back, and closes.
struct ClientTalk final : ConnectionHandler {
  ClientTalk(Monitor& shared, std::string text) : monitor(shared), message(std::move(text)) {}

  void OnEstablished(Connection& connection) override {
    monitor.Update([&] {
      info = connection.Info();
      established = true;
    });
    Continue(connection);
  }
  void Continue(Connection& connection) {
    const auto bytes = std::as_bytes(std::span(message)).subspan(sent);
    sent += connection.Send(bytes);
    if (sent == message.size() && received.size() == message.size() && close_when_done) {
      connection.Close();
    }
  }
  void OnWritable(Connection& connection) override { Continue(connection); }
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    monitor.Update([&] {
      received.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size());
    });
    Continue(connection);
  }
  void OnEnded(Connection&, const EndReason& why) override {
    EXPECT_FALSE(ended);
    monitor.Update([&] {
      reason = why;
      ended = true;
    });
  }

  Monitor& monitor;
  std::string message;
  std::string received;
  std::size_t sent = 0;
  bool close_when_done = true;
  ConnectionInfo info;
  EndReason reason;
  bool established = false;
  bool ended = false;
};

class TransportTest : public ::testing::Test {
 protected:
  void SetUp() override { StartRuntime(); }

  // On a seeded machine instead of real rings; the rest of the fixture is used in the same way.
  void StartSeeded(const SeededMachineOptions& options) {
    machine_ = std::make_unique<SeededMachine>(options);
    server_credential_.emplace(TestCredential::ServerWith(DeterministicCertificate()));
    client_credential_.emplace(TestCredential::Client());
  }

  void StartRuntime(ULONG queue_depth = 0, ULONG placement = KTLSIM_PLACEMENT_INLINE) {
    KtlsimOptions options{};
    options.cbSize = sizeof(options);
    options.cProcessors = 2;
    options.QueueDepth = queue_depth;
    options.Placement = placement;
    options.cCryptoProcessors = 1;
    options.pszProcessorRoles = "server,client";
    ASSERT_EQ(KtlsimStart(&options), SEC_E_OK) << KtlsimLastErrorText();
    server_credential_.emplace(TestCredential::Server());
    client_credential_.emplace(TestCredential::Client());
  }

  void TearDown() override {
    client_.Stop();
    server_.Stop();
    profiles_.clear();
    server_credential_.reset();
    client_credential_.reset();
    ExpectNothingLeft(server_.Statistics());
    ExpectNothingLeft(client_.Statistics());
    machine_.reset();
    // Deletions are fire and forget: the stop waits for them.
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    KtlsimStatistics statistics{};
    statistics.cbSize = sizeof(statistics);
    ASSERT_EQ(KtlsimQueryStatistics(&statistics), SEC_E_OK);
    EXPECT_EQ(statistics.cSecurityContexts, 0U);
    EXPECT_EQ(statistics.cAsyncContexts, 0U);
    EXPECT_EQ(statistics.cMisuse, 0U);
  }

  static void ExpectNothingLeft(const TransportStatistics& statistics) {
    EXPECT_EQ(statistics.opened, statistics.ended);
    EXPECT_EQ(statistics.connections, 0U);
    EXPECT_EQ(statistics.handshakes, 0U);
    EXPECT_EQ(statistics.security_contexts, 0U);
    EXPECT_EQ(statistics.async_contexts, 0U);
    EXPECT_EQ(statistics.buffers, 0U);
  }

  ServerOptions DefaultServer() {
    ServerOptions options;
    options.tls.credential = *server_credential_->get();
    options.role = "server";
    options.drain_ns = 200 * kNsPerMs;
    options.tls.limits.close_ns = 500 * kNsPerMs;
    return options;
  }

  void StartServer(const ServerOptions& options, transport::HandlerFactory factory = nullptr) {
    if (!factory) factory = [](Connection&) { return new EchoHandler(); };
    Result<io::Address> bound = server_.Start(options, std::move(factory));
    ASSERT_TRUE(bound.ok()) << bound.status().ToString();
    address_ = *bound;
  }

  void StartClient(ULONG notify_mode = KTLSIM_NOTIFY_ON_PROCESSOR) {
    Status started =
        client_.Start({.role = "client", .drain_ns = 200 * kNsPerMs, .notify_mode = notify_mode});
    ASSERT_TRUE(started.ok()) << started.ToString();
  }

  TlsOptions DefaultClient() {
    TlsOptions options;
    options.credential = *client_credential_->get();
    options.target_name = "localhost";
    return options;
  }

  const TlsProfile& MakeProfile(const TlsOptions& options) {
    Result<TlsProfile> profile = TlsProfile::Create(TlsProfile::Side::kClient, options);
    EXPECT_TRUE(profile.ok());
    profiles_.push_back(std::make_unique<TlsProfile>(std::move(*profile)));
    return *profiles_.back();
  }

  RawPeer Dial() {
    if (machine_ != nullptr) return RawPeer(machine_->Dial(address_));
    return RawPeer(std::make_unique<RealPeerSocket>(address_));
  }

  Connection* Connect(const TlsProfile& profile, ConnectionHandler& handler) {
    Connection* connection = nullptr;
    io::Loop& loop = *client_.loops().front();
    transport::RunOnLoop(loop,
                         [&] { connection = client_.Connect(loop, address_, profile, handler); });
    return connection;
  }

  // Waits until the server counts `count` ended connections.
  void WaitForEnded(std::uint64_t count) {
    ASSERT_TRUE(WaitUntil([&] { return server_.Statistics().ended >= count; })) << Ends();
  }
  void ExpectServerEnded(EndKind kind, std::uint64_t count = 1) {
    WaitForEnded(count);
    EXPECT_EQ(server_.Statistics().ended_by_kind(kind), count) << Ends();
  }
  std::string Ends() {
    std::string text;
    const TransportStatistics statistics = server_.Statistics();
    for (std::size_t i = 0; i < transport::kEndKinds; ++i) {
      if (statistics.ended_by[i] == 0) continue;
      text += transport::EndKindName(static_cast<EndKind>(i));
      text += "=" + std::to_string(statistics.ended_by[i]) + " ";
    }
    return text;
  }

  // One whole exchange with our own client.
  void Exchange(const TlsProfile& profile, const std::string& message, ClientTalk& talk) {
    talk.message = message;
    ASSERT_NE(Connect(profile, talk), nullptr);
    ASSERT_TRUE(monitor_.Wait([&] { return talk.ended; }));
    EXPECT_EQ(talk.reason.kind, EndKind::kCompleted) << talk.reason.ToString();
    EXPECT_TRUE(talk.received == message) << talk.received.size() << " of " << message.size();
  }

  Monitor monitor_;
  std::unique_ptr<SeededMachine> machine_;  // null: real rings
  std::optional<TestCredential> server_credential_;
  std::optional<TestCredential> client_credential_;
  std::vector<std::unique_ptr<TlsProfile>> profiles_;
  ServerPath server_;
  ClientPath client_;
  io::Address address_;
};

}  // namespace ktlsim::test
