#include "tls/handshake/caught_secrets.h"

#include <cstddef>
#include <cstdint>

#include "kernel_sim/base/characters.h"

namespace ktlsim::tls {
namespace {

bool ParseHex(std::string_view text, Secret& out) {
  if (text.size() % 2 != 0 || text.size() / 2 > Secret::kBytesMax) return false;
  out.Resize(text.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = HexValue(text[2 * i]);
    const int low = HexValue(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out.span()[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace

void CaughtSecrets::Note(std::string_view line) {
  const std::string_view label = line.substr(0, line.find(' '));
  const std::string_view value = line.substr(line.rfind(' ') + 1);
  Secret* secret = label == "CLIENT_TRAFFIC_SECRET_0"   ? &client_traffic
                   : label == "SERVER_TRAFFIC_SECRET_0" ? &server_traffic
                   : label == "EXPORTER_SECRET"         ? &exporter
                                                        : nullptr;
  if (secret != nullptr && !ParseHex(value, *secret)) secret->Clear();
}

void CaughtSecrets::ClearTraffic() {
  client_traffic.Clear();
  server_traffic.Clear();
}

}  // namespace ktlsim::tls
