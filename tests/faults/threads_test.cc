// KtlsimStart when the system makes no more threads: a status, nothing is left running, and the
// next start works.
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <filesystem>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/thread_faults.h"

namespace ktlsim::test {
namespace {

std::ptrdiff_t Entries(const char* folder) {
  return std::distance(std::filesystem::directory_iterator(folder), {});
}

class ThreadFaultsTest : public testing::TestWithParam<ULONG> {
 protected:
  void SetUp() override {
    options_ = OptionsFor(GetParam());
    options_.cbSize = sizeof(options_);
    // What is made once per process exists.
    static_cast<void>(KtlsimStop());
    ASSERT_EQ(KtlsimStart(&options_), SEC_E_OK) << KtlsimLastErrorText();
    ASSERT_EQ(KtlsimStop(), SEC_E_OK);
    threads_ = Entries("/proc/self/task");
    descriptors_ = Entries("/proc/self/fd");
  }
  void TearDown() override {
    static_cast<void>(KtlsimStop());
    EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  }

  std::uint64_t ThreadsOfAStart() {
    const ThreadFaults counted(ThreadFaults::kNever);
    EXPECT_EQ(KtlsimStart(&options_), SEC_E_OK);
    const std::uint64_t asked = ThreadFaults::asked();
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    return asked;
  }
  void ExpectNothingLeft() {
    EXPECT_GT(std::string(KtlsimLastErrorText()).size(), 10U);
    // Threads that have been joined, or have said that they end, may still be listed.
    WaitUntil([&] { return Entries("/proc/self/task") <= threads_; });
    EXPECT_EQ(Entries("/proc/self/fd"), descriptors_);
    CredHandle credential{};
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, ScriptedName(), SECPKG_CRED_INBOUND, nullptr,
                                        nullptr, nullptr, nullptr, &credential, nullptr),
              SEC_E_SHUTDOWN_IN_PROGRESS)
        << "the library had been stopped before";
  }
  // With threads.
  void ExpectThatItWorks() {
    ASSERT_EQ(KtlsimStart(&options_), SEC_E_OK) << KtlsimLastErrorText();
    ScriptedCredential credential(RepeatedScript());
    AsyncCall call;
    LegMemory leg;
    CtxtHandle made{};
    ASSERT_EQ(leg.Accept(call.get(), credential.get(), nullptr, &made), SEC_E_OK);
    EXPECT_EQ(call.Finish(), SEC_I_CONTINUE_NEEDED);
    EXPECT_EQ(DeleteSecurityContext(&made), SEC_E_OK);
  }

  KtlsimOptions options_{};
  std::ptrdiff_t threads_ = 0;
  std::ptrdiff_t descriptors_ = 0;
};

TEST_P(ThreadFaultsTest, AStartWithoutEnoughThreadsLeavesNothing) {
  const std::uint64_t asked = ThreadsOfAStart();
  // A notification thread and a processor at least.
  ASSERT_GE(asked, 2U);
  for (std::uint64_t made = 0; made < asked; ++made) {
    SCOPED_TRACE(made);
    {
      const ThreadFaults none_after(made, /*all_later=*/true);
      EXPECT_EQ(KtlsimStart(&options_), SEC_E_INSUFFICIENT_MEMORY);
    }
    ExpectNothingLeft();
  }
  ExpectThatItWorks();
}

// Notification threads beyond the first can be made later.
TEST_P(ThreadFaultsTest, AStartWithOneThreadRefusedRunsWholeOrNotAtAll) {
  const std::uint64_t asked = ThreadsOfAStart();
  for (std::uint64_t refused = 0; refused < asked; ++refused) {
    SCOPED_TRACE(refused);
    SECURITY_STATUS status = SEC_E_OK;
    {
      const ThreadFaults one(refused);
      status = KtlsimStart(&options_);
    }
    if (status == SEC_E_OK) {
      EXPECT_NE(refused, 0U) << "without any notification thread";
      EXPECT_EQ(KtlsimStop(), SEC_E_OK);
      continue;
    }
    EXPECT_EQ(status, SEC_E_INSUFFICIENT_MEMORY);
    ExpectNothingLeft();
  }
  ExpectThatItWorks();
}

INSTANTIATE_TEST_SUITE_P(, ThreadFaultsTest,
                         testing::Values(KTLSIM_PLACEMENT_INLINE, KTLSIM_PLACEMENT_POOL),
                         [](const auto& test) {
                           return test.param == KTLSIM_PLACEMENT_INLINE ? "Inline" : "Pool";
                         });

}  // namespace
}  // namespace ktlsim::test
