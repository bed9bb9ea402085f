// CaughtSecrets: the secrets of a TLS 1.3 connection. OpenSSL gives them out through its key log
// callback only, line by line, while it makes the handshake. Private to this module.
#pragma once

#include <string_view>

#include "tls/record/secret.h"

namespace ktlsim::tls {

struct CaughtSecrets {
  // RFC 8446 7.1. Each is empty until its line comes; TLS 1.2 has none of them.
  Secret client_traffic;  // client_application_traffic_secret_0
  Secret server_traffic;  // server_application_traffic_secret_0
  Secret exporter;        // exporter_master_secret

  // `line`: "LABEL client_random secret", the last two in hexadecimal. Lines of other secrets are
  // ignored. A malformed line empties the secret that it names.
  void Note(std::string_view line);
  // Wipes all but the exporter's.
  void ClearTraffic();
};

}  // namespace ktlsim::tls
