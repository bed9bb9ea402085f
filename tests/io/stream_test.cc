#include "io/stream.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/connector.h"
#include "io/listener.h"
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
  if (real()) setsockopt(client_socket, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
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

// Two rings on two threads; each stream lives on its own.
TEST(TwoRingsTest, EchoesBetweenThreads) {
  struct Stop : WorkItem {
    Stop() : WorkItem([](WorkItem& item) { static_cast<Stop&>(item).asked = true; }) {}
    bool asked = false;
  };
  struct Server final : ListenerHandler {
    explicit Server(Ring& on) : ring(on), listener(on, *this) {}
    void OnAccepted(SocketId socket) override {
      party.emplace(ring, socket);
      party->on_received = [this] {
        if (party->stream->sending() || party->text.empty()) return;
        Reply();
      };
      party->on_sent = [this] {
        if (!party->text.empty()) Reply();
      };
      party->on_receive_ended = [this] { party->stream->Close(CloseMode::kGraceful); };
      party->stream->ResumeReceiving();
    }
    void Reply() {
      answer = std::exchange(party->text, {});
      party->stream->Send(AsBytes(answer));
    }
    void OnListenerClosed() override { closed = true; }
    Ring& ring;
    Listener listener;
    std::optional<Party> party;
    std::string answer;
    bool closed = false;
  };
  std::atomic<int> port{0};
  std::atomic<Ring*> server_ring{nullptr};
  Stop stop;
  std::thread thread([&] {
    auto ring = MakeRing();
    Server server(*ring);
    ASSERT_TRUE(server.listener.Open(Address::Loopback(0), {}).ok());
    server_ring = ring.get();
    port = server.listener.LocalAddress().value().port();
    port.notify_one();
    EXPECT_TRUE(TurnUntil(*ring, [&] { return stop.asked && server.party->closed; }));
    server.listener.Close();
    EXPECT_TRUE(TurnUntil(*ring, [&] { return server.closed; }));
    EXPECT_EQ(ring->Statistics().sockets, 0u);
  });
  port.wait(0);
  {
    auto ring = MakeRing();
    struct Client final : ConnectHandler {
      void OnConnected(Status status, SocketId connected) override {
        outcome = status;
        socket = connected;
        done = true;
      }
      Status outcome;
      SocketId socket = kNoSocket;
      bool done = false;
    } client;
    Connector connector(*ring, client);
    connector.Connect(Address::Loopback(static_cast<std::uint16_t>(port)));
    ASSERT_TRUE(TurnUntil(*ring, [&] { return client.done; }));
    ASSERT_TRUE(client.outcome.ok());
    Party party(*ring, client.socket);
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
    server_ring.load()->Post(stop);
    party.stream->Close(CloseMode::kGraceful);
    ASSERT_TRUE(TurnUntil(*ring, [&] { return party.closed; }));
  }
  thread.join();
}

}  // namespace
}  // namespace ktlsim::io
