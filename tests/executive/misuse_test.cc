#include "kernel_sim/executive/misuse.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/executive/executive_test_support.h"

namespace ktlsim::executive {
namespace {

void Ignore(_SspiAsyncContext*, void*) {}

TEST(MisuseTest, IsCountedAndSurvived) {
  const std::uint64_t before = MisuseCount();
  ReportMisuse("a rule of the test");
  EXPECT_EQ(MisuseCount(), before + 1);
}

// The environment is read once, so each death happens in a fresh process.
class MisuseDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(MisuseDeathTest, AbortsWithTheRuleWhenAskedTo) {
  EXPECT_DEATH(
      {
        setenv("KTLSIM_MISUSE", "abort", 1);
        ReportMisuse("a rule of the test");
      },
      "misuse: a rule of the test");
}

TEST_F(MisuseDeathTest, FreeInFlightWithCallbackAborts) {
  EXPECT_DEATH(
      {
        setenv("KTLSIM_MISUSE", "abort", 1);
        MonotonicClock clock;
        AsyncContextTable contexts(clock);
        const AsyncHandle handle = contexts.Create();
        contexts.SetCallback(handle, &Ignore, nullptr);
        Request* request = nullptr;
        if (contexts.BeginSubmit(handle, true, &request) == AsyncResult::kOk) {
          contexts.Free(handle);
        }
      },
      "misuse: async context freed while its call is in flight");
}

TEST_F(MisuseDeathTest, FreeInFlightWithoutCallbackIsOrdinary) {
  EXPECT_EXIT(
      {
        setenv("KTLSIM_MISUSE", "abort", 1);
        MonotonicClock clock;
        AsyncContextTable contexts(clock);
        const AsyncHandle handle = contexts.Create();
        Request* request = nullptr;
        if (contexts.BeginSubmit(handle, false, &request) == AsyncResult::kOk) {
          contexts.Free(handle);
          contexts.Accept(*request->context(), false);
          contexts.Publish(*request->context(), 0);
        }
        std::_Exit(contexts.live() == 0 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(MisuseDeathTest, OtherValuesDoNotAbort) {
  EXPECT_EXIT(
      {
        setenv("KTLSIM_MISUSE", "count", 1);
        ReportMisuse("a rule of the test");
        std::_Exit(0);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace ktlsim::executive
