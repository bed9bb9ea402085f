#include "kernel_sim/context_store/context_store.h"

#include <openssl/crypto.h>

namespace ktlsim::context_store {

const char* NameOf(StoreResult result) {
  switch (result) {
    case StoreResult::kOk:
      return "ok";
    case StoreResult::kNotFound:
      return "not found";
    case StoreResult::kExists:
      return "exists";
    case StoreResult::kStale:
      return "stale";
    case StoreResult::kOutOfSequence:
      return "out of sequence";
    case StoreResult::kTooLarge:
      return "too large";
    case StoreResult::kUnreadable:
      return "unreadable";
    case StoreResult::kUnavailable:
      return "unavailable";
    case StoreResult::kTimedOut:
      return "timed out";
    case StoreResult::kFull:
      return "full";
    case StoreResult::kRefused:
      return "refused";
    case StoreResult::kReadOnly:
      return "read-only";
    case StoreResult::kWrongType:
      return "wrong type";
    case StoreResult::kNotDurable:
      return "not durable";
    case StoreResult::kUnsupported:
      return "unsupported";
    case StoreResult::kStopped:
      return "stopped";
  }
  return "?";
}

StoreCall::~StoreCall() { OPENSSL_cleanse(value_.data(), value_.size()); }

void StoreCall::SetValue(std::span<const std::byte> value) {
  OPENSSL_cleanse(value_.data(), value_.size());
  // A vector that grows would leave a copy behind.
  if (value.size() > value_.capacity()) value_ = std::vector<std::byte>();
  value_.assign(value.begin(), value.end());
}

}  // namespace ktlsim::context_store
