#include "io/stream.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "io/connector.h"
#include "io/listener.h"
#include "kernel_sim/base/member_item.h"
#include "tests/io/ring_test_support.h"

namespace ktlsim::io {
namespace {

using CloseMode = Stream::CloseMode;

// Writes down everything; checks that OnClosed is the last and only end.
class Party final : public StreamHandler {
 public:
  Party(Loop& loop, SocketId socket) { stream.emplace(loop, socket, *this); }

  void OnReceived(BufferLease bytes) override {
    EXPECT_FALSE(stream->closing());
    text.append(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size());
    if (hold) held.push_back(std::move(bytes));
    if (on_received) on_received();
  }
  void OnReceiveEnded(Status reason) override {
    EXPECT_FALSE(stream->closing());
    EXPECT_FALSE(end.has_value());
    end = reason;
    if (on_receive_ended) on_receive_ended();
  }
  void OnSent(Status status) override {
    EXPECT_FALSE(stream->closing());
    ++sent;
    outcome = status;
    if (on_sent) on_sent();
  }
  void OnClosed() override {
    EXPECT_FALSE(closed);
    closed = true;
    stream.reset();
  }

  std::optional<Stream> stream;
  std::string text;
  std::vector<BufferLease> held;
  std::optional<Status> end;
  std::optional<Status> outcome;
  std::function<void()> on_received;
  std::function<void()> on_receive_ended;
  std::function<void()> on_sent;
  int sent = 0;
  bool hold = false;
  bool closed = false;
};

class StreamTest : public RingUnderTest {
 protected:
  void SetUp() override { Start({}); }
  void Start(const UringOptions& options) {
    TearDown();
    ring = MakeRing(options);
    ASSERT_NE(ring, nullptr);
    const Pair pair = Connect(*ring);
    client_socket = pair.client;
    server_socket = pair.server;
    client.emplace(*ring, pair.client);
    server.emplace(*ring, pair.server);
  }
  void TearDown() override {
    if (ring == nullptr) return;
    for (auto* party : {&client, &server}) {
      (*party)->held.clear();
      if ((*party)->stream) (*party)->stream->Close(CloseMode::kReset);
    }
    EXPECT_TRUE(TurnUntil(*ring, [&] { return client->closed && server->closed; }));
    ring->Turn(0);
    const RingStatistics statistics = ring->Statistics();
    EXPECT_EQ(statistics.sockets, 0u);
    EXPECT_EQ(statistics.operations, 0u);
    EXPECT_EQ(statistics.buffers_lent, 0u);
    ring.reset();
  }
  bool Until(const std::function<bool()>& done) { return TurnUntil(*ring, done); }

