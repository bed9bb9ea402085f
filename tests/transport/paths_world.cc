#include "tests/transport/paths_world.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "kernel_sim/base/work_item.h"

namespace ktlsim::test {

using transport::Connection;
using transport::ConnectionHandler;
using transport::EndKind;
using transport::EndReason;
using transport::TlsOptions;
using transport::TlsProfile;
using transport::TransportStatistics;

// A client that sends a message, wants it back, and closes; or gives up on the way.
class PathsWorld::Talk final : public ConnectionHandler, public WorkItem {
 public:
  Talk(PathsWorld& world, const TlsProfile& profile, io::Loop& loop, std::string text)
      : WorkItem([](WorkItem& item) { static_cast<Talk&>(item).Dial(); }),
        message(std::move(text)),
        world_(world),
        profile_(profile),
        loop_(loop) {}

  void Begin() { loop_.Post(*this); }
  bool over() const { return ends != 0 || refused; }

  void OnEstablished(Connection& connection) override {
    EXPECT_FALSE(std::exchange(established, true));
    Continue(connection);
  }
  void OnWritable(Connection& connection) override { Continue(connection); }
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    EXPECT_EQ(ends, 0) << "a handler call after its end";
    received.append(reinterpret_cast<const char*>(plaintext.data()), plaintext.size());
    if (received.size() >= gives_up_at) {
      gave_up = true;
      connection.Abort();
      return;
    }
    Continue(connection);
  }
  void OnPeerClosed(Connection& connection, bool truncated) override {
    EXPECT_FALSE(peer_closed || peer_truncated);
    (truncated ? peer_truncated : peer_closed) = true;
    connection.Close();
  }
  void OnEnded(Connection&, const EndReason& why) override {
    ++ends;
    reason = why;
  }

  const std::string message;
  std::string received;
  std::size_t gives_up_at = ~std::size_t{0};
  int ends = 0;
  bool established = false;
  bool refused = false;  // the path would not dial
  bool gave_up = false;
  bool peer_closed = false;     // with close_notify
  bool peer_truncated = false;  // without
  EndReason reason;

 private:
  void Dial() {
    if (world_.client_.Connect(loop_, world_.address_, profile_, *this) == nullptr) refused = true;
  }
  void Continue(Connection& connection) {
    sent_ += connection.Send(std::as_bytes(std::span(message)).subspan(sent_));
    if (sent_ == message.size() && received.size() == message.size()) connection.Close();
  }

  PathsWorld& world_;
  const TlsProfile& profile_;
  io::Loop& loop_;
  std::size_t sent_ = 0;
};

class PathsWorld::Echo final : public ConnectionHandler {
 public:
  explicit Echo(PathsWorld& world) : world_(world) { ++world_.echoes_; }
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    if (left_.empty()) plaintext = plaintext.subspan(connection.Send(plaintext));
    if (plaintext.empty()) return;
    left_.insert(left_.end(), plaintext.begin(), plaintext.end());
    connection.PauseReading();
  }
  void OnWritable(Connection& connection) override {
    const std::size_t sent = connection.Send(left_);
    left_.erase(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(sent));
    if (left_.empty()) connection.ResumeReading();
  }
  void OnEnded(Connection&, const EndReason&) override {
    --world_.echoes_;
    delete this;
  }

 private:
  PathsWorld& world_;
  std::vector<std::byte> left_;
};

PathsWorld::PathsWorld(std::uint64_t seed, const Acquire& acquire, bool keep)
    : random_(seed * 0x9e3779b97f4a7c15u + 1) {
  machine_ = std::make_unique<SeededMachine>(DrawMachine(seed, keep));
  credentials_ = acquire(*machine_);
  for (const CredHandle& credential : credentials_->clients) {
    TlsOptions options;
    options.credential = credential;
    options.target_name = "localhost";
    profiles_.push_back(TlsProfile::Create(TlsProfile::Side::kClient, options).value());
  }
}

