#include "kernel_sim/security/guid.h"

#include <cstring>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::security {
namespace {

constexpr std::string_view kUserClass = "bf967aba-0de6-11d0-a285-00aa003049e2";

TEST(GuidTest, TextBothWaysAndImage) {
  Guid guid;
  ASSERT_TRUE(ParseGuid(kUserClass, &guid));
  EXPECT_EQ(GuidText(guid).view(), kUserClass);
  const unsigned char image[16] = {0xba, 0x7a, 0x96, 0xbf, 0xe6, 0x0d, 0xd0, 0x11,
                                   0xa2, 0x85, 0x00, 0xaa, 0x00, 0x30, 0x49, 0xe2};
  EXPECT_EQ(std::memcmp(&guid, image, sizeof(image)), 0);
  Guid upper;
  ASSERT_TRUE(ParseGuid("BF967ABA-0DE6-11D0-A285-00AA003049E2", &upper));
  EXPECT_EQ(upper, guid);
}

TEST(GuidTest, TextsThatAreNone) {
  const std::string good(kUserClass);
  Guid guid;
  EXPECT_FALSE(ParseGuid("{" + good + "}", &guid));
  for (std::size_t i = 0; i <= good.size(); ++i) {
    if (i < good.size()) {
      EXPECT_FALSE(ParseGuid(good.substr(0, i), &guid)) << i;
    }
    std::string other = good;
    other.insert(i, "0");
    EXPECT_FALSE(ParseGuid(other, &guid)) << i;
  }
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string other = good;
    other[i] = other[i] == '-' ? '0' : 'g';
    EXPECT_FALSE(ParseGuid(other, &guid)) << i;
  }
  EXPECT_EQ(guid, Guid());
}

}  // namespace
}  // namespace ktlsim::security
