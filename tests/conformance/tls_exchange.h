// TlsExchange: sends bytes to a TLS server as a plain OpenSSL client and returns all that comes
// back until the server closes.
#pragma once

#include <string>
#include <string_view>

namespace ktlsim::conformance {

struct ExchangeResult {
  std::string received;
  bool closed_in_order = false;  // close_notify came before the end
  std::string error;             // not empty: no exchange took place, or it did not end in time
};

// Connects to 127.0.0.1:`port`, verifies nothing, sends `request` and reads until the end, for ten
// seconds at most.
ExchangeResult TlsExchange(int port, std::string_view request);

}  // namespace ktlsim::conformance
