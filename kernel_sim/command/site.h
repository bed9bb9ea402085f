// Site: one listening address at work: its path, its credential, and its service.
//
// A site can be given a new configuration while it runs. What was made for the old one lives until
// the last of its connections has ended, and is then freed by Collect, at passive level.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/serve/connection_log.h"
#include "kernel_sim/serve/service.h"
#include "kernel_sim/transport/server_path.h"

namespace ktlsim::command {

// What statistics say of a listener besides its figures. Nobody changes it once it is made.
struct SiteFacts {
  std::optional<CertificateFacts> certificate;  // the default one
  TlsVersions versions = TlsVersions::k12And13;
  std::string cipher_suites;  // empty: the library's default
  std::string groups;         // the same
  std::vector<std::string> alpn;
};

// What an address shows of itself. Nobody changes it once it is made.
struct Identity {
  std::string self_signed;  // the name in a certificate of our own; empty: it is from files
  std::string key_type;
  std::shared_ptr<const Certificate> certificate;  // one of our own is kept over reloads
  Credential credential;
};

// A listener's configuration with everything it needs, made and checked.
class Outfit {
 public:
  // Reads the certificates and opens the folder. Null: `*error` says what is wrong and the remedy.
  // Passive level; the library is started. `before`, if any, is what it replaces: its TLS sessions
  // go on as far as nothing has changed that they rest on, and a self-signed certificate is kept.
  // `findings`: what a healthy one is to be warned of, or that only a date is wrong. Any thread.
  static std::unique_ptr<Outfit> Make(const ListenerConfig& config, const Identity* before,
                                      serve::ConnectionLog& log, std::string* error,
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

 private:
  explicit Outfit(ListenerConfig config) : config_(std::move(config)) {}

  const ListenerConfig config_;
  std::shared_ptr<const Identity> identity_;
  std::shared_ptr<const SiteFacts> facts_;
  std::unique_ptr<serve::Service> service_;
  const serve::ForwardService* forward_ = nullptr;
};

// Outfits that no connection uses any more, on their way from a loop to passive level.
class Graveyard {
 public:
  Graveyard() = default;
  // Empty.
  ~Graveyard();
  Graveyard(const Graveyard&) = delete;
  Graveyard& operator=(const Graveyard&) = delete;

  // What `outfit` becomes when the last reference to it is dropped, on whatever thread. The
  // graveyard must be there until then.
  std::shared_ptr<Outfit> Lend(std::unique_ptr<Outfit> outfit);
  // Frees what has come. Passive level. The forwarding statistics of what was freed are added.
  void Collect(serve::ForwardStatistics* forward);

 private:
  struct Grave {
    std::unique_ptr<Outfit> outfit;
    Grave* next = nullptr;
  };

  SpinLock lock_;
  Grave* graves_ KTLSIM_GUARDED_BY(lock_) = nullptr;
};

class Site {
 public:
  // Which of a configuration's it is: an address, and how often that was there before, which ports
  // of the system's choice may be.
  struct Id {
    std::string address;  // as io::Address::Parse reads it
    std::size_t occurrence = 0;
    bool operator==(const Id&) const = default;
  };

  // `notify_mode`: as in transport::ServerOptions.
  Site(Id id, serve::ConnectionLog& log, ULONG notify_mode)
      : id_(std::move(id)), log_(log), notify_mode_(notify_mode) {}
  // Stops.
  ~Site() { Stop(); }

  // Begins to listen. `own_port`: it is this program that listens there already. Empty: done; else
  // what is wrong and the remedy.
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
  void Stop();
  // Frees outfits that are not used any more. Passive level.
  void Collect() { graveyard_.Collect(&past_forward_); }

  const Id& id() const { return id_; }
  const std::string& bound() const { return bound_; }  // as it is
  ServeMode mode() const { return mode_; }
  // What new connections get, or got before the end; null before the start.
  const std::shared_ptr<const SiteFacts>& facts() const { return facts_; }
  // What new connections get; null before the start and after the end.
  std::shared_ptr<const Identity> identity() const {
    return current_ != nullptr ? current_->identity() : nullptr;
  }
  transport::TransportStatistics Statistics() const { return path_.Statistics(); }
  serve::ForwardStatistics ForwardStatistics() const;

 private:
  transport::ServerOptions Options(const Outfit& outfit, std::uint64_t drain_ns) const;
  static transport::HandlerFactory Factory(std::shared_ptr<Outfit> outfit);

  const Id id_;
  serve::ConnectionLog& log_;
  const ULONG notify_mode_;
  std::string bound_;
  ServeMode mode_ = ServeMode::kNone;
  std::shared_ptr<const SiteFacts> facts_;
  Graveyard graveyard_;
  std::shared_ptr<Outfit> current_;
  std::shared_ptr<Outfit> next_;  // prepared
  transport::ServerPath::Replacement replacement_;
  serve::ForwardStatistics past_forward_;
  transport::ServerPath path_;
};

}  // namespace ktlsim::command
