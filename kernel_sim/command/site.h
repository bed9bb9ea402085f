// Site: one listening address at work: its path, its credential, and the service behind it.
//
// A site can be given a new configuration while it runs. What was made for the old one lives until
// the last of its connections has ended, and is then freed by Collect, at passive level.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/serve/connection_log.h"
#include "kernel_sim/serve/service.h"
#include "kernel_sim/transport/server_path.h"

namespace ktlsim::command {

// A listener's configuration with everything it needs, made and checked.
class Outfit {
 public:
  // Reads the certificates and opens the folder. Null: `*error` says what is wrong and the remedy.
  // Passive level; the library is started. `before`, if any, is what it replaces: its TLS sessions
  // go on as far as nothing has changed that they rest on, and a self-signed certificate is kept.
  static std::unique_ptr<Outfit> Make(const ListenerConfig& config, const Outfit* before,
                                      serve::ConnectionLog& log, std::string* error);
  ~Outfit();
  Outfit(const Outfit&) = delete;
  Outfit& operator=(const Outfit&) = delete;

  const ListenerConfig& config() const { return config_; }
  serve::Service& service() { return *service_; }
  const CredHandle& credential() const { return credential_.handle(); }
  // Null: it forwards nothing.
  const serve::ForwardService* forward() const { return forward_; }

 private:
  explicit Outfit(ListenerConfig config) : config_(std::move(config)) {}
  bool MakeCredential(const Outfit* before, std::string* error);

  const ListenerConfig config_;
  std::shared_ptr<const Certificate> self_signed_;  // shared with what this has replaced
  Credential credential_;
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
  // `address` is one of the configuration's.
  Site(std::string address, serve::ConnectionLog& log) : address_(std::move(address)), log_(log) {}
  // Stopped.
  ~Site() = default;

  // Begins to listen. Empty: done; else what is wrong and the remedy.
  std::string Start(std::unique_ptr<Outfit> outfit, std::uint64_t drain_ns);
  // New connections get `outfit`.
  std::string Replace(std::unique_ptr<Outfit> outfit, std::uint64_t drain_ns);
  // Stops accepting and lets connections finish; Stop must follow, which waits for them. Passive
  // level.
  void BeginStop() { path_.BeginStop(); }
  bool drained() const { return path_.Drained(); }
  void Stop();
  // Frees outfits that are not used any more. Passive level.
  void Collect() { graveyard_.Collect(&past_forward_); }

  const std::string& address() const { return address_; }  // as configured
  const std::string& bound() const { return bound_; }      // as it is
  ServeMode mode() const { return mode_; }
  // What new connections get; null before the start and after the end.
  const Outfit* current() const { return current_.get(); }
  transport::TransportStatistics Statistics() const { return path_.Statistics(); }
  serve::ForwardStatistics ForwardStatistics() const;

 private:
  transport::ServerOptions Options(const Outfit& outfit, std::uint64_t drain_ns) const;
  static transport::HandlerFactory Factory(std::shared_ptr<Outfit> outfit);

  const std::string address_;
  serve::ConnectionLog& log_;
  std::string bound_;
  ServeMode mode_ = ServeMode::kNone;
  Graveyard graveyard_;
  std::shared_ptr<Outfit> current_;
  serve::ForwardStatistics past_forward_;
  transport::ServerPath path_;
};

}  // namespace ktlsim::command
