// OneExchange: one HTTP request after the other over a client path, for a thread that waits for
// each response.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/address.h"
#include "io/loop.h"
#include "kernel_sim/transport/client_path.h"

namespace ktlsim::command {

class OneExchange {
 public:
  struct Answer {
    std::string error;  // empty: there is a response
    unsigned status = 0;
    std::string challenge;            // the token of the first one of Digest; empty: there is none
    std::string authentication_info;  // the same of that field
  };

  // `peers` are addresses of one server. `path` is started; it and `profile` outlive this object.
  OneExchange(transport::ClientPath& path, std::vector<io::Address> peers,
              const transport::TlsProfile& profile);
  // Closes the connection.
  ~OneExchange();
  OneExchange(const OneExchange&) = delete;
  OneExchange& operator=(const OneExchange&) = delete;

  // Makes the handshake, if there is no connection. Empty: done; else why not. Passive level.
  std::string Connect();
  // Sends `request` on the connection, or on a new one, and waits at most `limit_ns`.
  Answer Ask(const std::string& request, std::uint64_t limit_ns);

 private:
  class Line;

  std::unique_ptr<Line> line_;
};

}  // namespace ktlsim::command
