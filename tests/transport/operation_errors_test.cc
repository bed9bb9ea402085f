// The server path and the client path over a ring on which one operation fails, with each errno
// value of its system call, at each place of an exchange: every connection ends once with a counted
// reason, nothing is left over (TransportTest checks that), and the next exchange succeeds.
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "tests/transport/transport_test_support.h"

namespace ktlsim::test {
namespace {

using Kind = io::Operation::Kind;

struct Row {
  Kind kind;
  const char* name;
  std::vector<int> errors;
};

const std::vector<Row>& Table() {
  static const std::vector<Row> rows = {
      {Kind::kAccept,
       "accept",
       {ECONNABORTED, EINTR, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EINVAL, ENOSYS}},
      {Kind::kConnect,
       "connect",
       {EACCES, EPERM, EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, EINTR, ENETUNREACH, ETIMEDOUT, ENOMEM,
        ENOBUFS, ENOSYS, EHOSTUNREACH}},
      {Kind::kReceive,
       "receive",
       {0, EAGAIN, ECONNREFUSED, EINTR, EINVAL, ENOMEM, ENOTCONN, ECONNRESET, ENOBUFS, EPERM,
        ENOSYS, EIO, ETIMEDOUT}},
      {Kind::kSend,
       "send",
       {0, EACCES, EAGAIN, ECONNRESET, EINTR, EINVAL, ENOBUFS, ENOMEM, ENOTCONN, EPIPE, EPERM,
        ENOSYS, EIO, ENETUNREACH}},
  };
  return rows;
}

constexpr std::uint64_t kPlacesMax = 12;

class OperationErrorsTest : public TransportTest, public testing::WithParamInterface<int> {
 protected:
  void SetUp() override {}
  // Each run ends with one.
  void TearDown() override {}

  // One exchange with the failure, one without. False: there was no such place.
  bool Play(const io::MemoryFailure& failure, std::uint64_t seed) {
    SeededMachineOptions options;
    options.network.seed = seed;
    StartSeeded(options);
    StartServer(DefaultServer());
    StartClient();
    const TlsProfile& profile = MakeProfile(DefaultClient());
    machine_->network().SetFailure(failure);
    ClientTalk first(monitor_, Pattern(3000));
    const bool began = Connect(profile, first) != nullptr;
    EXPECT_TRUE(began);
    EXPECT_TRUE(!began || monitor_.Wait([&] { return first.ended; }));
    const std::uint64_t failed = machine_->network().failed();
    machine_->network().SetFailure({.times = 0});
    // Retries that were due later have happened.
    machine_->RunFor(kNsPerSecond);
    EXPECT_TRUE(WaitUntil([&] { return server_.Statistics().connections == 0; })) << Ends();
    ClientTalk second(monitor_, "");
    Exchange(profile, Pattern(2000), second);
    TransportTest::TearDown();
    return failed != 0;
  }
};
INSTANTIATE_TEST_SUITE_P(, OperationErrorsTest, testing::Range(0, 4));

TEST_P(OperationErrorsTest, EndOneConnectionAndNoOther) {
  const Row& row = Table()[static_cast<std::size_t>(GetParam())];
  std::uint64_t played = 0;
  for (const int error_number : row.errors) {
    for (const std::uint64_t times : {std::uint64_t{1}, std::uint64_t{3}}) {
      bool there = true;
      for (std::uint64_t place = 0; there && place < kPlacesMax; ++place) {
        SCOPED_TRACE(std::string(row.name) + " " + std::to_string(place) + ": " +
                     std::strerror(error_number) + " x" + std::to_string(times));
        there = Play({.kind = row.kind, .skip = place, .result = -error_number, .times = times},
                     1 + place);
        if (there) ++played;
        if (HasFatalFailure()) return;
      }
    }
  }
  EXPECT_GT(played, row.errors.size());
}

}  // namespace
}  // namespace ktlsim::test
