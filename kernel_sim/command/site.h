// Site: one listening address at work: its path, its credential, and its service.
//
// A site can be given a new configuration while it runs. What was made for the old one lives until
// the last of its connections has ended, and is then freed by Collect, at passive level.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/access_control.h"
#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/digest_realm.h"
#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/serve/access_guard.h"
#include "kernel_sim/serve/certificate_folder.h"
#include "kernel_sim/serve/connection_log.h"
#include "kernel_sim/serve/digest_guard.h"
#include "kernel_sim/serve/service.h"
#include "kernel_sim/transport/server_path.h"

namespace ktlsim::command {

// What statistics report about a listener besides its figures. Immutable.
struct SiteFacts {
  std::optional<CertificateFacts> certificate;  // the default one
  TlsVersions versions = TlsVersions::k12And13;
  std::string cipher_suites;  // empty: the library's default
  std::string groups;         // the same
  std::vector<std::string> alpn;
};

// The certificate that an address presents, or the folder that it has them from. Immutable.
struct Identity {
  std::string self_signed;  // the name in a certificate of our own; empty: it is from files
  std::string key_type;
  // One of our own is kept over reloads. Null: there is a folder.
  std::shared_ptr<const Certificate> certificate;
  Credential credential;
  std::unique_ptr<serve::CertificateFolder> folder;
};

// What all outfits of a server have in common.
struct OutfitShare {
  serve::ConnectionLog& log;
  serve::DigestContexts& contexts;  // of all listeners, and over reloads, as these:
  Realms& realms;
  std::uint32_t store_wait_ms = 2000;
  AccessControl* access = nullptr;                 // null: the server was started without
  const accounts::Directory* directory = nullptr;  // of the configuration; null: it has none
};

// A listener's configuration with everything it needs, made and checked.
class Outfit {
 public:
  // Reads the certificates and opens the folder. Null: `*error` says what is wrong and the remedy.
  // Passive level; the library is started. `before`, if any, is what it replaces: its TLS sessions
  // are taken over as far as nothing has changed that they rest on, and a self-signed certificate
  // is kept. `shared` outlives it. `findings`: warnings about a usable one, or that only a date is
  // wrong. Any thread.
  static std::unique_ptr<Outfit> Make(const ListenerConfig& config, const Identity* before,
                                      const OutfitShare& shared, std::string* error,
                                      CredentialFindings* findings);
  ~Outfit();
  Outfit(const Outfit&) = delete;
  Outfit& operator=(const Outfit&) = delete;

  const ListenerConfig& config() const { return config_; }
  serve::Service& service() { return *service_; }
  const CredHandle& credential() const { return identity_->credential.handle(); }
  const std::shared_ptr<const Identity>& identity() const { return identity_; }
  const std::shared_ptr<const SiteFacts>& facts() const { return facts_; }
  // Null: it forwards nothing.
  const serve::ForwardService* forward() const { return forward_; }
  // The realm's users as this configuration has them, and as they count; null: everybody is served.
  const std::shared_ptr<const DigestRealm>& realm() const { return realm_; }
  const std::shared_ptr<RealmUsers>& users() const { return users_; }
  const serve::DigestGuard* guard() const { return guard_.get(); }
  // The descriptors as this configuration has them, and as they count; null: there are none.
  const std::shared_ptr<const serve::AccessPolicy>& policy() const { return policy_; }
  const std::shared_ptr<serve::AccessPolicies>& policies() const { return policies_; }
  const serve::AccessGuard* access() const { return access_.get(); }
  // Waits until all that its connections have begun has ended. Passive level, without connections.
  void Stop();

 private:
  explicit Outfit(ListenerConfig config) : config_(std::move(config)) {}

  bool MakeGuard(const OutfitShare& shared, std::string* error);
  bool MakeAccess(const OutfitShare& shared, std::string* error);
  bool MakeService(const OutfitShare& shared, std::string* error);

  const ListenerConfig config_;
  std::shared_ptr<const Identity> identity_;
  std::shared_ptr<const SiteFacts> facts_;
  std::shared_ptr<const DigestRealm> realm_;
  std::shared_ptr<RealmUsers> users_;
  std::unique_ptr<serve::DigestGuard> guard_;
  std::shared_ptr<const serve::AccessPolicy> policy_;
  std::shared_ptr<serve::AccessPolicies> policies_;
  std::unique_ptr<serve::AccessGuard> access_;
  std::unique_ptr<serve::Service> service_;
  const serve::ForwardService* forward_ = nullptr;
};

// What the services of a listener have done, and its folders of certificates.
struct ServiceStatistics {
  serve::ForwardStatistics forward;
  serve::DigestStatistics digest;
  serve::AccessStatistics access;
  serve::SharedCredentials::Events certificates;

