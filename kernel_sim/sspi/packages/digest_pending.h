// DigestPending: the requests of an established context that AcceptSecurityContext has seen and
// CompleteAuthToken has not.
//
// What a newcomer gets wrong: several may be open on one context, over as many connections, and
// they complete in any order. A record serves once.
//
// Under the strand of its context.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kernel_sim/base/clock.h"

namespace ktlsim::sspi {

struct DigestRecord {
  std::string token;  // the Authorization value
  std::string method;
  std::string uri;  // may be empty: not given
  std::string entity_hash;
  std::uint64_t until_ns = 0;
};

class DigestPending {
 public:
  static constexpr std::size_t kMax = 64;
  static constexpr std::uint64_t kLifeNs = 30 * kNsPerSecond;

  // The oldest makes room. May throw std::bad_alloc.
  void Add(DigestRecord record, std::uint64_t now_ns) {
    DropOld(now_ns);
    record.until_ns = now_ns + kLifeNs;
    records_.push_back(std::move(record));
    if (records_.size() > kMax) records_.pop_front();
  }
  // The record of `token`; for an empty one the only record there is. Empty: there is none, or it
  // is not clear which.
  std::optional<DigestRecord> Take(std::string_view token, std::uint64_t now_ns) {
    DropOld(now_ns);
    auto found = records_.begin();
    if (token.empty()) {
      if (records_.size() != 1) return std::nullopt;
    } else {
      found = std::ranges::find(records_, token, &DigestRecord::token);
      if (found == records_.end()) return std::nullopt;
    }
    DigestRecord record = std::move(*found);
    records_.erase(found);
    return record;
  }
  std::size_t size() const { return records_.size(); }

 private:
  void DropOld(std::uint64_t now_ns) {
    while (!records_.empty() && records_.front().until_ns <= now_ns) records_.pop_front();
  }

  std::deque<DigestRecord> records_;  // the oldest first
};

}  // namespace ktlsim::sspi
