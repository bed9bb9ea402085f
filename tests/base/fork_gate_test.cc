// A thread inside the gate keeps a fork waiting, and a fork keeps other threads outside.
#include "kernel_sim/base/fork_gate.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim {
namespace {

TEST(ForkGateTest, ClosingWaitsForWhoIsInside) {
  std::atomic<bool> entered{false};
  std::atomic<bool> closing{false};
  std::atomic<bool> left{false};
  std::thread worker([&] {
    const ForkGate::Scope inside;
    const ForkGate::Scope nested;
    entered = true;
    while (!closing) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    left = true;
  });
  while (!entered) std::this_thread::yield();
  closing = true;
  ForkGate::Close();
  EXPECT_TRUE(left);
  ForkGate::Open();
  worker.join();
}

TEST(ForkGateTest, NobodyEntersWhileItIsClosed) {
  // The thread that closes the gate may be inside, and may enter again.
  const ForkGate::Scope outer;
  ForkGate::Close();
  std::atomic<bool> on_the_way{false};
  std::atomic<bool> entered{false};
  std::thread worker([&] {
    on_the_way = true;
    const ForkGate::Scope inside;
    entered = true;
  });
  while (!on_the_way) std::this_thread::yield();
  {
    const ForkGate::Scope inner;
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  }
  EXPECT_FALSE(entered);
  ForkGate::Open();
  worker.join();
  EXPECT_TRUE(entered);
}

// Plain variables: the thread sanitizer sees whether the gate orders what is done inside.
TEST(ForkGateTest, WhatIsInsideIsOverWhenItIsClosed) {
  constexpr int kThreads = 3;
  std::atomic<bool> stop{false};
  int half[kThreads] = {};
  int whole[kThreads] = {};
  std::vector<std::thread> workers;
  for (int i = 0; i < kThreads; ++i) {
    workers.emplace_back([&, i] {
      while (!stop) {
        const ForkGate::Scope inside;
        ++half[i];
        ++whole[i];
      }
    });
  }
  for (int round = 0; round < 200; ++round) {
    ForkGate::Close();
    for (int i = 0; i < kThreads; ++i) EXPECT_EQ(half[i], whole[i]);
    ForkGate::Open();
  }
  stop = true;
  for (std::thread& worker : workers) worker.join();
}

}  // namespace
}  // namespace ktlsim
