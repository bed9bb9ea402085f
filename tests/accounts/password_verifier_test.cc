#include "kernel_sim/accounts/password_verifier.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/accounts/accounts_test_support.h"
#include "tests/support/hang_limit.h"

namespace ktlsim::accounts {
namespace {

using test::ManualClock;

PasswordHash HashOf(const std::string& password, std::uint32_t memory_kib = 8) {
  const std::array<std::uint8_t, 16> salt = {7};
  PasswordHash hash;
  EXPECT_TRUE(PasswordHash::Make(SecretText(password),
                                 {.memory_kib = memory_kib, .passes = 1, .lanes = 1}, salt, &hash));
  return hash;
}

PasswordQuestion Ask(const std::string& name, const std::string& password,
                     const PasswordHash& hash) {
  PasswordQuestion question;
  question.name = name;
  question.hash = hash;
  question.known = true;
  question.password = SecretText(password);
  return question;
}

// Counts what comes back; one wait for all.
class Answers {
 public:
  PasswordVerifier::Done Take() {
    return [this](PasswordVerdict verdict) {
      const MutexLock lock(mutex_);
      verdicts_.push_back(verdict);
      changed_.notify_all();
    };
  }
  std::vector<PasswordVerdict> WaitFor(std::size_t count) {
    const MutexLock lock(mutex_);
    while (verdicts_.size() < count) changed_.wait(mutex_);
    return verdicts_;
  }
  std::size_t size() {
    const MutexLock lock(mutex_);
    return verdicts_.size();
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<PasswordVerdict> verdicts_ KTLSIM_GUARDED_BY(mutex_);
};

TEST(PasswordVerifierTest, TellsRightFromWrong) {
  ManualClock clock;
  PasswordVerifier verifier(clock, 8, {});
  const PasswordHash hash = HashOf("right");
  Admission refusal = Admission::kFull;
  EXPECT_EQ(verifier.Ask(Ask("a", "right", hash), &refusal), PasswordVerdict::kRight);
  EXPECT_EQ(verifier.Ask(Ask("a", "wrong", hash), &refusal), PasswordVerdict::kWrong);
  PasswordQuestion unknown = Ask("b", "right", hash);
  unknown.known = false;
  EXPECT_EQ(verifier.Ask(std::move(unknown), &refusal), PasswordVerdict::kWrong);
  EXPECT_EQ(refusal, Admission::kAccepted);
  const VerifierStatistics statistics = verifier.statistics();
  EXPECT_EQ(statistics.right, 1U);
  EXPECT_EQ(statistics.wrong, 2U);
  EXPECT_EQ(statistics.hashes, 3U);
}

TEST(PasswordVerifierTest, RunsTwoAtOnceAtMost) {
  ManualClock clock;
  PasswordVerifier verifier(clock, 64, {});
  const PasswordHash hash = HashOf("x", 1024);
  Answers answers;
  for (int i = 0; i < 16; ++i) {
    ASSERT_EQ(verifier.Submit(Ask("user" + std::to_string(i), "x", hash), answers.Take()),
              Admission::kAccepted);
  }
  for (const PasswordVerdict verdict : answers.WaitFor(16)) {
    EXPECT_EQ(verdict, PasswordVerdict::kRight);
  }
  EXPECT_LE(verifier.statistics().at_once, PasswordVerifier::kAtOnce);
}

// Attempts that wait for their time do not keep others waiting.
TEST(PasswordVerifierTest, ADelayedNameWaitsAlone) {
  ManualClock clock;
  PasswordVerifier verifier(clock, 64, {.free_failures = 1, .waiting_max = 4});
  const PasswordHash hash = HashOf("x");
  Admission refusal = Admission::kFull;
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(verifier.Ask(Ask(name, "wrong", hash), &refusal), PasswordVerdict::kWrong);
  }
  Answers delayed;
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(verifier.Submit(Ask(name, "x", hash), delayed.Take()), Admission::kAccepted);
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(verifier.Ask(Ask("d", "x", hash), &refusal), PasswordVerdict::kRight);
  }
  EXPECT_EQ(delayed.size(), 0U);
  clock.Advance(kNsPerSecond);
  for (const PasswordVerdict verdict : delayed.WaitFor(3)) {
    EXPECT_EQ(verdict, PasswordVerdict::kRight);
  }
}

TEST(PasswordVerifierTest, QueuesAreBounded) {
  ManualClock clock;
  Answers answers;
  {
    PasswordVerifier verifier(clock, 5, {.free_failures = 1, .waiting_max = 2});
    const PasswordHash hash = HashOf("x");
    Admission refusal = Admission::kFull;
    for (const char* name : {"a", "b", "c"}) {
      ASSERT_EQ(verifier.Ask(Ask(name, "wrong", hash), &refusal), PasswordVerdict::kWrong);
    }
    const auto submit = [&](const char* name) {
      return verifier.Submit(Ask(name, "x", hash), answers.Take());
    };
    EXPECT_EQ(submit("a"), Admission::kAccepted);
    EXPECT_EQ(submit("a"), Admission::kAccepted);
    EXPECT_EQ(submit("a"), Admission::kFull);  // of this name
    EXPECT_EQ(submit("b"), Admission::kAccepted);
    EXPECT_EQ(submit("b"), Admission::kAccepted);
    EXPECT_EQ(submit("c"), Admission::kAccepted);
    EXPECT_EQ(submit("c"), Admission::kFull);  // of all
    EXPECT_EQ(submit("d"), Admission::kFull);
    EXPECT_EQ(verifier.statistics().refused, 3U);
    EXPECT_EQ(answers.size(), 0U);
  }
  // What was accepted comes back, once; what was refused does not.
  EXPECT_EQ(answers.WaitFor(5), std::vector<PasswordVerdict>(5, PasswordVerdict::kStopped));
}

TEST(PasswordVerifierTest, ManyThreadsGetTheirOwnVerdicts) {
  ManualClock clock;
  PasswordVerifier verifier(clock, 1000, {.free_failures = 1000, .waiting_max = 1000});
  const PasswordHash hash = HashOf("x");
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const bool right = (i + t) % 2 == 0;
        Admission refusal = Admission::kFull;
        const auto verdict =
            verifier.Ask(Ask("user" + std::to_string(i % 3), right ? "x" : "y", hash), &refusal);
        if (verdict == (right ? PasswordVerdict::kRight : PasswordVerdict::kWrong)) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good.load(), 100);
}

