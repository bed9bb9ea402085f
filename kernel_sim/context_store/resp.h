// RESP: what Redis says (the reader of hiredis, with bounds of ours) and what is said to it (its
// formatter). Version 2 of the protocol.
//
// What a newcomer gets wrong: an error is a reply, not a failure of the connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ktlsim::context_store {

struct RespValue {
  enum class Type : std::uint8_t { kNil, kText, kStatus, kError, kInteger, kArray };

  Type type = Type::kNil;
  std::string text;  // of kText, kStatus and kError
  std::int64_t integer = 0;
  std::vector<RespValue> elements;
};

// Bytes in, replies out. One thread at a time.
class RespReader {
 public:
  // More than any reply to what we ask. Beyond it the connection is of no use any more.
  static constexpr std::size_t kReplyBytesMax = 1 << 20;
  static constexpr std::size_t kReplyElementsMax = 64 * 1024;

  enum class Outcome : std::uint8_t {
    kNeedMore,
    kReply,
    kBroken,  // no RESP, larger than the bounds, or no memory: for good
  };

  RespReader();
  ~RespReader();
  RespReader(const RespReader&) = delete;
  RespReader& operator=(const RespReader&) = delete;

  // False: for good.
  [[nodiscard]] bool Feed(std::span<const std::byte> bytes);
  // The next whole reply, if there is one.
  [[nodiscard]] Outcome Next(std::unique_ptr<RespValue>* reply);
  // Forgets everything: a new connection begins.
  void Reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Appends a command to `out`. False: no memory, and `out` is as it was.
[[nodiscard]] bool AppendCommand(std::span<const std::string_view> arguments, std::string* out);

}  // namespace ktlsim::context_store
