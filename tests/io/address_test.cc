#include "io/address.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::io {
namespace {

TEST(AddressTest, ParsesWhatItPrints) {
  for (const char* text : {"127.0.0.1:443", "0.0.0.0:0", "[::1]:8443", "[fe80::1:2]:65535"}) {
    Result<Address> address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->ToString(), text);
  }
}

TEST(AddressTest, StarIsAnyAddress) {
  Result<Address> address = Address::Parse("*:443");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->ToString(), "0.0.0.0:443");
  EXPECT_EQ(address->family(), AF_INET);
  EXPECT_EQ(address->port(), 443);
}

TEST(AddressTest, RefusesBadTexts) {
  for (const char* text : {"",
                           ":",
                           ":1",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:1x",
                           "127.0.0.1: 1",
                           "127.0.0:1",
                           "127.0.0.1.1:1",
                           "localhost:1",
                           "::1:443",
                           "[::1]",
                           "[::1]443",
                           "[]:1",
                           "[:1",
                           "]:1",
                           "[127.0.0.1]:1",
                           "[::1%lo]:1",
                           "**:1",
                           "unix:",
                           "unix:@",
                           "unix:8443",
                           "unix:run/a"}) {
    Result<Address> address = Address::Parse(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.status().category(), Category::kContract);
    EXPECT_STRNE(address.status().what(), "");
  }
}

TEST(AddressTest, AMappedAddressIsAnIpv4Address) {
  EXPECT_EQ(Address::Parse("[::ffff:192.0.2.7]:443").value().Unmapped().ToString(),
            "192.0.2.7:443");
  EXPECT_EQ(Address::Parse("[::ffff:192.0.2.7]:443").value().Unmapped().family(), AF_INET);
  for (const char* other : {"[::1]:443", "[::192.0.2.7]:443", "[2001:db8::ffff:1]:443"}) {
    EXPECT_EQ(Address::Parse(other).value().Unmapped().family(), AF_INET6) << other;
  }
  EXPECT_EQ(Address::Parse("192.0.2.7:443").value().Unmapped().ToString(), "192.0.2.7:443");
  EXPECT_EQ(Address().Unmapped().family(), AF_UNSPEC);
}

TEST(AddressTest, AUnixSocketHasAPathOrAnAbstractName) {
  for (const char* text : {"unix:/run/a b.sock", "unix:/", "unix:@name", "unix:@/x"}) {
    const Result<Address> address = Address::Parse(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->ToString(), text);
    EXPECT_TRUE(address->is_unix());
    EXPECT_EQ(address->port(), 0);
    // As the kernel reports it.
    EXPECT_EQ(Address(address->data(), address->size()).ToString(), text);
  }
  EXPECT_EQ(Address::Parse("unix:/run/a")->unix_path(), "/run/a");
  EXPECT_EQ(Address::Parse("unix:@a")->unix_path(), "");
  EXPECT_EQ(Address::Parse("127.0.0.1:1")->unix_path(), "");
}

TEST(AddressTest, AUnixNameHasAtMost107Bytes) {
  const std::string longest = "unix:/" + std::string(106, 'a');
  ASSERT_TRUE(Address::Parse(longest).ok());
  EXPECT_EQ(Address::Parse(longest)->ToString(), longest);
  EXPECT_FALSE(Address::Parse(longest + "a").ok());
  const std::string abstract = "unix:@" + std::string(107, 'a');
  ASSERT_TRUE(Address::Parse(abstract).ok());
  EXPECT_EQ(Address::Parse(abstract)->ToString(), abstract);
  EXPECT_FALSE(Address::Parse(abstract + "a").ok());
}

TEST(AddressTest, AUnixSocketWithoutANameIsOne) {
  const sockaddr unnamed{.sa_family = AF_UNIX, .sa_data = {}};
  const Address address(&unnamed, sizeof(sa_family_t));
  EXPECT_TRUE(address.is_unix());
  EXPECT_EQ(address.ToString(), "unix:");
  EXPECT_EQ(address.unix_path(), "");
  EXPECT_EQ(address.Unmapped().ToString(), "unix:");
}

TEST(AddressTest, EmptyHasNoFamily) {
  const Address address;
  EXPECT_EQ(address.family(), AF_UNSPEC);
  EXPECT_EQ(address.size(), 0u);
  EXPECT_EQ(address.port(), 0);
  EXPECT_EQ(address.ToString(), "none");
}

TEST(AddressTest, CopiesNoMoreThanItHolds) {
  std::vector<unsigned char> raw(2 * sizeof(sockaddr_storage), 0);
  const Address address(reinterpret_cast<const sockaddr*>(raw.data()),
                        static_cast<socklen_t>(raw.size()));
  EXPECT_EQ(address.size(), sizeof(sockaddr_in6));
}

}  // namespace
}  // namespace ktlsim::io
