#include "kernel_sim/command/serve_config.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "kernel_sim/command/socket_name.h"
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

namespace {

std::string CheckFolder(const ListenerConfig& listener) {
  if (listener.folder.path.empty()) {
    if (listener.folder.acquire) return "acquire needs cert-dir (--cert-dir DIR)";
    return listener.folder.kept ? "certs-kept needs cert-dir (--cert-dir DIR)" : "";
  }
  if (!listener.cert_file.empty() || !listener.self_signed.empty()) {
    return "cert-dir excludes cert, key and self-signed: give one of them, and put the certificate "
           "for all other names into the folder, as default.crt and default.key";
  }
  if (!listener.sni.empty()) {
    return "cert-dir excludes sni: put the certificate into the folder, as NAME.crt and NAME.key";
  }
  if (listener.folder.acquire == AcquireWhen::kStart && listener.folder.kept.value_or(0) != 0) {
    return "certs-kept is for acquire = first-use: with start all certificates are kept";
  }
  return {};
}

std::string CheckDigest(const ListenerConfig& listener) {
  const DigestConfig& digest = listener.digest;
  if (!digest.on()) {
    const bool lonely = !digest.users_file.empty() || digest.sha256 || !digest.paths.empty();
    return lonely ? "digest-users, digest-sha256 and digest-path need digest-realm (--digest-realm "
                    "NAME)"
                  : "";
  }
  if (listener.mode == ServeMode::kForward) {
    return "digest-realm protects what the server itself reads as HTTP, and upstream passes every "
           "byte on unread: let the backend authenticate, or give the listener root (--root DIR)";
  }
  if (listener.mode == ServeMode::kEcho) {
    return "digest-realm protects HTTP, and echo speaks none: give the listener root (--root DIR) "
           "or respond-bytes (--respond-bytes N)";
  }
  if (digest.users_file.empty()) {
    return "digest-realm needs digest-users (--digest-users FILE); `ktlsim users add FILE USER "
           "--realm NAME` makes it";
  }
  return {};
}

std::string CheckAcl(const ListenerConfig& listener) {
  if (listener.clients.acl_file.empty()) return {};
  if (listener.mode == ServeMode::kForward || listener.mode == ServeMode::kEcho) {
    return "acl guards what the server itself reads as HTTP: give the listener root (--root DIR) "
           "or "
           "respond-bytes (--respond-bytes N), or let the backend check access";
  }
  if (listener.clients.auth == ClientAuth::kNone && !listener.digest.on()) {
    return "acl needs to know who a client is: give client-auth (--client-auth request, with "
           "--client-ca FILE), digest-realm (--digest-realm NAME, with --digest-users FILE), or "
           "both";
  }
  if (!listener.digest.paths.empty()) {
    return "acl excludes digest-path: the descriptor of a path says who may see it, and an entry "
           "for AN lets in who has not authenticated";
  }
  return {};
}

}  // namespace

