// RedisLogin: what is said first on a connection to a Redis: who we are, which database, and which
// server this is.
//
// Private to context_store/; on the link's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel_sim/context_store/redis_link.h"

namespace ktlsim::context_store {

struct LoginFacts {
  std::string user;
  std::string password;  // empty: none
  unsigned database = 0;
};

class RedisLoginHandler {
 public:
  // `epoch` names the server's run: it changes when the server restarts (run_id) and when it
  // becomes a master (master_replid), since counts may have been lost then.
  virtual void OnLoggedIn(std::uint64_t epoch) = 0;
  // `words` are a literal. The link is still open.
  virtual void OnLoginFailed(StoreResult why, const char* words) = 0;

 protected:
  ~RedisLoginHandler() = default;
};

class RedisLogin final : private ReplyHandler {
 public:
  RedisLogin(RedisLink& link, RedisLoginHandler& handler) : link_(link), handler_(handler) {}

  // Not again before one of the handler's functions was called, or the link is down; in that case
  // none is.
  void Begin(const LoginFacts& facts);

 private:
  void OnReply(const RespValue* reply) override;
  void Fail(StoreResult why, const char* words);
  void Judge();

  RedisLink& link_;
  RedisLoginHandler& handler_;
  unsigned awaited_ = 0;
  bool failed_ = false;
  std::string server_;  // what INFO says
};

// The value of `field` in what INFO replies with; empty: it is not there.
std::string_view InfoField(std::string_view info, std::string_view field);

}  // namespace ktlsim::context_store