// Known or not, with a password or a line of Digest: one computation of each.
TEST(PasswordVerifierTest, NobodyCostsWhatSomebodyCosts) {
  const PasswordHash hash = HashOf("x");
  for (const bool known : {false, true}) {
    for (const bool by_digest : {false, true}) {
      PasswordQuestion question = Ask("a", "x", hash);
      question.known = known;
      question.by_digest = by_digest;
      if (by_digest) question.line.emplace();
      unsigned hashes = 0;
      const PasswordVerdict verdict = JudgePassword(question, &hashes);
      EXPECT_EQ(verdict, known && !by_digest ? PasswordVerdict::kRight : PasswordVerdict::kWrong);
      EXPECT_EQ(hashes, 1U);
      EXPECT_TRUE(question.password.view().empty());
    }
  }
}

// A delayed attempt, which no clock will ever let begin, comes back; so does one that comes later.
TEST(PasswordVerifierTest, AStopEndsWhatWaitsAndResumeBeginsAgain) {
  ManualClock clock;
  const PasswordHash hash = HashOf("right");
  PasswordVerifier verifier(clock, 8, {});
  Admission refusal = Admission::kFull;
  const auto ask = [&](const char* password) {
    return verifier.Ask(Ask("a", password, hash), &refusal);
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("wrong"), PasswordVerdict::kWrong);
  Answers answers;
  ASSERT_EQ(verifier.Submit(Ask("a", "right", hash), answers.Take()), Admission::kAccepted);
  verifier.Stop();
  EXPECT_EQ(answers.WaitFor(1), std::vector<PasswordVerdict>{PasswordVerdict::kStopped});
  EXPECT_EQ(ask("right"), std::nullopt);
  EXPECT_EQ(refusal, Admission::kStopped);
  verifier.Stop();
  verifier.Resume();
  ASSERT_EQ(verifier.Submit(Ask("a", "right", hash), answers.Take()), Admission::kAccepted);
  EXPECT_EQ(answers.size(), 1U) << "the pace is remembered";
  clock.Advance(kNsPerSecond);
  EXPECT_EQ(answers.WaitFor(2).back(), PasswordVerdict::kRight);
}

