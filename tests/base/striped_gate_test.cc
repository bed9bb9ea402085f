// A gate that counts by thread: which threads are inside, which are refused, and what the closing
// thread sees.
#include "kernel_sim/base/striped_gate.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim {
namespace {

TEST(StripedGateTest, RefusesWhileItIsClosed) {
  StripedGate gate;
  ASSERT_TRUE(gate.TryEnter());
  gate.Close();
  EXPECT_TRUE(gate.closed());
  EXPECT_FALSE(gate.TryEnter());
  EXPECT_EQ(gate.inside(), 1);
  gate.Leave();
  EXPECT_EQ(gate.inside(), 0);
  gate.Open();
  ASSERT_TRUE(gate.TryEnter());
  gate.Leave();
}

// More threads than there are stripes.
TEST(StripedGateTest, CountsTheEntriesOfAllThreads) {
  constexpr int kThreads = 40;
  StripedGate gate;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(gate.TryEnter()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(gate.inside(), kThreads);
  gate.ForgetOthers(2);
  EXPECT_EQ(gate.inside(), 2);
  gate.Leave();
  gate.Leave();
  EXPECT_EQ(gate.inside(), 0);
}

TEST(StripedGateTest, GatesCountApart) {
  StripedGate one;
  StripedGate other;
  ASSERT_TRUE(one.TryEnter());
  one.Close();
  EXPECT_TRUE(other.TryEnter());
  EXPECT_EQ(other.inside(), 1);
  one.Leave();
  EXPECT_EQ(other.inside(), 1);
  other.Leave();
}

// A plain variable: the thread sanitizer sees whether the gate orders what was done inside.
TEST(StripedGateTest, NobodyIsInsideOnceAClosedGateIsEmpty) {
  StripedGate gate;
  std::atomic<bool> stop{false};
  int half = 0;
  int whole = 0;
  std::thread worker([&] {
    while (!stop) {
      if (!gate.TryEnter()) continue;
      ++half;
      ++whole;
      gate.Leave();
    }
  });
  for (int round = 0; round < 200; ++round) {
    gate.Close();
    while (gate.inside() != 0) std::this_thread::yield();
    EXPECT_EQ(half, whole);
    gate.Open();
  }
  stop = true;
  worker.join();
}

}  // namespace
}  // namespace ktlsim