  ServiceStatistics& operator+=(const ServiceStatistics& other);
  void Add(const Outfit& outfit);
};

// Outfits that no connection uses any more, on their way from a loop to passive level.
class Graveyard {
 public:
  Graveyard() = default;
  // Empty.
  ~Graveyard();
  Graveyard(const Graveyard&) = delete;
  Graveyard& operator=(const Graveyard&) = delete;

  // A reference to `outfit` that sends it here when the last copy is dropped, on any thread. The
  // graveyard must exist until then.
  std::shared_ptr<Outfit> Lend(std::unique_ptr<Outfit> outfit);
  // Frees the outfits that have come. Passive level. Their statistics are added up.
  void Collect(ServiceStatistics* statistics);
  // Of the outfits that have not been freed, wherever they are. Not at the same time as Lend and
  // Collect.
  ServiceStatistics Statistics() const;

 private:
  struct Grave {
    std::unique_ptr<Outfit> outfit;
    Grave* next = nullptr;
  };

  std::vector<const Outfit*> lent_;  // until they are freed
  SpinLock lock_;
  Grave* graves_ KTLSIM_GUARDED_BY(lock_) = nullptr;
};

class Site {
 public:
  // Identifies a listener of a configuration: its address, and how often the same address came
  // before it, since port 0 may occur several times.
  struct Id {
    std::string address;  // as io::Address::Parse reads it
    std::size_t occurrence = 0;
    bool operator==(const Id&) const = default;
  };

  // `notify_mode`: as in transport::ServerOptions.
  // `handshake_times`: likewise; outlives it.
  Site(Id id, serve::ConnectionLog& log, ULONG notify_mode,
       transport::HandshakeTimesOfLoops* handshake_times)
      : id_(std::move(id)),
        log_(log),
        notify_mode_(notify_mode),
        handshake_times_(handshake_times) {}
  // Stops.
  ~Site() { Stop(); }

  // Begins to listen. `own_port`: this program itself already listens there. Empty: done; else what
  // is wrong and the remedy.
  std::string Start(std::unique_ptr<Outfit> outfit, std::uint64_t drain_ns, bool own_port);
  // New connections get `outfit`, in two steps: Prepare, which may fail and changes nothing, and
  // Commit, which cannot fail. Forget is for a Prepare that no Commit follows.
  std::string Prepare(std::unique_ptr<Outfit> outfit, std::uint64_t drain_ns);
  void Commit();
  void Forget();
  bool prepared() const { return next_ != nullptr; }
  // Stops accepting and lets connections finish; Stop must follow, which waits for them. Passive
  // level.
  void BeginStop() { path_.BeginStop(); }
  bool drained() const { return path_.Drained(); }
  // The waiting part of Stop. Changes nothing that a report has.
  void AwaitConnections() { path_.Stop(); }
  void Stop();
  // Frees outfits that are not used any more. Passive level.
  void Collect() { graveyard_.Collect(&past_); }

  const Id& id() const { return id_; }
  const std::string& bound() const { return bound_; }  // the real address
  ServeMode mode() const { return mode_; }
  // What new connections get, or got before the end; null before the start.
  const std::shared_ptr<const SiteFacts>& facts() const { return facts_; }
  // What new connections get; null before the start and after the end.
  std::shared_ptr<const Identity> identity() const {
    return current_ != nullptr ? current_->identity() : nullptr;
  }
  transport::TransportStatistics Statistics() const { return path_.Statistics(); }
  // Over all its outfits, of whom older connections may have some still.
  ServiceStatistics Services() const;
  // What the folder holds that new connections get their certificates from, or got them from at the
  // end, and what all its folders have done; none: there is no folder now.
  std::optional<serve::SharedCredentials::Counts> Certificates() const;

 private:
  transport::ServerOptions Options(const Outfit& outfit, std::uint64_t drain_ns) const;
  static transport::HandlerFactory Factory(std::shared_ptr<Outfit> outfit);

  const Id id_;
  serve::ConnectionLog& log_;
  const ULONG notify_mode_;
  transport::HandshakeTimesOfLoops* const handshake_times_;
  std::string bound_;
  ServeMode mode_ = ServeMode::kNone;
  std::shared_ptr<const SiteFacts> facts_;
  Graveyard graveyard_;
  std::shared_ptr<Outfit> current_;
  std::shared_ptr<Outfit> next_;  // prepared
  transport::ServerPath::Replacement replacement_;
  ServiceStatistics past_;                                        // of outfits that were freed
  std::optional<serve::SharedCredentials::Counts> certificates_;  // at the end
  transport::ServerPath path_;
};

}  // namespace ktlsim::command
