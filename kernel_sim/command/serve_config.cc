#include "kernel_sim/command/serve_config.h"

#include <set>

#include "io/address.h"
#include "kernel_sim/base/result.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {

const char* ServeModeName(ServeMode mode) {
  switch (mode) {
    case ServeMode::kRespond:
      return "respond-bytes";
    case ServeMode::kEcho:
      return "echo";
    case ServeMode::kFiles:
      return "root";
    case ServeMode::kForward:
      return "upstream";
    case ServeMode::kNone:
      break;
  }
  return "none";
}

std::string CheckListener(const ListenerConfig& listener) {
  if (listener.listen.empty()) {
    return "an address is missing: give listen (--listen ADDRESS:PORT), for example 127.0.0.1:8443";
  }
  if (listener.cert_file.empty() != listener.key_file.empty()) {
    return "cert and key belong together: give both (--cert FILE --key FILE)";
  }
  if (listener.cert_file.empty() && listener.self_signed.empty()) {
    return "a certificate is missing: give cert and key (--cert, --key), or self-signed "
           "(--self-signed NAME)";
  }
  if (!listener.cert_file.empty() && !listener.self_signed.empty()) {
    return "self-signed excludes cert and key: give one of them (--self-signed, --cert)";
  }
  if (listener.mode == ServeMode::kNone) {
    return "say what to answer: respond-bytes (--respond-bytes N), root (--root DIR), upstream "
           "(--upstream ADDRESS:PORT) or --echo";
  }
  if (listener.mode == ServeMode::kRespond || listener.mode == ServeMode::kFiles) {
    std::string wrong = CheckHttpAlpn(listener.alpn, ServeModeName(listener.mode));
    if (!wrong.empty()) return wrong + "; --echo and --upstream take any name";
  }
  if (listener.client_auth != ClientAuth::kNone && listener.client_ca_file.empty()) {
    return "client-auth needs client-ca (--client-ca FILE): whom to trust";
  }
  if (listener.client_auth == ClientAuth::kNone && !listener.client_ca_file.empty()) {
    return "client-ca needs client-auth (--client-auth request or require)";
  }
  std::set<std::string> names;
  for (const SniCertificate& sni : listener.sni) {
    if (!names.insert(sni.name).second) return "sni: two certificates for " + sni.name;
  }
  return {};
}

std::string CheckAddresses(const ServeConfig& config) {
  std::set<std::string> addresses;
  for (const ListenerConfig& listener : config.listeners) {
    for (const std::string& text : listener.listen) {
      const Result<io::Address> address = io::Address::Parse(text);
      // Port 0 is another one each time.
      if (!address.ok() || address->port() == 0) continue;
      if (!addresses.insert(address->ToString()).second) {
        return listener.places.Of("listen", text) + ": " + text + " is there twice";
      }
    }
  }
  return {};
}

}  // namespace ktlsim::command