// Holds helper threads, in the call that tells them what has come out.
class Gate {
 public:
  PasswordVerifier::Done Take() {
    return [this](PasswordVerdict) {
      const MutexLock lock(mutex_);
      ++held_;
      changed_.notify_all();
      while (!open_) changed_.wait(mutex_);
    };
  }
  void WaitFor(int held) {
    const MutexLock lock(mutex_);
    while (held_ < held) changed_.wait(mutex_);
  }
  void Open() {
    const MutexLock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  int held_ KTLSIM_GUARDED_BY(mutex_) = 0;
  bool open_ KTLSIM_GUARDED_BY(mutex_) = false;
};

// A verifier whose helper threads are all held, and a thread that is in Stop because of that.
class HeldStopTest : public testing::Test {
 protected:
  HeldStopTest() {
    for (const char* name : {"a", "b"}) {
      EXPECT_EQ(verifier_.Submit(Ask(name, "x", hash_), gate_.Take()), Admission::kAccepted);
    }
    gate_.WaitFor(PasswordVerifier::kAtOnce);
    first_ = std::thread([this] {
      verifier_.Stop();
      first_ended_ = true;
    });
    Admission refusal = Admission::kAccepted;
    while (refusal != Admission::kStopped) {
      // Nobody is there to verify it, so it comes back when the stop begins.
      verifier_.Ask(Ask("c", "x", hash_), &refusal);
    }
  }
  ~HeldStopTest() override {
    gate_.Open();
    first_.join();
  }

  const PasswordHash hash_ = HashOf("x");
  Gate gate_;
  ManualClock clock_;
  PasswordVerifier verifier_{clock_, 8, {}};
  std::thread first_;
  std::atomic<bool> first_ended_{false};
};

TEST_F(HeldStopTest, WhatIsAcceptedMeanwhileHasThreadsOfItsOwn) {
  verifier_.Resume();
  Answers answers;
  std::atomic<bool> served{false};
  const auto done = [&, told = answers.Take()](PasswordVerdict verdict) {
    served = true;
    told(verdict);
  };
  ASSERT_EQ(verifier_.Submit(Ask("d", "x", hash_), done), Admission::kAccepted);
  const auto limit = std::chrono::steady_clock::now() + ::ktlsim::test::kHangLimit;
  while (!served && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  EXPECT_TRUE(served) << "it waits for a thread that is held";
  EXPECT_FALSE(first_ended_);
  gate_.Open();
  EXPECT_EQ(answers.WaitFor(1), std::vector<PasswordVerdict>{PasswordVerdict::kRight});
}

TEST_F(HeldStopTest, ASecondStopWaitsForWhatTheFirstEnds) {
  std::atomic<bool> opened{false};
  std::atomic<bool> began{false};
  bool waited = false;
  std::thread second([&] {
    began = true;
    verifier_.Stop();
    waited = opened;
  });
  while (!began) std::this_thread::yield();
  // Room for a stop that does not wait to come back.
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  opened = true;
  gate_.Open();
  second.join();
  EXPECT_TRUE(waited);
}

}  // namespace
}  // namespace ktlsim::accounts
