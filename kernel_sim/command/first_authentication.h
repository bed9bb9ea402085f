// FirstAuthentication: what a user does before all signed requests: asks for a challenge, and
// responds to it. One after the other, for a row of a table.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "kernel_sim/command/digest_login.h"
#include "kernel_sim/command/one_exchange.h"
#include "kernel_sim/command/result_table.h"

namespace ktlsim::command {

class FirstAuthentication {
 public:
  struct Request {
    std::string target;  // of the request line
    std::string head;    // of a GET for it, without the empty line at its end
    std::string user;    // for messages
  };

  // `exchange` and `login` outlive it.
  FirstAuthentication(OneExchange& exchange, DigestLogin& login, Request request)
      : exchange_(exchange), login_(login), request_(std::move(request)) {}

  // In context number `context` of the login, in the place of an earlier one. It counts in *row.
  // Where the server says that it knows the password, too, that is verified. Empty: done; else what
  // is wrong. Passive level.
  std::string Make(std::size_t context, ResultRow* row);

 private:
  std::string Respond(std::size_t context, OneExchange::Answer* answer);

  OneExchange& exchange_;
  DigestLogin& login_;
  const Request request_;
};

}  // namespace ktlsim::command