PathsWorld::~PathsWorld() {
  client_.Stop();
  server_.Stop();
  profiles_.clear();
  credentials_.reset();
}

// Half of the faults do not happen at all: with fewer others, each one reaches further.
io::MemoryFaults PathsWorld::DrawFaults() {
  const auto rate = [this](std::uint64_t most) {
    return static_cast<unsigned>(random_.Below(2) == 0 ? 0 : random_.Between(1, most));
  };
  io::MemoryFaults faults = {.reorder = rate(1000),
                             .delay = rate(300),
                             .short_receive = rate(500),
                             .short_send = rate(500),
                             .no_buffers = rate(300),
                             .late_cancel = rate(1000),
                             .spurious_end = rate(300),
                             .interrupted = rate(300),
                             .submission_full = rate(300)};
  if (random_.Below(2) == 0) {
    harmless_ = false;
    faults.reset = rate(30);
    faults.truncate = rate(30);
    faults.accept_failure = rate(200);
    faults.connect_refused = rate(200);
    faults.connect_timeout = rate(50);
  }
  return faults;
}

SeededMachineOptions PathsWorld::DrawMachine(std::uint64_t seed, bool keep) {
  static constexpr std::array<std::size_t, 4> kBufferBytes = {256, 1024, 4096, 32768};
  SeededMachineOptions options;
  options.network.seed = seed;
  options.network.faults = DrawFaults();
  options.network.keep_trace = keep;
  options.network.keep_wire = keep;
  options.network.latency_max_ns = random_.Between(5, 5000) * kNsPerUs;
  options.network.socket_buffer_bytes = random_.Between(2048, 100000);
  options.ring.submission_entries = random_.Between(2, 64);
  options.ring.completion_entries = random_.Between(2, 64);
  options.ring.receive_buffers = static_cast<unsigned>(random_.Between(2, 32));
  options.ring.receive_buffer_bytes = kBufferBytes[random_.Below(kBufferBytes.size())];
  options.processors = static_cast<unsigned>(random_.Between(2, 4));
  if (random_.Below(2) == 0) options.placement = executive::Placement::kPool;
  options.crypto_processors = static_cast<unsigned>(random_.Between(1, 2));
  if (random_.Below(4) == 0) {
    options.queue_depth = static_cast<std::uint32_t>(random_.Between(1, 3));
    harmless_ = false;
  }
  for (std::uint64_t cuts = random_.Below(4) == 0 ? random_.Between(1, 3) : 0; cuts > 0; --cuts) {
    options.network.cuts.push_back({.connection = random_.Below(4),
                                    .from_client = random_.Below(2) == 0,
                                    .offset = random_.Below(4000),
                                    .reset = random_.Below(2) == 0});
    harmless_ = false;
  }
  stops_early_ = random_.Below(6) == 0;
  if (stops_early_) harmless_ = false;
  return options;
}

void PathsWorld::DrawTalks() {
  static constexpr std::array<std::uint64_t, 4> kBytes = {1, 200, 20000, 100000};
  const std::uint64_t count = random_.Between(1, 5);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string message(random_.Between(1, kBytes[random_.Below(kBytes.size())]), '\0');
    for (char& c : message) c = static_cast<char>(random_.Next());
    const TlsProfile& profile = profiles_[random_.Below(profiles_.size())];
    io::Loop& loop = *client_.loops()[random_.Below(client_.loops().size())];
    talks_.push_back(std::make_unique<Talk>(*this, profile, loop, std::move(message)));
    if (random_.Below(8) == 0) talks_.back()->gives_up_at = random_.Between(1, 5000);
  }
}

void PathsWorld::DialOne() {
  // Now and then one after the other, so that there are sessions to resume.
  if (dialled_ != 0 && random_.Below(50) != 0 && !talks_[dialled_ - 1]->over()) return;
  talks_[dialled_++]->Begin();
}

