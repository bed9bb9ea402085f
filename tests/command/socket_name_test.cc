// How people write where a socket is, and the mistakes that they make.
#include "kernel_sim/command/socket_name.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/command/serve_config.h"

namespace ktlsim::command {
namespace {

SocketName Parsed(const std::string& text, SocketUse use = SocketUse::kListen) {
  SocketName name;
  EXPECT_EQ(ParseSocketName(text, use, &name), "") << text;
  return name;
}

std::vector<std::string> Addresses(const std::string& text) {
  std::vector<io::Address> found;
  EXPECT_EQ(LookUp(Parsed(text), &found), "") << text;
  std::vector<std::string> texts;
  for (const io::Address& address : found) texts.push_back(address.ToString());
  return texts;
}

using Texts = std::vector<std::string>;

TEST(SocketNameTest, ReadsEveryForm) {
  EXPECT_EQ(Parsed("localhost:8443").host, "localhost");
  EXPECT_EQ(Parsed("localhost:8443").port, 8443);
  EXPECT_EQ(Parsed("[::1]:0").host, "::1");
  EXPECT_TRUE(Parsed(":8443").every_address);
  EXPECT_TRUE(Parsed("*:8443").every_address);
  EXPECT_EQ(Parsed("unix:/run/a.sock").unix_socket.ToString(), "unix:/run/a.sock");
  EXPECT_EQ(Parsed("unix:///run/a.sock").unix_socket.ToString(), "unix:/run/a.sock");
  EXPECT_EQ(Parsed("unix:@a", SocketUse::kConnect).unix_socket.ToString(), "unix:@a");
}

TEST(SocketNameTest, AddressesNeedNoLookUp) {
  EXPECT_EQ(Addresses("127.0.0.1:1"), (Texts{"127.0.0.1:1"}));
  EXPECT_EQ(Addresses("[0:0::1]:1"), (Texts{"[::1]:1"}));
  EXPECT_EQ(Addresses("unix:/a"), (Texts{"unix:/a"}));
  const Texts every = Addresses("*:1");
  EXPECT_TRUE(every == Texts{"[::]:1"} || every == Texts{"0.0.0.0:1"});
  EXPECT_EQ(every, Addresses(":1"));
}

TEST(SocketNameTest, ANameHasEachOfItsAddressesOnce) {
  const Texts found = Addresses("localhost:1");
  ASSERT_FALSE(found.empty());
  for (const std::string& address : found) {
    EXPECT_TRUE(address == "127.0.0.1:1" || address == "[::1]:1") << address;
  }
  EXPECT_LE(found.size(), 2U);
}

// .invalid never has an address (RFC 6761 6.4).
TEST(SocketNameTest, ANameWithoutAnAddressIsTold) {
  std::vector<io::Address> found;
  const std::string told = LookUp(Parsed("no-such-host.invalid:1"), &found);
  EXPECT_NE(told.find("no-such-host.invalid has no address"), std::string::npos) << told;
  EXPECT_NE(told.find("address"), std::string::npos) << told;
  EXPECT_TRUE(found.empty());
}

TEST(SocketNameTest, TellsWhatWasMeant) {
  struct Mistake {
    std::string text;
    std::string told;
  };
  const std::vector<Mistake> mistakes = {
      {"/run/a.sock", "did you mean unix:/run/a.sock?"},
      {"@name", "did you mean unix:@name?"},
      {"http://127.0.0.1:8080/x", "did you mean 127.0.0.1:8080?"},
      {"https://localhost/", "this is no URL; write"},
      {"8443", "did you mean :8443?"},
      {"::1:8443", "did you mean [::1]:8443?"},
      {"localhost", "a host and a port are needed"},
      {"localhost:https", "a port is a number from 0 to 65535"},
      {"localhost:65536", "a port is a number"},
      {"local host:1", "is not a host name"},
      {"127.1:1", "four numbers"},
      {"127.0.0.256:1", "four numbers"},
      {"[::x]:1", "is not a host name"},
      {"[127.0.0.1]:1", "a host and a port are needed"},
      {"unix:", "a path that begins with /"},
      {"unix:8443", "a path that begins with /"},
      {"unix:run/a", "a path that begins with /"},
      {"unix:@", "at least one byte"},
      {"unix:/" + std::string(107, 'a'), "107 bytes at most"},
      {"unix:/a\nb", "control character"},
      {std::string("unix:/a\0b", 9), "NUL"},
      {"", "a host and a port are needed"},
  };
  for (const Mistake& mistake : mistakes) {
    SocketName name;
    name.host = "kept";
    const std::string told = ParseSocketName(mistake.text, SocketUse::kListen, &name);
    EXPECT_NE(told.find(mistake.told), std::string::npos) << mistake.text << ": " << told;
    EXPECT_EQ(name.host, "kept");
  }
}

TEST(SocketNameTest, WhoConnectsNamesAHostAndAPort) {
  SocketName name;
  for (const char* text : {":8443", "*:8443", "127.0.0.1:0"}) {
    EXPECT_NE(ParseSocketName(text, SocketUse::kConnect, &name), "") << text;
  }
}

TEST(ResolveNamesTest, EveryAddressOfANameIsADoorAndABackend) {
  ServeConfig config;
  ListenerConfig& listener = config.listeners.emplace_back();
  listener.listen = {"localhost:0", "unix:/run/a"};
  listener.upstreams = {"127.0.0.1:1", "localhost:2"};
  ASSERT_EQ(ResolveNames(&config), "");
  const std::size_t of_name = Addresses("localhost:0").size();
  ASSERT_EQ(listener.doors.size(), of_name + 1);
  EXPECT_EQ(listener.doors.front().written, "localhost:0");
  EXPECT_EQ(listener.doors.back().address.ToString(), "unix:/run/a");
  EXPECT_EQ(listener.forward.backends.size(), of_name + 1);
}

TEST(ResolveNamesTest, TellsWhereANameHasNoAddress) {
  ServeConfig config;
  ListenerConfig& listener = config.listeners.emplace_back();
  listener.listen = {"no-such-host.invalid:1"};
  listener.places.Note("listen", "no-such-host.invalid:1", "f.toml:3");
  const std::string told = ResolveNames(&config);
  EXPECT_TRUE(told.starts_with("f.toml:3: key `listen`: the name no-such-host.invalid has no"))
      << told;
  listener.listen = {"127.0.0.1:1"};
  listener.upstreams = {"no-such-host.invalid:1"};
  EXPECT_TRUE(ResolveNames(&config).starts_with("--upstream: the name ")) << ResolveNames(&config);
}

TEST(ResolveNamesTest, AnAddressIsOneListeners) {
  ServeConfig config;
  config.listeners.resize(2);
  config.listeners[0].listen = {"127.0.0.1:1", "unix:/a"};
  config.listeners[1].listen = {"localhost:1"};
  const std::string told = ResolveNames(&config);
  EXPECT_NE(told.find("127.0.0.1:1 is there twice, as 127.0.0.1:1 and as localhost:1"),
            std::string::npos)
      << told;
  config.listeners[1].listen = {"unix://a"};
  EXPECT_NE(CheckAddresses(config).find("is there twice"), std::string::npos);
}

TEST(ResolveNamesTest, TheLimitOfBackendsIsOfAddresses) {
  ServeConfig config;
  ListenerConfig& listener = config.listeners.emplace_back();
  for (std::size_t i = 0; i <= serve::kBackendsMax; ++i) {
    listener.upstreams.push_back("127.0.0.1:" + std::to_string(i + 1));
  }
  EXPECT_NE(ResolveNames(&config).find("more than 64 backends"), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::command
