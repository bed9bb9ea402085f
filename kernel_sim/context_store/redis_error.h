// What an error reply of Redis means for an operation, and in words for an operator.
#pragma once

#include <string_view>

#include "kernel_sim/context_store/context_store.h"

namespace ktlsim::context_store {

struct RedisError {
  StoreResult result;
  const char* words;  // what it means and what to do
};

// `text` is the reply without its "-": its first word decides, also where it stands inside of what
// a script reports (Redis before 7). An unknown one is kUnavailable.
RedisError ExplainRedisError(std::string_view text);

// The script is not (or no longer) known to the server: send it whole.
bool IsScriptMissing(std::string_view text);

}  // namespace ktlsim::context_store
