// The configuration of `ktlsim serve`, whether it comes from options or from a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/address.h"
#include "kernel_sim/audit/audit_options.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/setting_places.h"
#include "kernel_sim/command/shared_store.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/serve/forward_service.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/serve/log.h"
#include "kernel_sim/transport/limits.h"
#include "kernel_sim/transport/profile.h"

namespace ktlsim::command {

enum class ServeMode { kNone, kRespond, kEcho, kFiles, kForward };

// When the certificates of a folder are acquired.
enum class AcquireWhen { kFirstUse, kStart };
struct CertificateFolderConfig {
  std::string path;                    // empty: there is no folder
  std::optional<AcquireWhen> acquire;  // none: at first use
  std::optional<std::uint32_t> kept;   // 0: all; none: the default
  // How long a certificate that could not be acquired stays refused. No option: tests shorten it.
  std::uint64_t retry_ns = kNsPerSecond;
};

// Who may see what a listener serves over HTTP.
struct DigestConfig {
  bool on() const { return !realm.empty(); }

  std::string realm;  // empty: everybody
  std::string users_file;
  bool sha256 = false;
  std::vector<std::string> paths;  // empty: everything
};

// Which clients show certificates, and what clients may do.
struct ClientConfig {
  ClientAuth auth = ClientAuth::kNone;
  std::string ca_file;
  std::string acl_file;  // empty: whoever is served may do everything
};

// Whose accounts count where a listener has an access control list, and what is recorded. Of the
// process.
struct AccessConfig {
  friend bool operator==(const AccessConfig&, const AccessConfig&) = default;

  std::string accounts_file;
  std::string audit_file;  // empty: nothing is recorded
  std::string audit_key;
  std::string audit_head;  // empty: the default
  audit::FullPolicy audit_full = audit::FullPolicy::kRefuse;
  std::uint64_t audit_rotate_bytes = 0;  // 0: never
  // Records that requests may leave behind while the disk is waited for: a power of two.
  std::size_t audit_queue = 16'384;
};

// One listener: its addresses, its TLS, and its service.
struct ListenerConfig {
  // An address to listen on, and how it was written.
  struct Door {
    io::Address address;
    std::string written;
  };

  std::vector<std::string> listen;     // as written
  std::vector<std::string> upstreams;  // as written
  std::vector<Door> doors;             // what ResolveNames makes of `listen`
  bool reuse_port = false;
  SettingPlaces places;

  std::string cert_file;
  std::string key_file;
  CertificateFolderConfig folder;
  std::string self_signed;
  std::string key_type = "ecdsa";
  std::vector<SniCertificate> sni;
  bool strict_sni = false;
  ClientConfig clients;
  bool serve_expired = false;
  TlsVersions versions = TlsVersions::k12And13;
  std::vector<std::string> alpn;
  std::optional<unsigned> tickets;
  std::string cipher_suites;
  std::string groups;

  ServeMode mode = ServeMode::kNone;
  serve::HttpOptions http;
  std::string root;
  serve::ForwardOptions forward;
  DigestConfig digest;

  transport::Limits limits;
  transport::RecordSizing record_sizing;
  std::uint32_t max_connections = 0;
  std::uint32_t max_handshakes = 512;
  int backlog = 4096;
};

struct ServeConfig {
  std::vector<ListenerConfig> listeners;
  StartupOptions library;
  StoreConfig store;
  AccessConfig access;
  std::uint64_t drain_ns = 5 * kNsPerSecond;
  serve::LogOptions log;
  std::string json;
  std::string admin;  // where, as written; empty: nowhere
};

// Checks the settings of one listener against each other. Empty: all is well; else what is wrong
// and the remedy.
std::string CheckListener(const ListenerConfig& listener);
// The same for listeners against each other, without looking up names.
std::string CheckAddresses(const ServeConfig& config);
// A context of Digest is good for its realm, on whichever listener: a realm has one file of users.
std::string CheckRealms(const ServeConfig& config);

// What belongs to access control lists is there, and there is one where it is there.
std::string CheckAccess(const ServeConfig& config);
// Empty, or what is wrong with a listener of a server with real impersonation: files need `acl`,
// or nobody would be the one who opens them.
std::string CheckFilesHaveAcl(const ListenerConfig& listener);

// Looks names up: every address of a name becomes a listener, or a backend. That is done once; a
// caller that wants a name's new addresses loads the configuration again. May take long; any
// thread. Empty: done; else what is wrong, where, and the remedy.
std::string ResolveNames(ServeConfig* config);

// "FILE:LINE: key `listen`: localhost:1 (127.0.0.1:1): ", for what is wrong with this door.
std::string PlaceOf(const ListenerConfig& listener, const ListenerConfig::Door& door);
// The door at `address`; a default one where there is none.
ListenerConfig::Door DoorAt(const ListenerConfig& listener, const io::Address& address);

const char* ServeModeName(ServeMode mode);

}  // namespace ktlsim::command