  std::unique_ptr<Ring> ring;
  std::optional<Party> client;
  std::optional<Party> server;
  SocketId client_socket = kNoSocket;
  SocketId server_socket = kNoSocket;
};

KTLSIM_ON_BOTH_RINGS(StreamTest);

TEST_P(StreamTest, EchoesThroughTwoStreamsOfOneRing) {
  const std::string question = Pattern(100000);
  std::string answer;
  server->on_received = [&] {
    if (server->text.size() < question.size()) return;
    answer = server->text;
    server->stream->Send(AsBytes(answer));
  };
  server->stream->ResumeReceiving();
  client->stream->ResumeReceiving();
  client->stream->Send(AsBytes(question));
  ASSERT_TRUE(Until([&] {
    return client->text.size() == question.size() && client->sent == 1 && server->sent == 1;
  }));
  EXPECT_TRUE(client->text == question);
  EXPECT_TRUE(client->outcome->ok());
}

TEST_P(StreamTest, ContinuesShortSendsWhileTheReaderIsPaused) {
  const int small = 4096;
  if (real()) {
    setsockopt(client_socket, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    // Otherwise the kernel lets the reader's buffer grow, perhaps until all of the text has room
    // there.
    const int medium = 65536;
    setsockopt(server_socket, SOL_SOCKET, SO_RCVBUF, &medium, sizeof(medium));
  }
  const std::string text = Pattern(std::size_t{3} << 19);
  client->stream->Send(AsBytes(text));
  // The reader has not begun: the sender gets stuck, until there is nothing left to do.
  while (ring->Turn(20 * kNsPerMs) != 0) {
  }
  EXPECT_EQ(client->sent, 0);
  server->stream->ResumeReceiving();
  bool paused_once = false;
  server->on_received = [&] {
    if (paused_once || server->text.size() < text.size() / 2) return;
    paused_once = true;
    server->stream->PauseReceiving();
  };
  ASSERT_TRUE(Until([&] { return paused_once; }));
  while (ring->Turn(20 * kNsPerMs) != 0) {
  }
  EXPECT_LT(server->text.size(), text.size());
  EXPECT_EQ(client->sent, 0);
  server->stream->ResumeReceiving();
  ASSERT_TRUE(Until([&] { return server->text.size() == text.size() && client->sent == 1; }));
  EXPECT_TRUE(server->text == text);
  EXPECT_TRUE(client->outcome->ok());
}

TEST_P(StreamTest, PauseAndResumeInAnyOrderLoseNothing) {
  const std::string text = Pattern(1 << 20);
  client->stream->Send(AsBytes(text));
  int calls = 0;
  server->on_received = [&] {
    server->stream->PauseReceiving();
    if (++calls % 2 == 0) server->stream->ResumeReceiving();
    if (calls % 3 == 0) server->stream->PauseReceiving();
    server->stream->ResumeReceiving();
  };
  server->stream->ResumeReceiving();
  server->stream->PauseReceiving();
  server->stream->ResumeReceiving();
  ASSERT_TRUE(Until([&] { return server->text.size() == text.size() && client->sent == 1; }));
  EXPECT_TRUE(server->text == text);
  EXPECT_FALSE(server->end.has_value()) << "a pause is not an end";
}

TEST_P(StreamTest, HalfClosedConnectionStillCarriesTheAnswer) {
  const std::string text = "late answer";
  server->stream->ResumeReceiving();
  client->stream->ResumeReceiving();
  server->on_receive_ended = [&] { server->stream->Send(AsBytes(text)); };
  client->stream->ShutdownSend();
  client->stream->ShutdownSend();
  ASSERT_TRUE(Until([&] { return server->sent == 1 && client->text == text; }));
  EXPECT_TRUE(server->end->ok());
  server->stream->Close(CloseMode::kGraceful);
  ASSERT_TRUE(Until([&] { return client->end.has_value(); }));
  EXPECT_TRUE(client->end->ok());
}

TEST_P(StreamTest, GracefulCloseDeliversWhatWasSent) {
  const std::string text = Pattern(50000);
  server->stream->ResumeReceiving();
  client->on_sent = [&] { client->stream->Close(CloseMode::kGraceful); };
  client->stream->Send(AsBytes(text));
  ASSERT_TRUE(Until([&] { return server->end.has_value(); }));
  EXPECT_TRUE(server->end->ok());
  EXPECT_TRUE(server->text == text);
}

TEST_P(StreamTest, PeerResetWhileReceiving) {
  server->stream->ResumeReceiving();
  ring->Turn(0);
  client->stream->Close(CloseMode::kReset);
  ASSERT_TRUE(Until([&] { return server->end.has_value(); }));
  EXPECT_EQ(server->end->code(), ECONNRESET);
}

TEST_P(StreamTest, PeerResetWhileSending) {
  const std::string text = Pattern(std::size_t{16} << 20);
  client->stream->Send(AsBytes(text));
  ring->Turn(0);
  server->stream->Close(CloseMode::kReset);
  ASSERT_TRUE(Until([&] { return client->sent == 1; }));
  EXPECT_TRUE(client->outcome->code() == ECONNRESET || client->outcome->code() == EPIPE)
      << client->outcome->ToString();
}

TEST_P(StreamTest, PeerResetBeforeAnythingBegan) {
  client->stream->Close(CloseMode::kReset);
  ASSERT_TRUE(Until([&] { return client->closed; }));
  server->stream->ResumeReceiving();
  server->stream->ShutdownSend();
  ASSERT_TRUE(Until([&] { return server->end.has_value(); }));
  EXPECT_FALSE(server->end->ok());
}

TEST_P(StreamTest, SendAfterPeerResetFails) {
  const std::string text = "x";
  client->stream->Close(CloseMode::kReset);
  ASSERT_TRUE(Until([&] { return client->closed; }));
  while (ring->Turn(kNsPerMs) != 0) {
  }
  server->stream->Send(AsBytes(text));
  ASSERT_TRUE(Until([&] { return server->sent == 1; }));
  EXPECT_FALSE(server->outcome->ok());
}

TEST_P(StreamTest, ClosesWithNothingInFlightFromALaterTurn) {
  client->stream->Close(CloseMode::kGraceful);
  client->stream->Close(CloseMode::kGraceful);
  EXPECT_FALSE(client->closed);
  ASSERT_TRUE(Until([&] { return client->closed; }));
}

TEST_P(StreamTest, CloseBreaksOffASend) {
  const std::string text = Pattern(std::size_t{16} << 20);
  client->stream->ResumeReceiving();
  client->stream->Send(AsBytes(text));
  ring->Turn(0);
  client->stream->Close(CloseMode::kGraceful);
  ASSERT_TRUE(Until([&] { return client->closed; }));
  EXPECT_EQ(client->sent, 0);
}

TEST_P(StreamTest, ClosesFromInsideEachHandler) {
  const std::string text = "abc";
  client->on_sent = [&] { client->stream->Close(CloseMode::kGraceful); };
  server->on_received = [&] { server->stream->Close(CloseMode::kGraceful); };
  server->stream->ResumeReceiving();
  client->stream->ResumeReceiving();
  client->stream->Send(AsBytes(text));
  ASSERT_TRUE(Until([&] { return client->closed && server->closed; }));

  Start({});
  server->on_receive_ended = [&] { server->stream->Close(CloseMode::kReset); };
  server->stream->ResumeReceiving();
  client->stream->ShutdownSend();
  ASSERT_TRUE(Until([&] { return server->closed; }));
}

TEST_P(StreamTest, HeldBuffersStopTheStreamAndLoseNothing) {
  Start({.receive_buffers = 4, .receive_buffer_bytes = 1024});
  const std::string text = Pattern(200000);
  server->hold = true;
  server->stream->ResumeReceiving();
  client->stream->Send(AsBytes(text));
  ASSERT_TRUE(Until([&] { return ring->Statistics().buffers_exhausted > 0; }));
  EXPECT_EQ(server->held.size(), 4u);
  EXPECT_EQ(ring->Statistics().buffers_lent, 4u);
  while (ring->Turn(5 * kNsPerMs) != 0) {
  }
  EXPECT_EQ(server->text.size(), 4096u);
  // One at a time: each turn makes exactly one step.
  for (int i = 0; i < 10; ++i) {
    server->held.erase(server->held.begin());
    ASSERT_TRUE(Until([&] { return server->held.size() == 4; }));
  }
  server->hold = false;
  server->held.clear();
  ASSERT_TRUE(Until([&] { return server->text.size() == text.size() && client->sent == 1; }));
  EXPECT_TRUE(server->text == text);
}

TEST_P(StreamTest, ClosesWhileItsReceiveWaitsForABuffer) {
  Start({.receive_buffers = 2, .receive_buffer_bytes = 512});
  const std::string text = Pattern(10000);
  server->hold = true;
  server->stream->ResumeReceiving();
  client->stream->Send(AsBytes(text));
  ASSERT_TRUE(Until([&] { return ring->Statistics().buffers_exhausted > 0; }));
  server->stream->Close(CloseMode::kReset);
  ASSERT_TRUE(Until([&] { return server->closed; }));
  EXPECT_EQ(server->held.size(), 2u) << "leases outlive the stream";
}

// Sends back all that its one client sends, on a ring and a thread of its own.
class EchoServer final : private ListenerHandler {
 public:
  EchoServer() : thread_([this] { Main(); }) { port_.wait(0); }
  ~EchoServer() { thread_.join(); }
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

  Address address() const { return Address::Loopback(static_cast<std::uint16_t>(port_)); }
  // Ends when its client has closed.
  void AskToStop() { ring_.load()->Post(stop_); }

 private:
  void Main() {
    auto ring = MakeRing();
    listener_.emplace(*ring, static_cast<ListenerHandler&>(*this));
    ASSERT_TRUE(listener_->Open(Address::Loopback(0), {}).ok());
    ring_ = ring.get();
    port_ = listener_->LocalAddress().value().port();
    port_.notify_one();
    EXPECT_TRUE(TurnUntil(*ring, [&] { return asked_to_stop_ && party_->closed; }));
    listener_->Close();
    EXPECT_TRUE(TurnUntil(*ring, [&] { return closed_; }));
    EXPECT_EQ(ring->Statistics().sockets, 0u);
    party_.reset();
    listener_.reset();
  }
  void OnAccepted(SocketId socket) override {
    party_.emplace(*ring_.load(), socket);
    party_->on_received = [this] {
      if (!party_->stream->sending()) Reply();
    };
    party_->on_sent = [this] { Reply(); };
    party_->on_receive_ended = [this] { party_->stream->Close(CloseMode::kGraceful); };
    party_->stream->ResumeReceiving();
  }
  void OnListenerClosed() override { closed_ = true; }
  void Reply() {
    if (party_->text.empty()) return;
    answer_ = std::exchange(party_->text, {});
    party_->stream->Send(AsBytes(answer_));
  }
  void Stop() { asked_to_stop_ = true; }

  std::atomic<Ring*> ring_{nullptr};
  std::atomic<int> port_{0};
  // The thread's.
  std::optional<Listener> listener_;
  std::optional<Party> party_;
  std::string answer_;
  MemberItem<&EchoServer::Stop> stop_{*this};
  bool asked_to_stop_ = false;
  bool closed_ = false;

  std::thread thread_;
};

class Dialler final : public ConnectHandler {
 public:
  void OnConnected(Status status, SocketId connected) override {
    outcome = status;
    socket = connected;
  }
  std::optional<Status> outcome;
  SocketId socket = kNoSocket;
};

// Goal: streams on two rings on two threads do not disturb each other. Method: texts of 500 lengths
// go to a server and back, one after the other.
TEST(TwoRingsTest, EchoesBetweenThreads) {
  EchoServer server;
  auto ring = MakeRing();
  Dialler dialler;
  Connector connector(*ring, dialler);
  connector.Connect(server.address());
  ASSERT_TRUE(TurnUntil(*ring, [&] { return dialler.outcome.has_value(); }));
  ASSERT_TRUE(dialler.outcome->ok());
  Party party(*ring, dialler.socket);
  party.stream->ResumeReceiving();
  std::string expected;
  for (int round = 0; round < 500; ++round) {
    const std::string text = Pattern(1 + static_cast<std::size_t>(round) * 7);
    expected += text;
    const int sent = party.sent;
    party.stream->Send(AsBytes(text));
    ASSERT_TRUE(TurnUntil(
        *ring, [&] { return party.text.size() == expected.size() && party.sent == sent + 1; }));
  }
  EXPECT_TRUE(party.text == expected);
  server.AskToStop();
  party.stream->Close(CloseMode::kGraceful);
  ASSERT_TRUE(TurnUntil(*ring, [&] { return party.closed; }));
}

}  // namespace
}  // namespace ktlsim::io
