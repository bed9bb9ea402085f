#include "kernel_sim/security/sid.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/security/sid_name.h"
#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

using test::SidOf;
using test::TextOf;

std::vector<std::byte> Bytes(std::initializer_list<int> values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

// The image of BUILTIN\Administrators that MS-DTYP 2.4.2 implies: the authority's high byte first,
// the sub-authorities' low byte first.
TEST(SidTest, ImageIsThatOfWindows) {
  EXPECT_EQ(test::CopyOf(SidOf("S-1-5-32-544").view().image()),
            Bytes({1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0}));
}

TEST(SidTest, TextBothWays) {
  std::string longest = "S-1-0xabcdef012345";
  for (std::size_t i = 0; i < kSubAuthoritiesMax; ++i) longest += "-4294967295";
  EXPECT_EQ(TextOf(SidOf(longest)), longest);
  for (const char* text : {"S-1-0-0", "S-1-5", "S-1-5-21-4294967295-0-1-500", "S-1-4294967295-1",
                           "S-1-0x000100000000-1", "S-1-0xffffffffffff"}) {
    EXPECT_EQ(TextOf(SidOf(text)), text);
  }
  EXPECT_EQ(TextOf(SidOf("s-1-0x5-18")), "S-1-5-18");
  EXPECT_EQ(TextOf(SidOf("S-1-4294967296-7")), "S-1-0x000100000000-7");
}

TEST(SidTest, TextsThatAreNone) {
  for (const char* text : {"",
                           "S",
                           "S-",
                           "S-1",
                           "S-1-",
                           "S-2-5-18",
                           "S-1-x",
                           "S-1-5-",
                           "S-1-5--1",
                           "S-1-5-18 ",
                           " S-1-5-18",
                           "S-1-5-4294967296",
                           "S-1-281474976710656",
                           "S-1-0x",
                           "S-1-0xg",
                           "S-1-0x1234567890123",
                           "S-1-5-0x12",
                           "S-1-5-+1",
                           "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
                           "S-1-99999999999999999999-1"}) {
    Sid sid = SidOf("S-1-5-18");
    EXPECT_EQ(ParseSid(text, &sid), Fault::kInvalidSid) << text;
    EXPECT_EQ(TextOf(sid), "S-1-5-18") << text;
  }
}

TEST(SidTest, TheLongestSidIsTakenOffTheFront) {
  std::string_view text = "S-1-5-32-544D:(A";
  Sid sid;
  ASSERT_EQ(TakeSid(&text, &sid), Fault::kNone);
  EXPECT_EQ(text, "D:(A");
  EXPECT_EQ(TextOf(sid), "S-1-5-32-544");
}

// Whatever the count and the revision say, no byte behind the end is read.
TEST(SidTest, HostileBytesOfEveryLength) {
  const std::vector<std::byte> good =
      test::CopyOf(SidOf("S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15").view().image());
  ASSERT_EQ(good.size(), kSidBytesMax);
  for (int revision = 0; revision < 256; revision += revision < 3 ? 1 : 50) {
    for (int count = 0; count < 256; ++count) {
      for (std::size_t size = 0; size <= good.size(); ++size) {
        std::vector<std::byte> bytes(good.begin(), good.begin() + static_cast<long>(size));
        if (size > 0) bytes[0] = static_cast<std::byte>(revision);
        if (size > 1) bytes[1] = static_cast<std::byte>(count);
        const bool valid =
            revision == 1 && count <= 15 && size >= 8 + 4U * static_cast<unsigned>(count);
        const auto read = SidView::Read(bytes);
        ASSERT_EQ(read.has_value(), valid) << revision << " " << count << " " << size;
        if (read) {
          EXPECT_EQ(read->bytes(), 8 + 4U * static_cast<unsigned>(count));
        }
      }
    }
  }
}

TEST(SidTest, EqualitySeesEveryByte) {
  const Sid sid = SidOf("S-1-0x010203040506-7-8-9");
  EXPECT_EQ(sid, Sid(sid.view()));
  EXPECT_EQ(sid.view().hash(), Sid(sid.view()).view().hash());
  for (std::size_t i = 2; i < sid.view().bytes(); ++i) {
    std::vector<std::byte> bytes = test::CopyOf(sid.view().image());
    bytes[i] ^= std::byte{1};
    EXPECT_FALSE(*SidView::Read(bytes) == sid.view()) << i;
  }
  EXPECT_FALSE(SidOf("S-1-5-32") == SidOf("S-1-5-32-544"));
}

// A caller's pointer has no size; that of the SID counts.
TEST(SidTest, OfUnknownSize) {
  const std::vector<std::byte> bytes = test::CopyOf(SidOf("S-1-5-32-544").view().image());
  ASSERT_TRUE(SidView::ReadUnbounded(bytes.data()));
  EXPECT_TRUE(*SidView::ReadUnbounded(bytes.data()) == kAdministratorsSid.view());
}

TEST(SidTest, AppendsUpToFifteen) {
  Sid sid(5, {});
  for (std::uint32_t i = 0; i < 15; ++i) EXPECT_TRUE(sid.Append(i));
  EXPECT_FALSE(sid.Append(15));
  EXPECT_EQ(sid.view().last(), 14U);
}

TEST(SidTest, Prefixes) {
  EXPECT_TRUE(EqualPrefix(SidOf("S-1-5-21-1-2-3-500"), SidOf("S-1-5-21-1-2-3-501")));
  EXPECT_FALSE(EqualPrefix(SidOf("S-1-5-21-1-2-3-500"), SidOf("S-1-5-21-1-2-4-500")));
  EXPECT_FALSE(EqualPrefix(SidOf("S-1-5-21-1-2-3"), SidOf("S-1-5-21-1-2-3-500")));
  EXPECT_TRUE(EqualPrefix(SidOf("S-1-5"), SidOf("S-1-5")));
  EXPECT_FALSE(EqualPrefix(SidOf("S-1-5"), SidOf("S-1-4")));
}

TEST(SidTest, Domains) {
  EXPECT_EQ(AccountDomainOf(SidOf("S-1-5-21-1-2-3-500")), SidOf("S-1-5-21-1-2-3"));
  EXPECT_EQ(AccountDomainOf(SidOf("S-1-5-21-1-2-3")), SidOf("S-1-5-21-1-2-3"));
  for (const char* none : {"S-1-5-21-1-2", "S-1-5-32-544", "S-1-1-0", "S-1-16-21-1-2-3", "S-1-5"}) {
    EXPECT_FALSE(AccountDomainOf(SidOf(none))) << none;
  }
  EXPECT_EQ(InSameDomain(SidOf("S-1-5-21-1-2-3-500"), SidOf("S-1-5-21-1-2-3-9")), true);
  EXPECT_EQ(InSameDomain(SidOf("S-1-5-21-1-2-3-500"), SidOf("S-1-5-21-1-2-4-500")), false);
  EXPECT_EQ(InSameDomain(SidOf("S-1-5-32-544"), SidOf("S-1-5-32-545")), true);
  EXPECT_EQ(InSameDomain(SidOf("S-1-5-32-544"), SidOf("S-1-5-21-1-2-3-500")), false);
  EXPECT_EQ(InSameDomain(SidOf("S-1-5-32-544"), SidOf("S-1-1-0")), std::nullopt);
}

TEST(SidTest, ByTheTwoLettersOrTheText) {
  Sid sid;
  ASSERT_EQ(ParseSidOrName("ba", std::nullopt, &sid), Fault::kNone);
  EXPECT_EQ(TextOf(sid), "S-1-5-32-544");
  ASSERT_EQ(ParseSidOrName("S-1-5-18", std::nullopt, &sid), Fault::kNone);
  EXPECT_EQ(TextOf(sid), "S-1-5-18");
  EXPECT_EQ(ParseSidOrName("DA", std::nullopt, &sid), Fault::kNoneMapped);
  for (const char* const bad : {"", "B", "XX", "BAB", "S-1-5-18 "}) {
    EXPECT_EQ(ParseSidOrName(bad, std::nullopt, &sid), Fault::kInvalidSid) << bad;
  }
  EXPECT_EQ(TextOf(sid), "S-1-5-18") << "unchanged";
  ASSERT_EQ(ParseSidOrName("DA", test::Domain(), &sid), Fault::kNone);
  EXPECT_EQ(TextOf(sid), "S-1-5-21-1-2-3-512");
}

}  // namespace
}  // namespace ktlsim::security