std::string CheckListener(const ListenerConfig& listener) {
  if (listener.listen.empty()) {
    return "an address is missing: give listen (--listen HOST:PORT), for example 127.0.0.1:8443";
  }
  if (listener.cert_file.empty() != listener.key_file.empty()) {
    return "cert and key belong together: give both (--cert FILE --key FILE)";
  }
  if (listener.cert_file.empty() && listener.self_signed.empty() && listener.folder.path.empty()) {
    return "a certificate is missing: give cert and key (--cert, --key), self-signed "
           "(--self-signed NAME), or cert-dir (--cert-dir DIR)";
  }
  if (std::string wrong = CheckFolder(listener); !wrong.empty()) return wrong;
  if (listener.reuse_port) {
    for (const std::string& text : listener.listen) {
      if (!text.starts_with("unix:")) continue;
      return text +
             ": a Unix-domain socket cannot be shared: leave reuse-port away, or give it a "
             "listener of its own";
    }
  }
  if (!listener.cert_file.empty() && !listener.self_signed.empty()) {
    return "self-signed excludes cert and key: give one of them (--self-signed, --cert)";
  }
  if (listener.mode == ServeMode::kNone) {
    return "say what to serve: respond-bytes (--respond-bytes N), root (--root DIR), upstream "
           "(--upstream HOST:PORT) or --echo";
  }
  if (listener.mode == ServeMode::kRespond || listener.mode == ServeMode::kFiles) {
    std::string wrong = CheckHttpAlpn(listener.alpn, ServeModeName(listener.mode));
    if (!wrong.empty()) return wrong + "; --echo and --upstream take any name";
  }
  if (listener.clients.auth != ClientAuth::kNone && listener.clients.ca_file.empty()) {
    return "client-auth needs client-ca (--client-ca FILE): the trust anchors";
  }
  if (listener.clients.auth == ClientAuth::kNone && !listener.clients.ca_file.empty()) {
    return "client-ca needs client-auth (--client-auth request or require)";
  }
  if (std::string wrong = CheckDigest(listener); !wrong.empty()) return wrong;
  if (std::string wrong = CheckAcl(listener); !wrong.empty()) return wrong;
  std::set<std::string> names;
  for (const SniCertificate& sni : listener.sni) {
    if (!names.insert(sni.name).second) return "sni: two certificates for " + sni.name;
  }
  return {};
}

std::string CheckAddresses(const ServeConfig& config) {
  std::set<std::string> keys;
  for (const ListenerConfig& listener : config.listeners) {
    for (const std::string& text : listener.listen) {
      SocketName name;
      // Port 0 is another one each time.
      if (!ParseSocketName(text, SocketUse::kListen, &name).empty()) continue;
      if (name.port == 0 && !name.unix_socket.is_unix()) continue;
      if (!keys.insert(name.Key()).second) {
        return listener.places.Of("listen", text) + ": " + text + " is there twice";
      }
    }
  }
  return {};
}

std::string CheckFilesHaveAcl(const ListenerConfig& listener) {
  if (listener.mode != ServeMode::kFiles || !listener.clients.acl_file.empty()) return {};
  return listener.places.Of("root") +
         ": root needs acl (--acl FILE) on its listener with impersonate-os: without it files are "
         "served to everybody with the rights of the server";
}

std::string CheckAccess(const ServeConfig& config) {
  const AccessConfig& access = config.access;
  const bool any_acl = std::ranges::any_of(config.listeners, [](const ListenerConfig& listener) {
    return !listener.clients.acl_file.empty();
  });
  if (config.library.impersonate_os && any_acl) {
    for (const ListenerConfig& listener : config.listeners) {
      if (std::string wrong = CheckFilesHaveAcl(listener); !wrong.empty()) return wrong;
    }
  }
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.clients.acl_file.empty()) continue;
    if (!access.accounts_file.empty()) {
      const bool lonely =
          access.audit_file.empty() &&
          (!access.audit_key.empty() || !access.audit_head.empty() ||
           access.audit_rotate_bytes != 0 || access.audit_queue != AccessConfig().audit_queue);
      return lonely
                 ? "audit-key, audit-head, audit-rotate and audit-queue need audit (--audit FILE)"
                 : "";
    }
    return listener.places.Of("acl") +
           ": acl needs accounts (--accounts FILE), the directory that has the clients; `ktlsim "
           "accounts` keeps it";
  }
  if (config.library.impersonate_os) {
    return "impersonate-os needs acl (--acl FILE) on a listener, and accounts (--accounts FILE): "
           "they say as whom a request runs";
  }
  const bool lonely = !access.accounts_file.empty() || !access.audit_file.empty() ||
                      !access.audit_key.empty() || !access.audit_head.empty();
  return lonely ? "accounts, audit, audit-key and audit-head need acl (--acl FILE) on a listener: "
                  "the paths and their security descriptors"
                : "";
}

