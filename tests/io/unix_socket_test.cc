// Sockets with names in the file system: which files are replaced, which are in use, and which
// remain.
#include "io/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace ktlsim::io {
namespace {

class UnixSocketTest : public testing::Test {
 protected:
  std::string Path() const { return folder_ + "/s"; }
  Address At() const { return Address::Parse("unix:" + Path()).value(); }
  bool There() const {
    struct stat status{};
    return lstat(Path().c_str(), &status) == 0;
  }
  int Listen() const {
    const Result<int> listener = ListenOnUnix(At(), 4, SOCK_CLOEXEC);
    EXPECT_TRUE(listener.ok()) << listener.status().ToString();
    return listener.value();
  }
  // The errno value.
  int Refused() const {
    const int trial = TryUnix(At()).code();
    const Result<int> listener = ListenOnUnix(At(), 4, SOCK_CLOEXEC);
    EXPECT_FALSE(listener.ok());
    EXPECT_EQ(trial, listener.status().code());
    return listener.status().code();
  }

  const test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

TEST_F(UnixSocketTest, ALiveOneIsInUse) {
  const int listener = Listen();
  EXPECT_EQ(Refused(), EADDRINUSE);
  // Also one whose backlog is full.
  for (int full = 0; full < 100; ++full) {
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const Address peer = At();
    const bool connected = connect(client, peer.data(), peer.size()) == 0;
    close(client);
    if (!connected) break;
  }
  EXPECT_EQ(Refused(), EADDRINUSE);
  close(listener);
}

TEST_F(UnixSocketTest, ADeadOneIsReplaced) {
  close(Listen());
  ASSERT_TRUE(There());
  EXPECT_TRUE(TryUnix(At()).ok());
  EXPECT_TRUE(There());
  const int listener = Listen();
  EXPECT_EQ(Refused(), EADDRINUSE);
  close(listener);
}

TEST_F(UnixSocketTest, WhatIsNoSocketIsLeftAlone) {
  std::ofstream(Path()) << "precious";
  EXPECT_EQ(Refused(), ENOTSOCK);
  std::filesystem::remove(Path());
  std::filesystem::create_symlink("/nowhere", Path());
  EXPECT_EQ(Refused(), ENOTSOCK);
  EXPECT_TRUE(There());
}

TEST_F(UnixSocketTest, ASocketOfAnotherKindIsInUse) {
  const int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const Address address = At();
  ASSERT_EQ(bind(datagrams, address.data(), address.size()), 0);
  EXPECT_EQ(Refused(), EADDRINUSE);
  close(datagrams);
}

TEST_F(UnixSocketTest, AFolderThatIsNotThereIsTold) {
  std::filesystem::remove_all(folder_);
  EXPECT_EQ(Refused(), ENOENT);
}

// Bound and not listening yet: such a socket looks dead.
TEST_F(UnixSocketTest, WhileAnotherStartsNobodyLooks) {
  const int folder = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(flock(folder, LOCK_EX), 0);
  EXPECT_EQ(ListenOnUnix(At(), 4, SOCK_CLOEXEC).status().code(), EADDRINUSE);
  close(folder);
  close(Listen());
}

TEST_F(UnixSocketTest, TheFileIsRemovedWhileItIsTheSame) {
  const int one = Listen();
  SocketFile first(At());
  std::filesystem::rename(Path(), Path() + ".old");  // so that the inode number is not used again
  const int other = Listen();
  SocketFile second(At());
  first.Remove();
  EXPECT_TRUE(There());
  second.Remove();
  EXPECT_FALSE(There());
  SocketFile().Remove();
  close(one);
  close(other);
}

TEST_F(UnixSocketTest, TheUmaskDecidesWhoMayConnect) {
  const mode_t before = umask(027);
  const int listener = Listen();
  umask(before);
  struct stat status{};
  ASSERT_EQ(lstat(Path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0750U);
  close(listener);
}

TEST_F(UnixSocketTest, AnAbstractNameHasNoFile) {
  const Address address = Address::Parse("unix:@ktlsim-test-" + std::to_string(getpid())).value();
  EXPECT_TRUE(TryUnix(address).ok());
  const Result<int> listener = ListenOnUnix(address, 4, SOCK_CLOEXEC);
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(TryUnix(address).code(), EADDRINUSE);
  EXPECT_EQ(ListenOnUnix(address, 4, SOCK_CLOEXEC).status().code(), EADDRINUSE);
  close(listener.value());
  EXPECT_TRUE(TryUnix(address).ok());
}

}  // namespace
}  // namespace ktlsim::io
