#include "kernel_sim/command/listen_check.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/command/setting_places.h"

namespace ktlsim::command {
namespace {

io::Address At(const std::string& text) { return io::Address::Parse(text).value(); }

std::string Remedy(const std::string& address, int error_number) {
  return ListenRemedy(At(address), IoError(error_number, "bind the listening socket"));
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A socket that listens on a port of its own.
class Occupant {
 public:
  explicit Occupant(bool shares) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int on = shares ? 1 : 0;
    setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    const io::Address any = io::Address::Loopback(0);
    EXPECT_EQ(bind(socket_, any.data(), any.size()), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
  }
  ~Occupant() { close(socket_); }
  Occupant(const Occupant&) = delete;
  Occupant& operator=(const Occupant&) = delete;

  io::Address address() const {
    sockaddr_storage storage{};
    socklen_t length = sizeof(storage);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&storage), &length), 0);
    return {reinterpret_cast<const sockaddr*>(&storage), length};
  }

 private:
  const int socket_;
};

TEST(ListenCheckTest, EachFailureHasItsRemedy) {
  EXPECT_TRUE(Contains(Remedy("127.0.0.1:8443", EADDRINUSE), "--reuse-port"));
  EXPECT_TRUE(Contains(Remedy("192.0.2.1:8443", EADDRNOTAVAIL), "address of this machine"));
  EXPECT_TRUE(Contains(Remedy("127.0.0.1:8443", ENOBUFS), "address of this machine"));
  EXPECT_FALSE(Contains(Remedy("127.0.0.1:65535", EACCES), "CAP_NET_BIND_SERVICE"));
  EXPECT_TRUE(Contains(Remedy("127.0.0.1:65535", EACCES), "security policy"));
}

TEST(ListenCheckTest, APortBelowTheFirstOneForAllNeedsACapability) {
  const std::string remedy = Remedy("127.0.0.1:1", EACCES);
  // A machine may permit low ports to every user.
  if (Contains(remedy, "security policy")) GTEST_SKIP() << "every user may bind every port here";
  EXPECT_TRUE(Contains(remedy, "CAP_NET_BIND_SERVICE")) << remedy;
  EXPECT_TRUE(Contains(remedy, "a port from ")) << remedy;
}

TEST(ListenCheckTest, WhatIsTakenIsTold) {
  const Occupant alone(/*shares=*/false);
  EXPECT_EQ(TryListen(alone.address(), false).code(), EADDRINUSE);
  EXPECT_EQ(TryListen(alone.address(), true).code(), EADDRINUSE);
  const Occupant sharing(/*shares=*/true);
  EXPECT_EQ(TryListen(sharing.address(), false).code(), EADDRINUSE);
  EXPECT_TRUE(TryListen(sharing.address(), true).ok());
  EXPECT_TRUE(TryListen(io::Address::Loopback(0), false).ok());
  EXPECT_EQ(TryListen(At("192.0.2.1:1"), false).code(), EADDRNOTAVAIL);
}

TEST(ListenCheckTest, AUnixSocketHasItsOwnRemedies) {
  EXPECT_TRUE(Contains(Remedy("unix:/a", EADDRINUSE), "another path"));
  EXPECT_TRUE(Contains(Remedy("unix:/a", ENOTSOCK), "no socket"));
  EXPECT_TRUE(Contains(Remedy("unix:/a", EACCES), "may write"));
  EXPECT_TRUE(Contains(Remedy("unix:/a/b", ENOENT), "make its folder"));
  EXPECT_FALSE(Contains(Remedy("unix:/a", EADDRINUSE), "--reuse-port"));
  EXPECT_EQ(TryListen(At("unix:/no/such/folder/a"), false).code(), ENOENT);
}

TEST(ListenCheckTest, AddressesMeetOnOnePort) {
  EXPECT_TRUE(AddressesMeet(At("127.0.0.1:1"), At("127.0.0.1:1")));
  EXPECT_TRUE(AddressesMeet(At("*:1"), At("127.0.0.1:1")));
  EXPECT_TRUE(AddressesMeet(At("127.0.0.1:1"), At("[::]:1")));
  EXPECT_FALSE(AddressesMeet(At("127.0.0.1:1"), At("127.0.0.2:1")));
  EXPECT_FALSE(AddressesMeet(At("127.0.0.1:1"), At("127.0.0.1:2")));
  EXPECT_FALSE(AddressesMeet(At("127.0.0.1:0"), At("127.0.0.1:0")));
  EXPECT_TRUE(AddressesMeet(At("unix:/a"), At("unix:/a")));
  EXPECT_FALSE(AddressesMeet(At("unix:/a"), At("unix:/b")));
  EXPECT_FALSE(AddressesMeet(At("unix:/a"), At("[::]:1")));
}

TEST(SettingPlacesTest, AnOptionIsToldAsOne) {
  SettingPlaces places;
  EXPECT_EQ(places.Of("cert"), "--cert");
  places.Note("cert", "", "f:3");
  places.Note("sni", "a", "f:4");
  EXPECT_EQ(places.Of("cert"), "f:3: key `cert`");
  EXPECT_EQ(places.Of("sni", "a"), "f:4: key `sni`");
  EXPECT_EQ(places.Of("sni", "b"), "--sni");
  places.Forget("cert");
  EXPECT_EQ(places.Of("cert"), "--cert");
}

}  // namespace
}  // namespace ktlsim::command