std::string CheckRealms(const ServeConfig& config) {
  std::map<std::string, const DigestConfig*> files;
  for (const ListenerConfig& listener : config.listeners) {
    const DigestConfig& digest = listener.digest;
    if (!digest.on()) continue;
    const auto [at, fresh] = files.try_emplace(digest.realm, &digest);
    if (fresh) continue;
    const DigestConfig& other = *at->second;
    if (other.sha256 != digest.sha256) {
      return fmt::format(
          "{}: the realm \"{}\" has digest-sha256 on one listener and not on another: "
          "a realm has one of the two",
          listener.places.Of("digest-realm"), Printable(digest.realm));
    }
    if (other.users_file == digest.users_file) continue;
    return fmt::format("{}: the realm \"{}\" has two files of users, {} and {}: a realm has one",
                       listener.places.Of("digest-users"), Printable(digest.realm),
                       other.users_file, digest.users_file);
  }
  return {};
}

namespace {

// The addresses of what `setting` says as `text`, after those of `*addresses`.
std::string Resolve(const ListenerConfig& listener, const char* setting, const std::string& text,
                    SocketUse use, std::vector<io::Address>* addresses) {
  SocketName name;
  std::string wrong = ParseSocketName(text, use, &name);
  if (wrong.empty()) wrong = LookUp(name, addresses);
  return wrong.empty() ? wrong : listener.places.Of(setting, text) + ": " + wrong;
}

std::string ResolveListen(ListenerConfig* listener, std::map<std::string, std::string>* taken) {
  listener->doors.clear();
  for (const std::string& text : listener->listen) {
    std::vector<io::Address> addresses;
    std::string wrong = Resolve(*listener, "listen", text, SocketUse::kListen, &addresses);
    if (!wrong.empty()) return wrong;
    for (const io::Address& address : addresses) {
      const bool chosen_later = address.port() == 0 && !address.is_unix();
      if (!chosen_later) {
        const auto [at, fresh] = taken->try_emplace(address.ToString(), text);
        if (!fresh) {
          return fmt::format("{}: {} is there twice, as {} and as {}: leave one out",
                             listener->places.Of("listen", text), at->first, at->second, text);
        }
      }
      listener->doors.push_back({address, text});
    }
  }
  return {};
}

std::string ResolveUpstreams(ListenerConfig* listener) {
  if (listener->upstreams.empty()) return {};
  listener->forward.backends.clear();
  for (const std::string& text : listener->upstreams) {
    std::vector<io::Address> addresses;
    std::string wrong = Resolve(*listener, "upstream", text, SocketUse::kConnect, &addresses);
    if (!wrong.empty()) return wrong;
    std::vector<io::Address>& backends = listener->forward.backends;
    backends.insert(backends.end(), addresses.begin(), addresses.end());
    if (backends.size() > serve::kBackendsMax) {
      return fmt::format("{}: more than {} backends, all addresses of names counted",
                         listener->places.Of("upstream", text), serve::kBackendsMax);
    }
  }
  return {};
}

}  // namespace

std::string PlaceOf(const ListenerConfig& listener, const ListenerConfig::Door& door) {
  const std::string address = door.address.ToString();
  std::string place = listener.places.Of("listen", door.written) + ": " + door.written;
  if (address != door.written) place.append(" (").append(address).append(")");
  return place.append(": ");
}

ListenerConfig::Door DoorAt(const ListenerConfig& listener, const io::Address& address) {
  const std::string wanted = address.ToString();
  for (const ListenerConfig::Door& door : listener.doors) {
    if (door.address.ToString() == wanted) return door;
  }
  return {address, wanted};
}

std::string ResolveNames(ServeConfig* config) {
  std::map<std::string, std::string> taken;
  for (ListenerConfig& listener : config->listeners) {
    std::string wrong = ResolveListen(&listener, &taken);
    if (wrong.empty()) wrong = ResolveUpstreams(&listener);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace ktlsim::command
