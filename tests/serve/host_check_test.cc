#include "kernel_sim/serve/host_check.h"

#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::serve {
namespace {

bool Good(std::string_view text) {
  HostCheck check;
  for (const char c : text) check.Take(c);
  return check.good();
}

TEST(HostCheckTest, KnowsNamesAddressesAndPorts) {
  for (const char* host : {"", "h", "example.org", "example.org:80", "example.org:",
                           "127.0.0.1:65535", "a_b-c~d", "%41b", "a%c3%a4", "[::1]", "[::1]:80",
                           "[fe80::1:2]", "[::ffff:127.0.0.1]:1", "[v1.a:b]", "!$&'()*+,;=", "h  ",
                           "h:80\t", "[::1] ", "[1111:2222:3333:4444:5555:6666:127.127.127.127]"}) {
    EXPECT_TRUE(Good(host)) << host;
  }
}

TEST(HostCheckTest, RefusesWhatIsNoHost) {
  for (const char* host : {"a b",
                           "a/b",
                           "u@x",
                           "u:p@x",
                           "[::1",
                           "x:80a",
                           "x:80:80",
                           ":80",
                           "x:65536",
                           "x:4294967376",
                           "[]",
                           "[g::1]",
                           "[:::]",
                           "[::1]x",
                           "[::1]80",
                           "[1.2.3.4]",
                           "[fe80::1%25eth0]",
                           "a[::1]",
                           "::1",
                           "a?b",
                           "a#b",
                           "a\\b",
                           "a\"b",
                           "<a>",
                           "a|b",
                           "a^b",
                           "{a}",
                           "a%",
                           "a%4",
                           "a%4g",
                           "a%zz",
                           "a\x01",
                           "a\x7f",
                           "a\x80",
                           "a\tb",
                           " a b",
                           "h: 80",
                           "[v.a]",
                           "[vg.a]",
                           "[v1.]",
                           "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]"}) {
    EXPECT_FALSE(Good(host)) << host;
  }
  EXPECT_FALSE(Good(std::string_view("[::1\0]", 6)));
}

}  // namespace
}  // namespace ktlsim::serve
