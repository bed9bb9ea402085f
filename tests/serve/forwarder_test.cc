// Forwarding on the in-memory ring, where a seed decides when bytes and completions come, and in
// what pieces: bytes and ends in both directions, and backends that are gone. Each outcome is
// counted, and no buffer, socket or forwarder is left.
#include "kernel_sim/serve/forwarder.h"

#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/io/ring_test_support.h"
#include "tests/serve/fake_connection.h"

namespace ktlsim::serve {
namespace {

// What a network and a kernel may do to a connection without ending it.
io::MemoryFaults Harmless() {
  io::MemoryFaults faults = io::MemoryFaults::All();
  faults.reset = 0;
  faults.truncate = 0;
  faults.accept_failure = 0;
  faults.connect_refused = 0;
  faults.connect_timeout = 0;
  return faults;
}

class ForwarderTest : public testing::TestWithParam<std::uint64_t> {
 protected:
  void SetUp() override {
    io::MemoryNetworkOptions options;
    options.seed = GetParam();
    options.faults = Harmless();
    network_ = std::make_unique<io::MemoryNetwork>(options);
    ring_ = io::CreateMemoryRing(*network_, {}).value();
    listener_ = ring_->Listen(io::Address::Loopback(0), {}).value();
    backend_address_ = ring_->LocalAddress(listener_).value();
    ring_->StartAccept(acceptor_, listener_);
    here_ = std::make_unique<ForwardLoopShare>(*ring_);
    client_.its_loop = ring_.get();
  }

  void TearDown() override {
    EXPECT_EQ(share_->forwarders.inside(), 0U);
    for (std::size_t i = 0; i < share_->pool.size(); ++i) EXPECT_EQ(share_->pool.in_use(i), 0U);
    EXPECT_EQ(here_->buffers.in_use(), 0U);
    EXPECT_LE(here_->buffered_peak.load(), 2 * kForwardBufferBytes);
    CloseListener();
    if (backend() != io::kNoSocket) ring_->Close(backend());
    const io::RingStatistics left = ring_->Statistics();
    EXPECT_EQ(left.operations + left.sockets + left.buffers_lent + left.timers, 0U);
  }

  void Forward() {
    ForwardOptions options;
    options.backends = {backend_address_};
    Forward(options);
  }
  void Forward(const ForwardOptions& options) {
    share_ = std::make_unique<ForwardShare>(options);
    handler_ = MakeForwarder(*share_, *here_);
    ASSERT_NE(handler_, nullptr);
    handler_->OnEstablished(client_);
  }
  io::SocketId backend() const {
    return acceptor_.sockets.empty() ? io::kNoSocket : acceptor_.sockets[0];
  }
  void ExpectUntil(const std::function<bool()>& done) { ASSERT_TRUE(io::TurnUntil(*ring_, done)); }

  // What the client sends, as records, while it is read.
  void ClientSays(std::string_view& text) {
    while (!text.empty() && !client_.paused && !client_.aborted) {
      client_.Receive(*handler_, text.substr(0, 16384));
      text.remove_prefix(std::min<std::size_t>(text.size(), 16384));
    }
  }
  // An address at which no process listens.
  io::Address DeadAddress() {
    const io::SocketId listener = ring_->Listen(io::Address::Loopback(0), {}).value();
    const io::Address address = ring_->LocalAddress(listener).value();
    ring_->Close(listener);
    return address;
  }
  // All its bytes and close_notify, and then its socket is gone: before any backend has accepted.
  void LeaveEarly(std::string_view upload) {
    ClientSays(upload);
    ASSERT_TRUE(upload.empty());
    handler_->OnPeerClosed(client_, /*truncated=*/false);
    handler_->OnEnded(client_, {.kind = transport::EndKind::kCompleted});
    ASSERT_EQ(here_->forwarded.value(), 0U);
  }
  // The path reports that the connection is over; the backend's socket closes later.
  void EndClient(transport::EndKind kind) {
    handler_->OnEnded(client_, {.kind = kind});
    ExpectUntil([&] { return share_->forwarders.inside() == 0; });
  }
  // The backend's end of its connection, which the test reads to the end.
  void ReadBackend(io::Receiver& receiver) {
    ExpectUntil([&] { return backend() != io::kNoSocket; });
    ring_->StartReceive(receiver, backend());
  }
  void CloseListener() {
    if (listener_ == io::kNoSocket) return;
    ring_->Cancel(acceptor_);
    EXPECT_TRUE(io::TurnUntil(*ring_, [&] { return acceptor_.ended; }));
    ring_->Close(std::exchange(listener_, io::kNoSocket));
  }

