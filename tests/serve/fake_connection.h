// FakeConnection: a Connection without TLS and sockets. Sent bytes accumulate in `sent`, as far as
// `room` allows.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

class FakeConnection final : public transport::Connection {
 public:
  std::span<std::byte> SendSpace() override {
    if (closed || aborted) return {};
    return std::span(space_).first(std::min(room, space_.size()));
  }
  void CommitSend(std::size_t bytes) override {
    sent.append(reinterpret_cast<const char*>(space_.data()), bytes);
    room -= bytes;
  }
  bool send_idle() const override { return true; }
  void PauseReading() override { paused = true; }
  void ResumeReading() override { paused = false; }
  void ShutdownSend() override { closed = true; }
  void Close() override { closed = true; }
  void CloseFor(transport::EndKind why) override {
    if (!closed) close_kind = why;
    closed = true;
  }
  void CutFor(transport::EndKind why) override {
    if (!cut) close_kind = why;
    cut = closed = true;
  }
  void AbortFor(transport::EndKind why) override {
    aborted = true;
    abort_kind = why;
  }
  bool established() const override { return true; }
  transport::ConnectionInfo Info() override { return {}; }
  const io::Address& peer_address() const override { return peer; }
  Result<io::Address> LocalAddress() override { return local; }
  CtxtHandle security_context() const override { return {}; }
  io::Loop& loop() const override {
    if (its_loop == nullptr) std::abort();
    return *its_loop;
  }

  // Hands `text` to `handler` as a record would be.
  void Receive(transport::ConnectionHandler& handler, std::string_view text) {
    std::string copy(text);
    handler.OnPlaintext(*this, std::as_writable_bytes(std::span(copy.data(), copy.size())));
  }
  // Opens room for `bytes` more and calls OnDrain.
  void GiveRoom(transport::ConnectionHandler& handler, std::size_t bytes) {
    room += bytes;
    handler.OnWritable(*this);
  }
  void End(transport::ConnectionHandler& handler) { handler.OnEnded(*this, {}); }

  std::size_t room = std::size_t{1} << 40;
  std::string sent;
  io::Address peer;
  io::Address local;
  io::Loop* its_loop = nullptr;
  bool paused = false;
  bool closed = false;
  bool cut = false;  // closed without close_notify
  transport::EndKind close_kind = transport::EndKind::kCompleted;
  bool aborted = false;
  transport::EndKind abort_kind = transport::EndKind::kCompleted;

 private:
  std::array<std::byte, 16384> space_{};
};

}  // namespace ktlsim::serve
