#include "kernel_sim/security/well_known_sids.h"

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

using test::SidOf;
using test::TextOf;

struct Row {
  std::uint32_t type;
  const char* text;
};

// WELL_KNOWN_SID_TYPE of winnt.h; the texts as Windows prints them.
constexpr Row kRows[] = {
    {0, "S-1-0-0"},
    {1, "S-1-1-0"},
    {2, "S-1-2-0"},
    {3, "S-1-3-0"},
    {4, "S-1-3-1"},
    {7, "S-1-5"},
    {9, "S-1-5-2"},
    {10, "S-1-5-3"},
    {11, "S-1-5-4"},
    {12, "S-1-5-6"},
    {13, "S-1-5-7"},
    {16, "S-1-5-10"},
    {17, "S-1-5-11"},
    {18, "S-1-5-12"},
    {22, "S-1-5-18"},
    {23, "S-1-5-19"},
    {24, "S-1-5-20"},
    {25, "S-1-5-32"},
    {26, "S-1-5-32-544"},
    {27, "S-1-5-32-545"},
    {28, "S-1-5-32-546"},
    {29, "S-1-5-32-547"},
    {30, "S-1-5-32-548"},
    {31, "S-1-5-32-549"},
    {32, "S-1-5-32-550"},
    {33, "S-1-5-32-551"},
    {34, "S-1-5-32-552"},
    {35, "S-1-5-32-554"},
    {36, "S-1-5-32-555"},
    {37, "S-1-5-32-556"},
    {51, "S-1-5-64-10"},
    {52, "S-1-5-64-21"},
    {53, "S-1-5-64-14"},
    {54, "S-1-5-15"},
    {57, "S-1-5-32-558"},
    {58, "S-1-5-32-559"},
    {62, "S-1-5-32-568"},
    {65, "S-1-16-0"},
    {66, "S-1-16-4096"},
    {67, "S-1-16-8192"},
    {68, "S-1-16-12288"},
    {69, "S-1-16-16384"},
    {70, "S-1-5-33"},
    {71, "S-1-3-4"},
    {76, "S-1-5-32-573"},
    {79, "S-1-16-8448"},
    {103, "S-1-18-1"},
    {104, "S-1-18-2"},
    {38, "S-1-5-21-1-2-3-500"},
    {39, "S-1-5-21-1-2-3-501"},
    {40, "S-1-5-21-1-2-3-502"},
    {41, "S-1-5-21-1-2-3-512"},
    {42, "S-1-5-21-1-2-3-513"},
    {43, "S-1-5-21-1-2-3-514"},
    {44, "S-1-5-21-1-2-3-515"},
    {45, "S-1-5-21-1-2-3-516"},
    {46, "S-1-5-21-1-2-3-517"},
    {47, "S-1-5-21-1-2-3-518"},
    {48, "S-1-5-21-1-2-3-519"},
    {49, "S-1-5-21-1-2-3-520"},
};

TEST(WellKnownSidsTest, EachTypeHasItsSid) {
  const Sid domain = test::Domain();
  for (const Row& row : kRows) {
    Sid sid;
    EXPECT_EQ(MakeWellKnownSid(row.type, domain, &sid), Fault::kNone) << row.type;
    EXPECT_EQ(TextOf(sid), row.text) << row.type;
    for (const Row& other : kRows) {
      EXPECT_EQ(IsWellKnownSid(SidOf(other.text), row.type), row.type == other.type)
          << row.type << " " << other.text;
    }
  }
}

TEST(WellKnownSidsTest, TypesWithoutOne) {
  const Sid domain = test::Domain();
  Sid sid;
  for (const std::uint32_t type : {5U, 6U, 8U, 14U, 21U, 50U, 105U, 0xFFFFFFFFU}) {
    EXPECT_EQ(MakeWellKnownSid(type, domain, &sid), Fault::kInvalidParameter) << type;
    EXPECT_FALSE(IsWellKnownSid(domain, type)) << type;
  }
  EXPECT_EQ(MakeWellKnownSid(41, std::nullopt, &sid), Fault::kInvalidParameter);
  EXPECT_EQ(MakeWellKnownSid(26, std::nullopt, &sid), Fault::kNone);
}

// Nobody asks that a domain has three numbers.
TEST(WellKnownSidsTest, AnyDomainThatHasRoom) {
  Sid sid;
  EXPECT_EQ(MakeWellKnownSid(41, SidOf("S-1-5-21-12-23-34-45-56"), &sid), Fault::kNone);
  EXPECT_EQ(TextOf(sid), "S-1-5-21-12-23-34-45-56-512");
  EXPECT_EQ(MakeWellKnownSid(41, SidOf("S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15"), &sid),
            Fault::kInvalidSid);
}

}  // namespace
}  // namespace ktlsim::security
