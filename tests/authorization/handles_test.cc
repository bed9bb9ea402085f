// Handles: values, kinds, who may close them; and the last error.
#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using HandlesTest = AuthorizationTest;

TEST_F(HandlesTest, AreClosedOnce) {
  HANDLE handle = nullptr;
  ASSERT_EQ(OpenToken(MakeClient(), TOKEN_QUERY, &handle), security::Fault::kNone);
  EXPECT_TRUE(FindToken(handle));
  EXPECT_EQ(CloseHandle(handle), TRUE);
  EXPECT_FALSE(FindToken(handle));
  ExpectError(CloseHandle(handle), ERROR_INVALID_HANDLE);
  ExpectError(KtlsimCloseHandle(handle), ERROR_INVALID_HANDLE);
}

TEST_F(HandlesTest, AreNeverNullOrPseudoAndNeverGivenTwice) {
  std::set<HANDLE> seen;
  for (int i = 0; i < 2000; ++i) {
    HANDLE handle = nullptr;
    ASSERT_EQ(OpenToken(MakeClient(), 0, &handle), security::Fault::kNone);
    const auto value = reinterpret_cast<std::intptr_t>(handle);
    EXPECT_GT(value, 0);
    EXPECT_TRUE(seen.insert(handle).second);
    EXPECT_EQ(CloseHandle(handle), TRUE);
  }
}

TEST_F(HandlesTest, WhatIsNoneIsInvalid) {
  TestHandle good(MakeClient());
  const auto value = reinterpret_cast<std::uintptr_t>(good.get());
  const std::uintptr_t wrong[] = {0,
                                  1,
                                  value + 1,
                                  value ^ (std::uintptr_t{1} << 24),
                                  value ^ (std::uintptr_t{1} << 33),
                                  value ^ (std::uintptr_t{1} << 63),
                                  reinterpret_cast<std::uintptr_t>(&good),
                                  ~std::uintptr_t{7}};
  for (const std::uintptr_t one : wrong) {
    ExpectError(CloseHandle(reinterpret_cast<HANDLE>(one)), ERROR_INVALID_HANDLE);
    ExpectError(IsTokenRestricted(reinterpret_cast<HANDLE>(one)), ERROR_INVALID_HANDLE);
  }
  EXPECT_TRUE(FindToken(good.get()));
}

TEST_F(HandlesTest, PseudoHandlesAreClosedWithoutEffect) {
  for (const std::intptr_t one : {kCurrentProcess, kCurrentThread, kCurrentProcessToken,
                                  kCurrentThreadToken, kCurrentThreadEffectiveToken}) {
    EXPECT_EQ(CloseHandle(reinterpret_cast<HANDLE>(one)), TRUE);
  }
  EXPECT_EQ(KtlsimGetLastError(), 0U);
  EXPECT_EQ(GetCurrentProcess(), KtlsimGetCurrentProcess());
  EXPECT_EQ(GetCurrentThread(), KtlsimGetCurrentThread());
}

TEST_F(HandlesTest, WhatIsLentIsClosedByItsLender) {
  HANDLE lent = nullptr;
  ASSERT_EQ(OpenToken(MakeClient(), TOKEN_QUERY, &lent, HandleOwner::kLender),
            security::Fault::kNone);
  ExpectError(CloseHandle(lent), ERROR_INVALID_HANDLE);
  EXPECT_TRUE(FindToken(lent));
  CloseLent(lent);
  EXPECT_FALSE(FindToken(lent));
  CloseLent(lent);
}

// A handle may be used and closed on any thread, and is closed by one.
TEST_F(HandlesTest, OneOfSeveralThreadsCloses) {
  for (int round = 0; round < 50; ++round) {
    HANDLE handle = nullptr;
    ASSERT_EQ(OpenToken(MakeClient(), TOKEN_QUERY, &handle), security::Fault::kNone);
    std::atomic<int> closed{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
          static_cast<void>(IsTokenRestricted(handle));
          if (CloseHandle(handle) == TRUE) ++closed;
        });
      }
    }
    EXPECT_EQ(closed, 1);
  }
}

TEST_F(HandlesTest, TheLastErrorIsTheThreads) {
  SetLastError(17);
  std::jthread([] {
    EXPECT_EQ(GetLastError(), 0U);
    KtlsimSetLastError(18);
    EXPECT_EQ(KtlsimGetLastError(), 18U);
  }).join();
  EXPECT_EQ(GetLastError(), 17U);
  EXPECT_EQ(RevertToSelf(), TRUE);
  EXPECT_EQ(GetLastError(), 17U) << "a success leaves it alone";
}

}  // namespace
}  // namespace ktlsim::authorization
