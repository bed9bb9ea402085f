// Where a shared store is, as an operator writes it.
//
//   redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]
//   rediss://[USER:PASSWORD@]HOST[:PORT][/DATABASE]    over TLS
//   unix://[USER:PASSWORD@]/PATH[?db=DATABASE]
//   redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/MASTER[/DATABASE]
//
// USER may be empty: a password alone. User, password, path and master may be percent-encoded
// (RFC 3986 2.1). With Sentinels, user and password are for the server, not for them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/address.h"
#include "kernel_sim/base/result.h"

namespace ktlsim::context_store {

struct RedisHost {
  std::string host;  // a name or an address; an IPv6 address without its brackets
  std::uint16_t port = 0;

  // kContract: a name, which needs a look-up first.
  Result<io::Address> ToAddress() const;
};

struct RedisUrl {
  std::vector<RedisHost> hosts;  // one, or the Sentinels; none: a socket
  std::string unix_path;
  std::string master;  // with Sentinels: the name by which they know the server
  std::string user;
  std::string password;
  unsigned database = 0;
  bool tls = false;
};

// Empty: done. Else what is wrong and what would be right, without the password; `*url` is as it
// was.
std::string ParseRedisUrl(std::string_view text, RedisUrl* url);

}  // namespace ktlsim::context_store
