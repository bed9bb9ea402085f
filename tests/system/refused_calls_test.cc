// Every system call that `ktlsim serve` makes from main on, refused with each errno value: once, or
// from then on. refusals.h says what must hold. KTLSIM_FAULTS=all tries all of them; otherwise
// KTLSIM_SEED draws a share.
#include <signal.h>
#include <sys/syscall.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/call_refuser.h"
#include "tests/system/refusals.h"
#include "tests/system/refused_scenes.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

constexpr const char* kNoFilter = "no seccomp filter with a supervisor here";

constexpr int kParts = 4;

class EveryCallTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, EveryCallTest, testing::Range(0, kParts));

TEST_P(EveryCallTest, RefusedIsAFallbackAStatusOrAMessage) {
  FilesScene scene;
  const CallCounts counts = CountCalls(scene);
  if (counts.empty()) GTEST_SKIP() << kNoFilter;
  const std::vector<Fault> drawn =
      AllFaults() ? EveryFault(counts) : OneOfEach(counts, SeedOfFaults());
  std::vector<Fault> faults;
  for (std::size_t i = static_cast<std::size_t>(GetParam()); i < drawn.size(); i += kParts) {
    faults.push_back(drawn[i]);
  }
  PlayAll(scene, faults);
}

class RefusedCallsTest : public testing::Test {
 protected:
  RefusedCallsTest() { std::ofstream(folder_.File("a.txt")) << "text"; }

  const TemporaryFolder folder_;
};

// A file that exists and cannot be read: its clients get a status, the log has the reason, and
// other requests are served.
TEST_F(RefusedCallsTest, AFileThatCannotBeReadIsAStatusAndALogLine) {
  CallRefuser refuser({SYS_preadv2, SYS_pread64});
  ServeProcess server({"--self-signed", "localhost", "--root", folder_.File("")},
                      refuser.launcher());
  if (refuser.impossible()) GTEST_SKIP() << kNoFilter;
  ASSERT_TRUE(server.running()) << server.output();
  refuser.SetJudge([](const SystemCall&) { return EIO; });
  EXPECT_EQ(GetStatus(server.port(), "/a.txt"), "500");
  EXPECT_TRUE(server.WaitForOutput("file failed path=/a.txt")) << server.output();
  EXPECT_TRUE(server.WaitForOutput("read the file: Input/output error")) << server.output();
  refuser.SetJudge([](const SystemCall& call) { return call.number == SYS_preadv2 ? EPERM : 0; });
  EXPECT_EQ(GetStatus(server.port(), "/a.txt"), "200");
  refuser.SetJudge({});
  EXPECT_EQ(GetStatus(server.port(), "/a.txt"), "200");
  server.StopCleanly();
}

// The kernel reports that it had no memory to keep a completion. Everything in flight is ended,
// since the lost completion may be any of theirs; listeners and the ring go on.
TEST_F(RefusedCallsTest, ALostCompletionCutsWhatIsInFlightAndNothingElse) {
  CallRefuser refuser({SYS_io_uring_enter});
  ServeProcess server({"--self-signed", "localhost", "--root", folder_.File("")},
                      refuser.launcher());
  if (refuser.impossible()) GTEST_SKIP() << kNoFilter;
  ASSERT_TRUE(server.running()) << server.output();
  for (std::uint64_t place = 1; place <= 8; ++place) {
    SCOPED_TRACE(place);
    refuser.SetJudge([left = place](const SystemCall&) mutable { return --left == 0 ? EBADR : 0; });
    static_cast<void>(GetStatus(server.port(), "/a.txt"));
    refuser.SetJudge({});
    EXPECT_EQ(GetStatus(server.port(), "/a.txt"), "200");
  }
  server.StopCleanly();
}

}  // namespace
}  // namespace ktlsim::system_tests
