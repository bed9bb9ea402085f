// CaughtSecrets: what OpenSSL tells of a TLS 1.3 connection's secrets while it makes the handshake,
// through its key log, which is its only way to tell them. Private to this module.
#pragma once

#include <string_view>

#include "tls/record/secret.h"

namespace ktlsim::tls {

struct CaughtSecrets {
  // RFC 8446 7.1. Empty until it is caught, and in TLS 1.2.
  Secret client_traffic;  // client_application_traffic_secret_0
  Secret server_traffic;  // server_application_traffic_secret_0
  Secret exporter;        // exporter_master_secret

  // `line`: "LABEL client_random secret", the last two in hexadecimal. Labels of other secrets are
  // passed over; of a line that cannot be read the secret is empty.
  void Note(std::string_view line);
  // The exporter's stays.
  void ClearTraffic();
};

}  // namespace ktlsim::tls
