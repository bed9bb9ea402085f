// HeldPlaintext: what a client has sent and its handler can neither use nor pass on yet. It stays
// bounded, because the client is not read meanwhile.
//
// `Bytes` is where it lies: GrowingBytes, memory of its own, or HeldBytes, a buffer of the loop's
// pool. Private to serve/. Belongs to the connection's loop.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

// Keeps its memory when it is empty, for the next time.
class GrowingBytes {
 public:
  // The rest of one record, and the one that OnPlaintext may still bring after PauseReading.
  static constexpr std::size_t kBytesMax = 128 * 1024;

  bool empty() const { return bytes_.empty(); }
  std::size_t room() const { return kBytesMax - (bytes_.size() - begin_); }
  std::span<const std::byte> bytes() const { return std::span(bytes_).subspan(begin_); }

  // Copies all of `bytes`, for which there is room. False: no memory.
  [[nodiscard]] bool Keep(std::span<const std::byte> bytes) {
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
    try {
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }
  // The first `bytes` of them have been used.
  void Consume(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ < bytes_.size()) return;
    bytes_.clear();
    begin_ = 0;
  }

 private:
  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;
};

template <typename Bytes>
class HeldPlaintext {
 public:
  // Reading is paused as soon as there is room for fewer than `pause_below` more. `arguments` are
  // for Bytes.
  template <typename... Arguments>
  explicit HeldPlaintext(std::size_t pause_below, Arguments&... arguments)
      : bytes_(arguments...), pause_below_(pause_below) {}

  bool empty() const { return bytes_.empty(); }
  Bytes& bytes() { return bytes_; }

  // Copies all of `plaintext`. False: `connection` has been aborted, since there is no memory, or
  // its transport ignores the pause.
  bool Keep(transport::Connection& connection, std::span<const std::byte> plaintext) {
    if (plaintext.size() > bytes_.room()) {
      connection.Abort();
      return false;
    }
    if (!bytes_.Keep(plaintext)) {
      connection.AbortFor(transport::EndKind::kNoMemory);
      return false;
    }
    if (bytes_.room() < pause_below_ && !std::exchange(paused_, true)) connection.PauseReading();
    return true;
  }
  // Reads on, if Keep has paused it. For a moment when there is room again.
  void ResumeReading(transport::Connection& connection) {
    if (std::exchange(paused_, false)) connection.ResumeReading();
  }

 private:
  Bytes bytes_;
  const std::size_t pause_below_;
  bool paused_ = false;
};

}  // namespace ktlsim::serve
