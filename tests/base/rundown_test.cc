#include "kernel_sim/base/rundown.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace ktlsim {
namespace {

TEST(RundownTest, RefusesAfterClose) {
  Rundown rundown;
  ASSERT_TRUE(rundown.Enter());
  rundown.Close();
  EXPECT_FALSE(rundown.Enter());
  EXPECT_EQ(rundown.inside(), 1U);
  rundown.Leave();
  rundown.WaitUntilDrained();
  rundown.Reopen();
  EXPECT_TRUE(rundown.Enter());
  rundown.Leave();
}

TEST(RundownTest, WaitsForTheLastOneInside) {
  Rundown rundown;
  std::atomic<bool> left{false};
  ASSERT_TRUE(rundown.Enter());
  rundown.Close();
  std::thread inside([&] {
    left.store(true);
    rundown.Leave();
  });
  rundown.WaitUntilDrained();
  EXPECT_TRUE(left.load());
  inside.join();
}

}  // namespace
}  // namespace ktlsim
