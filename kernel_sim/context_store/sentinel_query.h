// SentinelQuery: asks Sentinels, one after the other, which server is the master.
//
// Private to context_store/; on the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/loop.h"
#include "kernel_sim/context_store/redis_link.h"

namespace ktlsim::context_store {

class SentinelHandler {
 public:
  // Exactly one of the two for each Begin, from a later turn. `words` are a literal.
  virtual void OnMaster(const io::Address& master) = 0;
  virtual void OnNoMaster(const char* words) = 0;

 protected:
  ~SentinelHandler() = default;
};

class SentinelQuery final : private RedisLinkHandler, private ReplyHandler, private io::Timer {
 public:
  // What one Sentinel may take.
  static constexpr std::uint64_t kLimitNs = 1'000'000'000;

  SentinelQuery(io::Loop& loop, SentinelHandler& handler, std::vector<io::Address> sentinels,
                std::string master);

  void Begin();
  // Asks for an early end: OnNoMaster follows.
  void Cancel();

 private:
  void TryNext();
  void OnLinkOpen() override;
  void OnLinkFlush() override {}
  void OnLinkDown(StoreResult why, std::string_view words) override;
  void OnReply(const RespValue* reply) override;
  void OnTimer() override;

  io::Loop& loop_;
  SentinelHandler& handler_;
  const std::vector<io::Address> sentinels_;
  const std::string master_;
  RedisLink link_;
  std::optional<io::Address> found_;
  std::size_t next_ = 0;  // begins with the one that knew last time
  std::size_t left_ = 0;  // so many have not been asked
  const char* words_ = "";
};

}  // namespace ktlsim::context_store
