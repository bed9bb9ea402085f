// A peer that does what the test wants: bytes, FIN and RST on a blocking socket, which is the real
// kernel's or a seeded machine's.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "io/address.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {

class PeerSocket {
 public:
  virtual ~PeerSocket() = default;
  // Returns when the kernel has the bytes; bytes for a connection that has ended are dropped.
  virtual void Send(const Bytes& bytes) = 0;
  // Waits for a first byte and returns what is there; empty at the end.
  virtual Bytes ReceiveSome() = 0;
  virtual void Fin() = 0;
  // Only the first of these calls has an effect.
  virtual void Reset() = 0;
  virtual void Close() = 0;
  // -1: none.
  virtual int descriptor() const { return -1; }
};

class RealPeerSocket final : public PeerSocket {
 public:
  explicit RealPeerSocket(const io::Address& address)
      : socket_(::socket(address.family(), SOCK_STREAM, 0)) {
    timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    EXPECT_EQ(::connect(socket_, address.data(), address.size()), 0) << std::strerror(errno);
  }
  ~RealPeerSocket() override { RealPeerSocket::Close(); }

  void Send(const Bytes& bytes) override {
    std::size_t at = 0;
    while (at < bytes.size()) {
      const ssize_t sent = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }
  Bytes ReceiveSome() override {
    Bytes bytes(65536);
    const ssize_t got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
  void Fin() override { ::shutdown(socket_, SHUT_WR); }
  void Reset() override {
    linger hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    Close();
  }
  void Close() override {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  int descriptor() const override { return socket_; }

 private:
  int socket_;
};

class RawPeer {
 public:
  explicit RawPeer(std::unique_ptr<PeerSocket> socket) : socket_(std::move(socket)) {}

  void Send(const Bytes& bytes) { socket_->Send(bytes); }
  Bytes ReceiveSome() { return socket_->ReceiveSome(); }
  Bytes ReceiveToEnd() {
    Bytes all;
    for (Bytes some = ReceiveSome(); !some.empty(); some = ReceiveSome()) Append(all, some);
    return all;
  }
  void Fin() { socket_->Fin(); }
  void Reset() { socket_->Reset(); }
  void Close() { socket_->Close(); }
  int descriptor() const { return socket_->descriptor(); }

 private:
  std::unique_ptr<PeerSocket> socket_;
};

}  // namespace ktlsim::test
