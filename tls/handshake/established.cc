#include "tls/handshake/established.h"

namespace ktlsim::tls {

bool ConnectionFacts::ExportKeyingMaterial(std::string_view label,
                                           std::optional<std::span<const std::uint8_t>> context,
                                           std::span<std::uint8_t> out) const {
  if (suite == nullptr) return false;
  if (version == Version::kTls13) {
    return ExportTls13(suite->hash, exporter_secret, label,
                       context.value_or(std::span<const std::uint8_t>()), out);
  }
  return ExportTls12(suite->hash, exporter_secret, client_random, server_random, label, context,
                     out);
}

}  // namespace ktlsim::tls