bool PathsWorld::AllEnded() const {
  const bool over =
      std::all_of(talks_.begin(), talks_.end(), [](const auto& talk) { return talk->over(); });
  if (!over) return false;
  const TransportStatistics statistics = server_.Statistics();
  return statistics.opened == statistics.ended && echoes_ == 0;
}

void PathsWorld::Run() {
  transport::ServerOptions options;
  options.tls.credential = credentials_->server;
  options.role = "server";
  options.max_connections = random_.Below(3) == 0 ? 2 : 0;
  options.max_handshakes_per_processor = random_.Below(3) == 0 ? 1 : 512;
  Result<io::Address> bound =
      server_.Start(options, [this](Connection&) { return new Echo(*this); });
  ASSERT_TRUE(bound.ok()) << bound.status().ToString();
  address_ = *bound;
  ASSERT_TRUE(client_.Start({.role = "client"}).ok());
  DrawTalks();
  machine_->scheduler().SetCheck([this] { Check(); });
  std::uint64_t steps = 0;
  const std::uint64_t steps_max = stops_early_ ? random_.Between(1, 3000) : ~std::uint64_t{0};
  // The dialler is drawn, too: not in every step, and not as an actor, which would keep time from
  // passing.
  const bool moved = machine_->RunUntil([&] {
    if (dialled_ < talks_.size()) DialOne();
    return ++steps >= steps_max || (dialled_ == talks_.size() && AllEnded());
  });
  ASSERT_TRUE(moved);
  if (random_.Below(2) == 0) client_.Stop();
  server_.Stop();
  client_.Stop();
  server_statistics_ = server_.Statistics();
  client_statistics_ = client_.Statistics();
  Check();
  for (const TransportStatistics* path : {&server_statistics_, &client_statistics_}) {
    CheckPath(*path);
    EXPECT_EQ(path->opened, path->ended);
    EXPECT_EQ(path->async_contexts, 0U);
    EXPECT_EQ(path->security_contexts, 0U);
    EXPECT_EQ(path->buffers, 0U);
  }
  EXPECT_EQ(echoes_, 0U);
  for (std::size_t i = 0; i < dialled_; ++i) CheckTalk(*talks_[i]);
  machine_->ExpectQuiet();
}

void PathsWorld::CheckTalk(const Talk& talk) {
  EXPECT_EQ(talk.ends, talk.refused ? 0 : 1);
  // No byte is wrong, whatever happened on the way.
  EXPECT_TRUE(std::string_view(talk.message).substr(0, talk.received.size()) == talk.received);
  // Only an authentic close_notify makes an end orderly: all bytes are here, or it came before
  // them.
  if (talk.reason.kind == EndKind::kCompleted && talk.ends != 0 && !stops_early_) {
    EXPECT_TRUE(talk.received.size() == talk.message.size() || talk.peer_closed);
    EXPECT_FALSE(talk.peer_truncated);
  }
  if (!harmless_ || talk.gave_up) return;
  EXPECT_EQ(talk.reason.kind, EndKind::kCompleted) << talk.reason.ToString();
  EXPECT_EQ(talk.received.size(), talk.message.size());
}

void PathsWorld::CheckPath(const TransportStatistics& statistics) {
  ASSERT_EQ(statistics.opened, statistics.ended + statistics.connections);
  ASSERT_LE(statistics.handshakes, statistics.connections);
  ASSERT_EQ(
      std::accumulate(statistics.ended_by.begin(), statistics.ended_by.end(), std::uint64_t{0}),
      statistics.ended);
}

void PathsWorld::Check() {
  for (const auto& talk : talks_) ASSERT_LE(talk->ends, 1);
  // Counting everything costs more than a step.
  if (++checks_ % 32 != 0) return;
  CheckPath(server_.Statistics());
  CheckPath(client_.Statistics());
}

}  // namespace ktlsim::test
