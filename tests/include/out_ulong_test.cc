// Out-parameters of both widths, from C and C++, in both modes; SecHandle's macros.
#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include <gtest/gtest.h>

#include "tests/include/out_ulong_fakes.h"

namespace {

#define EXPECT_NO_FAILURE(check)                             \
  do {                                                       \
    const char* failure = check;                             \
    EXPECT_EQ(failure, nullptr) << (failure ? failure : ""); \
  } while (false)

TEST(OutParameterTest, ReachesBothWidthsFromC) { EXPECT_NO_FAILURE(CheckOutParametersInC()); }
TEST(OutParameterTest, ReachesBothWidthsFromCxx) { EXPECT_NO_FAILURE(CheckOutParametersInCxx()); }
TEST(OutParameterTest, KernelModeNamesReachTheirOwnSymbolsFromC) {
  EXPECT_NO_FAILURE(CheckOutParametersInKernelModeC());
}
TEST(OutParameterTest, KernelModeNamesReachTheirOwnSymbolsFromCxx) {
  EXPECT_NO_FAILURE(CheckOutParametersInKernelModeCxx());
}

TEST(UlongOutTest, StoresInTheWidthOfThePointerItWasMadeFrom) {
  std::array<ULONG, 3> narrow = {1, ~0U, 2};
  KtlsimUlongOut(&narrow[1]).Store(kStoredValue);
  EXPECT_EQ(narrow, (std::array<ULONG, 3>{1, kStoredValue, 2}));

  std::array<unsigned long, 3> wide = {1, ~0UL, 2};
  KtlsimUlongOut(&wide[1]).Store(kStoredValue);
  EXPECT_EQ(wide, (std::array<unsigned long, 3>{1, kStoredValue, 2}));
}

// For example a member of a packed structure: four bytes there, and nothing beside them.
TEST(UlongOutTest, StoresAtAnyAddress) {
  for (std::size_t offset = 0; offset < sizeof(unsigned long); ++offset) {
    std::array<unsigned char, 24> bytes{};
    bytes.fill(0xEE);
    std::array<unsigned char, 24> expected = bytes;
    const ULONG value = kStoredValue;
    std::memcpy(&expected[8 + offset], &value, sizeof(value));
    KtlsimUlongOut(reinterpret_cast<ULONG*>(&bytes[8 + offset])).Store(value);
    EXPECT_EQ(bytes, expected) << offset;
  }
}

TEST(UlongOutTest, IgnoresEverySpellingOfNull) {
  ULONG* narrow = nullptr;
  unsigned long* wide = nullptr;
  for (const KtlsimUlongOut out : {KtlsimUlongOut(nullptr), KtlsimUlongOut(NULL), KtlsimUlongOut(0),
                                   KtlsimUlongOut(narrow), KtlsimUlongOut(wide)}) {
    EXPECT_FALSE(out);
    out.Store(kStoredValue);
  }
}

TEST(UlongOutTest, TakesEveryNameOfTheThirtyTwoBitTypeAndNothingElse) {
  static_assert(std::is_convertible_v<DWORD*, KtlsimUlongOut>);
  static_assert(std::is_convertible_v<PULONG, KtlsimUlongOut>);
  static_assert(std::is_convertible_v<unsigned int*, KtlsimUlongOut>);
  static_assert(std::is_convertible_v<unsigned long*, KtlsimUlongOut>);
  static_assert(!std::is_convertible_v<int*, KtlsimUlongOut>);
  static_assert(!std::is_convertible_v<long*, KtlsimUlongOut>);
  static_assert(!std::is_convertible_v<const ULONG*, KtlsimUlongOut>);
  static_assert(!std::is_convertible_v<unsigned short*, KtlsimUlongOut>);
  static_assert(!std::is_convertible_v<void*, KtlsimUlongOut>);
}

// The functions' names are no macros in C++, so classes may use them.
class Wrapper {
 public:
  int DecryptMessage(int text) { return text; }
  int AcceptSecurityContext() { return 1; }
};

TEST(UlongOutTest, LeavesTheFunctionNamesToClasses) {
  Wrapper wrapper;
  EXPECT_EQ(wrapper.DecryptMessage(2) + wrapper.AcceptSecurityContext(), 3);
}

TEST(SecHandleTest, ValidityLooksAtBothHalvesAndZeroCountsAsValid) {
  CtxtHandle handle = {0, 0};
  EXPECT_TRUE(SecIsValidHandle(&handle));
  SecInvalidateHandle(&handle);
  EXPECT_FALSE(SecIsValidHandle(&handle));
  EXPECT_EQ(handle.dwLower, UINTPTR_MAX);
  EXPECT_EQ(handle.dwUpper, UINTPTR_MAX);
  handle.dwLower = 1;
  EXPECT_FALSE(SecIsValidHandle(&handle));
}

}  // namespace
