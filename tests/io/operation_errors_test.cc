// Every operation completed with each errno value that its system call names: one final call
// reports it, or the operation silently continues where the manual says that it has done nothing
// yet. Nothing is reported twice, nothing waits without end, and all other operations go on.
#include <cerrno>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "io/listener.h"
#include "tests/io/memory_test_support.h"

namespace ktlsim::io {
namespace {

using Kind = Operation::Kind;

// The values that are not signs of a bug in the ring (EFAULT and EBADF are: they are asserted).
const std::vector<int> kAcceptErrors = {
    ECONNABORTED, EPROTO,     ENOPROTOOPT, ENETDOWN, ENETUNREACH, EHOSTDOWN, EHOSTUNREACH,   ENONET,
    EINTR,        EAGAIN,     EMFILE,      ENFILE,   ENOBUFS,     ENOMEM,    EPERM,          EACCES,
    EINVAL,       EOPNOTSUPP, ENOSYS,      ENOSR,    ETIMEDOUT,   ENOTSOCK,  ESOCKTNOSUPPORT};
const std::vector<int> kConnectErrors = {
    EACCES,       EPERM,       EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN,      EALREADY,
    ECONNREFUSED, EINPROGRESS, EINTR,      EISCONN,       ENETUNREACH,  ENOTSOCK,    EPROTOTYPE,
    ETIMEDOUT,    ENOMEM,      ENOBUFS,    ENOSYS,        EINVAL,       EHOSTUNREACH};
const std::vector<int> kReceiveErrors = {EAGAIN,   ECONNREFUSED, EINTR,      EINVAL,   ENOMEM,
                                         ENOTCONN, ENOTSOCK,     ECONNRESET, ENOBUFS,  EPERM,
                                         EACCES,   ENOSYS,       EIO,        ETIMEDOUT};
const std::vector<int> kSendErrors = {EACCES, EAGAIN,   EALREADY, ECONNRESET, EDESTADDRREQ,
                                      EINTR,  EINVAL,   EISCONN,  EMSGSIZE,   ENOBUFS,
                                      ENOMEM, ENOTCONN, ENOTSOCK, EOPNOTSUPP, EPIPE,
                                      EPERM,  ENOSYS,   EIO,      ENETDOWN,   ENETUNREACH};

bool IsIn(const std::set<int>& some, int error_number) { return some.count(error_number) != 0; }

class OperationErrorsTest : public MemoryTest {
 protected:
  void Fail(Kind kind, int error_number, std::uint64_t times = 1) {
    network->SetFailure({.kind = kind, .result = -error_number, .times = times});
  }
  // Neither a request nor a timer is about to do anything: a ring that loops is caught only here.
  void ExpectRest() {
    for (int i = 0; i < 1000; ++i) {
      if (!network->AnyReady()) return;
      ring->Turn(0);
    }
    ADD_FAILURE() << "the ring turns without end";
  }
};

TEST_F(OperationErrorsTest, OfASendAreToldOnceOrTriedAgain) {
  for (const int error_number : kSendErrors) {
    SCOPED_TRACE(strerrorname_np(error_number));
    Begin(MemoryFaults{});
    Fail(Kind::kSend, error_number);
    const std::string text = Pattern(1000);
    Receiver receive;
    Sender send;
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    ASSERT_TRUE(Until([&] { return send.ended; }));
    EXPECT_EQ(network->failed(), 1u);
    EXPECT_EQ(send.outcome.code(), IsIn({EINTR, EAGAIN}, error_number) ? 0 : error_number);
    ExpectRest();
    Cancel(receive);
    TearDown();
    ring.reset();
  }
}

TEST_F(OperationErrorsTest, ASendOfNothingOfSomethingIsAnError) {
  Begin(MemoryFaults{});
  Fail(Kind::kSend, 0);
  const std::string text = "x";
  Sender send;
  ring->StartSend(send, pair.client, AsBytes(text));
  ASSERT_TRUE(Until([&] { return send.ended; }));
  EXPECT_EQ(send.outcome.code(), EPIPE);
}

TEST_F(OperationErrorsTest, OfAReceiveAreToldOnceOrTriedAgain) {
  for (const int error_number : kReceiveErrors) {
    SCOPED_TRACE(strerrorname_np(error_number));
    Begin(MemoryFaults{});
    Fail(Kind::kReceive, error_number);
    const std::string text = Pattern(1000);
    Receiver receive;
    Sender send;
    ring->StartReceive(receive, pair.server);
    ring->StartSend(send, pair.client, AsBytes(text));
    const bool goes_on = IsIn({EINTR, EAGAIN, ENOBUFS}, error_number);
    ASSERT_TRUE(
        Until([&] { return send.ended && (goes_on ? receive.text == text : receive.ended); }));
    EXPECT_EQ(network->failed(), 1u);
    EXPECT_EQ(receive.ended, !goes_on);
    if (goes_on) {
      Cancel(receive);
    } else {
      EXPECT_EQ(receive.end.code(), error_number);
      EXPECT_EQ(receive.text, "");
    }
    ExpectRest();
    TearDown();
    ring.reset();
  }
}

TEST_F(OperationErrorsTest, OfAConnectAreToldOnce) {
  for (const int error_number : kConnectErrors) {
    SCOPED_TRACE(strerrorname_np(error_number));
    Begin(MemoryFaults{});
    Fail(Kind::kConnect, error_number);
    const SocketId listener = ring->Listen(Address::Loopback(0), {}).value();
    const SocketId socket = ring->OpenStream(AF_INET).value();
    Connection connection;
    ring->StartConnect(connection, socket, ring->LocalAddress(listener).value());
    ASSERT_TRUE(Until([&] { return connection.ended; }));
    EXPECT_EQ(connection.outcome.code(), error_number);
    ExpectRest();
    ring->Close(socket);
    ring->Close(listener);
    TearDown();
    ring.reset();
  }
}

// A listener outlives every error of an accept: it goes on at once where the error concerns one
// connection, and a little later where it concerns the whole process, which is reported to its
// owner.
TEST_F(OperationErrorsTest, OfAnAcceptNeverStopTheListener) {
  struct Door final : ListenerHandler {
    explicit Door(Loop& loop) : listener(loop, *this) {}
    void OnAccepted(SocketId socket) override { sockets.push_back(socket); }
    void OnAcceptFailed(const Status& reason) override { failure = reason; }
    void OnListenerClosed() override { closed = true; }
    Listener listener;
    std::vector<SocketId> sockets;
    Status failure;
    bool closed = false;
  };
  for (const int error_number : kAcceptErrors) {
    SCOPED_TRACE(strerrorname_np(error_number));
    Begin(MemoryFaults{});
    Fail(Kind::kAccept, error_number, 3);
    Door door(*ring);
    ASSERT_TRUE(door.listener.Open(Address::Loopback(0), {}).ok());
    const SocketId client = ring->OpenStream(AF_INET).value();
    Connection connection;
    ring->StartConnect(connection, client, door.listener.LocalAddress().value());
    ASSERT_TRUE(Until([&] { return connection.ended && door.sockets.size() == 1; }));
    EXPECT_EQ(network->failed(), 3u);
    const bool told = door.failure.code() == error_number && door.listener.retries() == 3;
    const bool unseen = door.failure.ok() && door.listener.retries() == 0;
    EXPECT_TRUE(told || unseen) << door.failure.ToString();
    ExpectRest();
    door.listener.Close();
    ASSERT_TRUE(Until([&] { return door.closed; }));
    ring->Close(client, /*reset=*/true);
    ring->Close(door.sockets[0], /*reset=*/true);
    TearDown();
    ring.reset();
  }
}

// An error that meets a cancellation: one final call, and the operation may be started again.
TEST_F(OperationErrorsTest, MeetACancellationAndEndOnce) {
  for (const int error_number : kReceiveErrors) {
    for (const bool turn_first : {false, true}) {
      SCOPED_TRACE(strerrorname_np(error_number));
      MemoryNetworkOptions options;
      options.faults = {.delay = 1000};
      Begin(options);
      Fail(Kind::kReceive, error_number);
      Receiver receive;
      ring->StartReceive(receive, pair.server);
      if (turn_first) ring->Turn(0);
      ring->Cancel(receive);
      ASSERT_TRUE(Until([&] { return receive.ended; }));
      EXPECT_TRUE(receive.end.code() == ECANCELED || receive.end.code() == error_number)
          << receive.end.ToString();
      ExpectRest();
      receive.ended = false;
      ring->StartReceive(receive, pair.server);
      Cancel(receive);
      TearDown();
      ring.reset();
    }
  }
}

}  // namespace
}  // namespace ktlsim::io
