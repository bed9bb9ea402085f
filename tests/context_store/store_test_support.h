// Helpers of the context store's tests: a clock that is set by hand, keys made of text, calls that
// count their completions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/context_store/context_store.h"

namespace ktlsim::context_store {

class HandClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return now_ns; }
  std::uint64_t now_ns = kNsPerSecond;
};

inline std::span<const std::byte> Bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
// `name` must outlive the key.
inline Key Named(std::string_view name, Kind kind = Kind::kDigestContext) {
  return {.kind = kind, .name = Bytes(name)};
}

class TestCall final : public StoreCall {
 public:
  void OnStored() override { ++completions; }
  std::string text() const { return Text(value()); }
  int completions = 0;
};

// A value that lives for an hour.
inline PutRequest Lasting(std::string_view value, PutMode mode = PutMode::kSet) {
  PutRequest put;
  put.value = Bytes(value);
  put.mode = mode;
  put.lifetime_ns = 3600 * kNsPerSecond;
  return put;
}

inline std::ostream& operator<<(std::ostream& out, StoreResult result) {
  return out << NameOf(result);
}

}  // namespace ktlsim::context_store