  std::unique_ptr<io::MemoryNetwork> network_;
  std::unique_ptr<io::MemoryRing> ring_;
  io::SocketId listener_ = io::kNoSocket;
  io::Address backend_address_;
  io::Acceptor acceptor_;
  std::unique_ptr<ForwardShare> share_;
  std::unique_ptr<ForwardLoopShare> here_;
  FakeConnection client_;
  transport::ConnectionHandler* handler_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Seeds, ForwarderTest, testing::Range<std::uint64_t>(1, 21));

TEST_P(ForwarderTest, BytesAndEndsGoBothWays) {
  Forward();
  const std::string upload = io::Pattern(300'000);
  const std::string answer = io::Pattern(200'000);
  std::string_view unsaid = upload;
  ClientSays(unsaid);  // more than may wait: it is paused before the backend has accepted
  EXPECT_FALSE(unsaid.empty());
  EXPECT_TRUE(client_.paused);
  io::Receiver received;
  ReadBackend(received);
  ExpectUntil([&] {
    ClientSays(unsaid);
    return unsaid.empty();
  });
  handler_->OnPeerClosed(client_, /*truncated=*/false);
  ExpectUntil([&] { return received.ended; });
  EXPECT_TRUE(received.end.ok()) << received.end.ToString();
  EXPECT_TRUE(received.text == upload) << received.text.size();

  // A slow client: it reads a little at a time.
  constexpr std::size_t kRoom = 10'000;
  client_.room = 0;
  io::Sender sender;
  ring_->StartSend(sender, backend(), io::AsBytes(answer));
  ExpectUntil([&] {
    if (client_.room == 0) client_.GiveRoom(*handler_, kRoom);
    return sender.ended;
  });
  EXPECT_FALSE(client_.closed);
  ring_->ShutdownSend(backend());
  ExpectUntil([&] {
    client_.GiveRoom(*handler_, kRoom);
    return client_.closed;
  });
  EXPECT_TRUE(client_.sent == answer) << client_.sent.size();
  EndClient(transport::EndKind::kCompleted);
  EXPECT_EQ(here_->forwarded.value(), 1U);
  EXPECT_EQ(here_->backend_resets.value(), 0U);
}

TEST_P(ForwarderTest, ABackendThatIsNotThereTurnsTheClientAway) {
  CloseListener();
  Forward();
  ExpectUntil([&] { return client_.aborted; });
  EXPECT_EQ(client_.abort_kind, transport::EndKind::kNoBackend);
  EndClient(client_.abort_kind);
  EXPECT_EQ(here_->connect_failures.value(), 1U);
  EXPECT_EQ(here_->without_backend.value(), 1U);
  EXPECT_EQ(here_->forwarded.value(), 0U);
}

// The client gets FIN without close_notify: what it has got may not be the whole.
TEST_P(ForwarderTest, ABackendThatResetsCutsTheClientOffAndIsCounted) {
  Forward();
  const std::string upload = io::Pattern(300'000);
  std::string_view unsaid = upload;
  io::Receiver received;
  ReadBackend(received);
  ExpectUntil([&] {
    ClientSays(unsaid);
    return received.text.size() > 1000 * GetParam();
  });
  ring_->Cancel(received);
  ExpectUntil([&] { return received.ended; });
  ring_->Close(std::exchange(acceptor_.sockets[0], io::kNoSocket), /*reset=*/true);
  ExpectUntil([&] {
    ClientSays(unsaid);
    return client_.cut;
  });
  EXPECT_FALSE(client_.aborted);
  EXPECT_EQ(client_.close_kind, transport::EndKind::kBackendFailed);
  // What the client goes on to send is dropped.
  ClientSays(unsaid);
  EXPECT_TRUE(unsaid.empty());
  EndClient(client_.close_kind);
  EXPECT_EQ(here_->forwarded.value(), 1U);
  EXPECT_EQ(here_->backend_resets.value(), 1U);
}

TEST_P(ForwarderTest, WhatABackendSentBeforeItsResetReachesASlowClient) {
  Forward();
  ExpectUntil([&] { return backend() != io::kNoSocket; });
  const std::string answer = io::Pattern(20'000);
  client_.room = 0;
  io::Sender sender;
  ring_->StartSend(sender, backend(), io::AsBytes(answer));
  ExpectUntil([&] { return sender.ended && here_->buffered_peak.load() != 0; });
  ring_->ShutdownSend(backend());
  std::string_view unsaid = "more of the request";
  ClientSays(unsaid);
  ring_->Close(std::exchange(acceptor_.sockets[0], io::kNoSocket), /*reset=*/true);
  ExpectUntil([&] {
    client_.GiveRoom(*handler_, 1'000);
    return client_.closed;
  });
  EXPECT_FALSE(client_.aborted);
  EXPECT_EQ(client_.sent, answer.substr(0, client_.sent.size()));
  // Less than all only if the client is told so.
  EXPECT_TRUE(client_.cut || client_.sent.size() == answer.size()) << client_.sent.size();
  EndClient(client_.close_kind);
}

// The backend must not take a cut stream for a whole one.
TEST_P(ForwarderTest, AClientCutOffIsAResetToTheBackend) {
  Forward();
  std::string_view unsaid = "half a requ";
  io::Receiver received;
  ReadBackend(received);
  ClientSays(unsaid);
  ExpectUntil([&] { return received.text == "half a requ"; });
  handler_->OnPeerClosed(client_, /*truncated=*/true);
  EXPECT_TRUE(client_.closed);
  ExpectUntil([&] { return received.ended; });
  EXPECT_FALSE(received.end.ok());
  EndClient(transport::EndKind::kTruncatedByPeer);
}

// The last bytes of an orderly client get to the backend even when no client waits for a response.
TEST_P(ForwarderTest, WhatAClientLeftBehindStillArrives) {
  Forward();
  const std::string upload = io::Pattern(60'000);
  std::string_view unsaid = upload;
  ExpectUntil([&] { return here_->forwarded.value() == 1; });
  ClientSays(unsaid);
  ASSERT_TRUE(unsaid.empty());
  handler_->OnPeerClosed(client_, /*truncated=*/false);
  handler_->OnEnded(client_, {.kind = transport::EndKind::kCompleted});
  io::Receiver received;
  ReadBackend(received);
  ExpectUntil([&] { return received.ended && share_->forwarders.inside() == 0; });
  EXPECT_TRUE(received.text == upload) << received.text.size();
}

TEST_P(ForwarderTest, WhatAClientLeftBehindAwaitsALateBackend) {
  ForwardOptions options;
  options.backends = {backend_address_};
  options.connect_ns = 0;
  options.proxy_protocol = GetParam() % 2 == 0;
  Forward(options);
  const std::string upload = io::Pattern(40'000);
  LeaveEarly(upload);
  io::Receiver received;
  ReadBackend(received);
  ExpectUntil([&] { return received.ended && share_->forwarders.inside() == 0; });
  EXPECT_TRUE(received.end.ok()) << received.end.ToString();
  EXPECT_TRUE(received.text.ends_with(upload)) << received.text.size();
  EXPECT_EQ(here_->forwarded.value(), 1U);
}

class CountingWatcher final : public BackendWatcher {
 public:
  void OnBackendOut(const io::Address&, Status) override { ++out; }
  void OnBackendBack(const io::Address&) override {}
  void OnNoBackend(const io::Address& client) override { turned_away.push_back(client); }

  int out = 0;
  std::vector<io::Address> turned_away;
};

TEST_P(ForwarderTest, WhatAClientLeftBehindGoesToTheNextBackend) {
  CountingWatcher watcher;
  ForwardOptions options;
  options.backends = {DeadAddress(), DeadAddress(), backend_address_};
  options.watcher = &watcher;
  Forward(options);
  LeaveEarly("the last words");
  io::Receiver received;
  ReadBackend(received);
  ExpectUntil([&] { return received.ended && share_->forwarders.inside() == 0; });
  EXPECT_EQ(received.text, "the last words");
  EXPECT_EQ(watcher.out, 2);
}

TEST_P(ForwarderTest, WhatAClientLeftBehindIsDroppedWhenNoBackendIsThere) {
  CountingWatcher watcher;
  client_.peer = io::Address::Loopback(4711);
  ForwardOptions options;
  options.backends = {DeadAddress(), DeadAddress()};
  options.watcher = &watcher;
  Forward(options);
  LeaveEarly("the last words");
  ExpectUntil([&] { return share_->forwarders.inside() == 0; });
  EXPECT_EQ(here_->without_backend.value(), 1U);
  ASSERT_EQ(watcher.turned_away.size(), 1U);
  EXPECT_EQ(watcher.turned_away[0].ToString(), client_.peer.ToString());
}

// Half a minute, whatever the connect timeout is.
TEST(ForwarderLimitTest, WhatAClientLeftBehindIsNotKeptForEver) {
  io::MemoryNetworkOptions network;
  network.faults.connect_timeout = 1000;
  io::MemoryNetwork silent(network);
  std::unique_ptr<io::MemoryRing> ring = io::CreateMemoryRing(silent, {}).value();
  for (const std::uint64_t connect_ns : {std::uint64_t{0}, 100 * kNsPerSecond, 20 * kNsPerSecond}) {
    ForwardOptions options;
    options.backends = {io::Address::Loopback(1), io::Address::Loopback(2)};
    options.connect_ns = connect_ns;
    ForwardShare share(options);
    ForwardLoopShare here(*ring);
    transport::ConnectionHandler* const handler = MakeForwarder(share, here);
    FakeConnection client;
    client.its_loop = ring.get();
    handler->OnEstablished(client);
    const std::uint64_t begun_ns = ring->NowNs();
    client.Receive(*handler, "the last words");
    handler->OnPeerClosed(client, /*truncated=*/false);
    handler->OnEnded(client, {.kind = transport::EndKind::kCompleted});
    ASSERT_TRUE(io::TurnUntil(*ring, [&] { return share.forwarders.inside() == 0; }));
    EXPECT_GE(ring->NowNs() - begun_ns, 30 * kNsPerSecond);
    EXPECT_LT(ring->NowNs() - begun_ns, 31 * kNsPerSecond);
    EXPECT_EQ(here.buffers.in_use(), 0U);
  }
}

}  // namespace
}  // namespace ktlsim::serve
