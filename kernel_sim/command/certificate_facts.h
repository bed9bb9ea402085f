// CertificateFacts: what a result says about a certificate that was used, so that a reader knows
// what a handshake had to do.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ktlsim::command {

struct CertificateFacts {
  std::string kind;  // of its key, OpenSSL's name: "EC", "RSA"
  int bits = 0;
  std::string curve;               // "P-256"; empty: not an EC key
  std::vector<std::string> names;  // DNS names and addresses; without these the common name
  std::string sha256;              // of the DER, hexadecimal
};

// None: `certificate` is null, or cannot be read. Any thread.
std::optional<CertificateFacts> DescribeCertificate(PCCERT_CONTEXT certificate);
// Null for none.
nlohmann::json CertificateJson(const std::optional<CertificateFacts>& facts);

}  // namespace ktlsim::command
