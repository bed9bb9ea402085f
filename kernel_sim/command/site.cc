#include "kernel_sim/command/site.h"

#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/command/acl_file.h"
#include "kernel_sim/command/listen_check.h"
#include "kernel_sim/serve/echo.h"
#include "kernel_sim/serve/file_service.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/unix_identity/real_impersonation.h"

namespace ktlsim::command {
namespace {

class EchoService final : public serve::Service {
 public:
  transport::ConnectionHandler* NewHandler(transport::Connection& /*connection*/) override {
    return serve::MakeEcho();
  }
};

class RespondService final : public serve::Service {
 public:
  explicit RespondService(const serve::HttpOptions& options) : options_(options) {}

  transport::ConnectionHandler* NewHandler(transport::Connection& connection) override {
    return serve::MakeHttpResponder(options_, connection);
  }

 private:
  const serve::HttpOptions options_;
};

std::unique_ptr<serve::Service> MakeFiles(const ListenerConfig& config,
                                          const serve::HttpOptions& http,
                                          serve::FileWatcher& watcher, std::string* error) {
  const std::string& root = config.root;
  Result<std::unique_ptr<serve::Service>> files = serve::MakeFileService(root, http, &watcher);
  if (files) return std::move(*files);
  *error = fmt::format("{}: {}: {}; name a folder that can be read", config.places.Of("root"), root,
                       files.status().ToString());
  return nullptr;
}

// Which site it is, for people.
std::string NameOf(const ListenerConfig& config) {
  return (config.listen.empty() ? std::string() : config.listen.front() + ", ") +
         (config.cert_file.empty() ? config.self_signed : config.cert_file);
}

ServerCredentialOptions OptionsOf(const ListenerConfig& config) {
  return {.versions = config.versions,
          .tickets = config.tickets,
          .cipher_suites = config.cipher_suites,
          .groups = config.groups,
          .sni = config.sni,
          .strict_sni = config.strict_sni,
          .client_auth = config.clients.auth,
          .client_ca_file = config.clients.ca_file,
          .serve_expired = config.serve_expired,
          .sessions_of = nullptr,
          .places = config.places};
}

std::shared_ptr<const Certificate> CertificateFor(const ListenerConfig& config,
                                                  const Identity* before, std::string* error) {
  std::optional<Certificate> certificate;
  if (!config.self_signed.empty()) {
    if (before != nullptr && before->self_signed == config.self_signed &&
        before->key_type == config.key_type) {
      return before->certificate;
    }
    certificate = CreateSelfSigned(
        config.self_signed, config.key_type == "rsa" ? KTLSIM_KEY_RSA_2048 : KTLSIM_KEY_ECDSA_P256,
        error);
  } else {
    certificate = LoadCertificate(config.cert_file, config.key_file, error);
    // The library's words begin with the file's name.
    const bool key = config.key_file != config.cert_file && error->starts_with(config.key_file);
    if (!certificate) *error = config.places.Of(key ? "key" : "cert") + ": " + *error;
  }
  if (!certificate) return nullptr;
  return std::make_shared<const Certificate>(std::move(*certificate));
}

// Settings that no certificate can be had with are an error now, not when clients come.
bool TrySettings(const ListenerConfig& config, std::string* error) {
  const std::optional<Certificate> trial =
      CreateSelfSigned("localhost", KTLSIM_KEY_ECDSA_P256, error);
  return trial && MakeServerCredential(*trial, OptionsOf(config), error).has_value();
}

std::unique_ptr<serve::CertificateFolder> OpenFolder(const ListenerConfig& config,
                                                     serve::CertificateWatcher& watcher,
                                                     std::string* error) {
  constexpr std::size_t kKeptMax = 1024;
  const ServerCredentialOptions wanted = OptionsOf(config);
  serve::CertificateFolderOptions options;
  options.path = config.folder.path;
  options.shared.strict = config.strict_sni;
  options.shared.retry_ns = config.folder.retry_ns;
  options.shared.kept_max = config.folder.kept.value_or(kKeptMax);
  if (config.folder.acquire == AcquireWhen::kStart) options.shared.kept_max = 0;
  if (options.shared.kept_max == 0) options.shared.kept_ns = 0;
  FillServerAuth(wanted, &options.auth, &options.parameters);
  options.complete = [wanted](const CredHandle& credential) {
    return CompleteServerCredential(credential, wanted);
  };
  options.watcher = &watcher;
  auto folder = serve::CertificateFolder::Open(std::move(options));
  if (folder) return std::move(*folder);
  *error = folder.status().ToString() + "; name a folder that can be read";
  return nullptr;
}

// Everything that is wrong, as far as it is to be known before clients come. Empty: nothing.
std::string AcquireFolder(const ListenerConfig& config, serve::CertificateFolder& folder,
                          CredentialFindings* findings) {
  const auto found = folder.LookThrough();
  if (!found) return found.status().ToString() + "; name a folder that can be read";
  if (found.value().certificates == 0) {
    return "there is no certificate in it; put NAME.crt and NAME.key there for each name, or "
           "default.crt and default.key";
  }
  for (const std::string& warning : found.value().warnings) {
    findings->warnings.push_back(config.folder.path + ": " + warning);
  }
  if (config.folder.acquire != AcquireWhen::kStart) return {};
  std::string first;
  std::size_t more = 0;
  for (const serve::CertificateFolder::Failure& failure : folder.AcquireAll()) {
    if (failure.status == SEC_E_CERT_EXPIRED) {
      findings->warnings.push_back(failure.text + "; it is left out");
    } else if (first.empty()) {
      first = failure.text;
    } else {
      ++more;
    }
  }
  return more == 0 ? first : fmt::format("{} (and {} more of the folder)", first, more);
}

std::shared_ptr<const Identity> FolderIdentityFor(const ListenerConfig& config,
                                                  const Identity* before,
                                                  serve::CertificateWatcher& watcher,
                                                  std::string* error,
                                                  CredentialFindings* findings) {
  if (!TrySettings(config, error)) return nullptr;
  auto identity = std::make_shared<Identity>();
  identity->folder = OpenFolder(config, watcher, error);
  if (identity->folder != nullptr) {
    if (before != nullptr && before->folder != nullptr) {
      identity->folder->TakeSessionsOf(*before->folder);
    }
    *error = AcquireFolder(config, *identity->folder, findings);
    if (error->empty()) return identity;
  }
  *error = fmt::format("{}: {}: {}", config.places.Of("cert-dir"), config.folder.path, *error);
  return nullptr;
}

std::shared_ptr<const Identity> IdentityFor(const ListenerConfig& config, const Identity* before,
                                            std::string* error, CredentialFindings* findings) {
  auto identity = std::make_shared<Identity>();
  identity->self_signed = config.self_signed;
  identity->key_type = config.key_type;
  identity->certificate = CertificateFor(config, before, error);
  if (identity->certificate == nullptr) return nullptr;
  ServerCredentialOptions options = OptionsOf(config);
  if (before != nullptr && before->certificate != nullptr) {
    options.sessions_of = &before->credential.handle();
  }
  auto credential = MakeServerCredential(*identity->certificate, options, error, findings);
  for (std::string& warning : findings->warnings) {
    warning = fmt::format("{}: {}", NameOf(config), warning);
  }
  if (!credential) {
    const char* const key = config.cert_file.empty() ? "self-signed" : "cert";
    if (findings->out_of_date) {
      *error = config.places.Of(key) + ": " + NameOf(config) + ": " + *error;
    }
    return nullptr;
  }
  identity->credential = std::move(*credential);
  return identity;
}

}  // namespace

// ---- Outfit

std::unique_ptr<Outfit> Outfit::Make(const ListenerConfig& config, const Identity* before,
                                     const OutfitShare& shared, std::string* error,
                                     CredentialFindings* findings) {
  std::unique_ptr<Outfit> outfit(new Outfit(config));
  outfit->identity_ = config.folder.path.empty()
                          ? IdentityFor(config, before, error, findings)
                          : FolderIdentityFor(config, before, shared.log, error, findings);
  if (outfit->identity_ == nullptr) return nullptr;
  outfit->facts_ = std::make_shared<const SiteFacts>(
      SiteFacts{.certificate = outfit->identity_->certificate != nullptr
                                   ? DescribeCertificate(outfit->identity_->certificate->get())
                                   : std::nullopt,
                .versions = config.versions,
                .cipher_suites = config.cipher_suites,
                .groups = config.groups,
                .alpn = config.alpn});
  const bool made = outfit->MakeGuard(shared, error) && outfit->MakeAccess(shared, error) &&
                    outfit->MakeService(shared, error);
  return made ? std::move(outfit) : nullptr;
}

bool Outfit::MakeGuard(const OutfitShare& shared, std::string* error) {
  if (!config_.digest.on()) return true;
  realm_ = DigestRealm::Make(config_, shared.store_wait_ms, error);
  if (realm_ == nullptr) return false;
  users_ = shared.realms.UsersOf(config_.digest.realm, realm_);
  // A listener without acl takes part: who guesses passwords does not choose the one that has it.
  serve::AccessShare* const access = shared.access != nullptr ? &shared.access->share() : nullptr;
  guard_ = std::make_unique<serve::DigestGuard>(
      serve::DigestGuardOptions{.credentials = users_.get(),
                                .paths = config_.digest.paths,
                                .unless_asked = !config_.clients.acl_file.empty(),
                                .contexts = &shared.contexts,
                                .watcher = &shared.log,
                                .trail = access != nullptr ? access->trail : nullptr,
                                .connections = access != nullptr ? &access->connections : nullptr});
  return true;
}

bool Outfit::MakeAccess(const OutfitShare& shared, std::string* error) {
  if (config_.clients.acl_file.empty()) return true;
  if (shared.access == nullptr || shared.directory == nullptr) {
    *error = config_.places.Of("acl") + ": takes effect with a restart: the server has no accounts";
    return false;
  }
  std::string wrong;
  policy_ = LoadAcl(config_.clients.acl_file, shared.directory->domain_sid(), &wrong);
  if (policy_ == nullptr) {
    *error = fmt::format("{}: {}", config_.places.Of("acl"), wrong);
    return false;
  }
  policies_ = shared.access->PoliciesOf(config_.clients.acl_file, policy_);
  access_ = std::make_unique<serve::AccessGuard>(
      serve::AccessGuardOptions{.share = &shared.access->share(),
                                .policies = policies_.get(),
                                .challenges = config_.digest.on()});
  return true;
}

bool Outfit::MakeService(const OutfitShare& shared, std::string* error) {
  serve::HttpOptions http = config_.http;
  http.guard = guard_.get();
  http.access = access_.get();
  // What the process began with counts, and not what the configuration says by now.
  if (unix_identity::InForce()) {
    *error = CheckFilesHaveAcl(config_);
    if (!error->empty()) return false;
  }
  switch (config_.mode) {
    case ServeMode::kRespond:
      service_ = std::make_unique<RespondService>(http);
      break;
    case ServeMode::kEcho:
      service_ = std::make_unique<EchoService>();
      break;
    case ServeMode::kFiles:
      service_ = MakeFiles(config_, http, shared.log, error);
      break;
    case ServeMode::kForward: {
      serve::ForwardOptions options = config_.forward;
      options.watcher = &shared.log;
      std::unique_ptr<serve::ForwardService> forward = serve::MakeForwardService(options);
      forward_ = forward.get();
      service_ = std::move(forward);
      break;
    }
    case ServeMode::kNone:
      break;
  }
  return service_ != nullptr;
}

void Outfit::Stop() {
  if (service_ != nullptr) service_->Stop();
  if (guard_ != nullptr) guard_->Stop();
}

Outfit::~Outfit() { Stop(); }

// ---- ServiceStatistics

ServiceStatistics& ServiceStatistics::operator+=(const ServiceStatistics& other) {
  forward += other.forward;
  digest += other.digest;
  access += other.access;
  certificates += other.certificates;
  return *this;
}

void ServiceStatistics::Add(const Outfit& outfit) {
  if (outfit.forward() != nullptr) forward += outfit.forward()->Statistics();
  if (outfit.guard() != nullptr) digest += outfit.guard()->Statistics();
  if (outfit.access() != nullptr) access += outfit.access()->Statistics();
  // An outfit without an identity was never finished, and not lent.
  serve::CertificateFolder* const folder = outfit.identity()->folder.get();
  if (folder != nullptr) certificates += folder->counts().events;
}

// ---- Graveyard

std::shared_ptr<Outfit> Graveyard::Lend(std::unique_ptr<Outfit> outfit) {
  // The place in the graveyard is allocated now: the thread that drops the last reference may not
  // be able to.
  auto grave = std::make_unique<Grave>();
  Outfit* const lent = outfit.get();
  lent_.push_back(lent);
  grave->outfit = std::move(outfit);
  Grave* const dug = grave.release();
  return {lent, [this, dug](Outfit*) {
            SpinLockHolder lock(lock_);
            dug->next = graves_;
            graves_ = dug;
          }};
}

void Graveyard::Collect(ServiceStatistics* statistics) {
  Grave* grave = nullptr;
  {
    SpinLockHolder lock(lock_);
    grave = std::exchange(graves_, nullptr);
  }
  while (grave != nullptr) {
    const std::unique_ptr<Grave> taken(grave);
    grave = taken->next;
    taken->outfit->Stop();
    statistics->Add(*taken->outfit);
    std::erase(lent_, taken->outfit.get());
  }
}

ServiceStatistics Graveyard::Statistics() const {
  ServiceStatistics statistics;
  for (const Outfit* const outfit : lent_) statistics.Add(*outfit);
  return statistics;
}

Graveyard::~Graveyard() {
  SpinLockHolder lock(lock_);
  KTLSIM_ASSERT(graves_ == nullptr);
}

// ---- Site

transport::ServerOptions Site::Options(const Outfit& outfit, std::uint64_t drain_ns) const {
  const ListenerConfig& config = outfit.config();
  transport::ServerOptions options;
  options.tls.credential = outfit.credential();
  options.tls.credential_source = outfit.identity()->folder.get();
  options.tls.alpn = config.alpn;
  options.tls.limits = config.limits;
  options.tls.record_sizing = config.record_sizing;
  options.address = io::Address::Parse(id_.address).value();
  options.max_connections = config.max_connections;
  options.max_handshakes_per_processor = config.max_handshakes;
  options.backlog = config.backlog;
  options.drain_ns = drain_ns;
  options.observer = &log_;
  options.notify_mode = notify_mode_;
  options.handshake_times = handshake_times_;
  return options;
}

transport::HandlerFactory Site::Factory(std::shared_ptr<Outfit> outfit) {
  return [outfit = std::move(outfit)](transport::Connection& connection) {
    return outfit->service().NewHandler(connection);
  };
}

std::string Site::Start(std::unique_ptr<Outfit> outfit, std::uint64_t drain_ns, bool own_port) {
  current_ = graveyard_.Lend(std::move(outfit));
  mode_ = current_->config().mode;
  facts_ = current_->facts();
  transport::ServerOptions options = Options(*current_, drain_ns);
  options.share_port = own_port || current_->config().reuse_port;
  const io::Address address = options.address;
  const Result<io::Address> bound = path_.Start(options, Factory(current_));
  if (!bound.ok()) {
    const std::string place = PlaceOf(current_->config(), DoorAt(current_->config(), address));
    current_.reset();
    Collect();
    return fmt::format("{}{}; {}", place, bound.status().ToString(),
                       ListenRemedy(address, bound.status()));
  }
  bound_ = bound.value().ToString();
  return {};
}

std::string Site::Prepare(std::unique_ptr<Outfit> outfit, std::uint64_t drain_ns) {
  next_ = graveyard_.Lend(std::move(outfit));
  auto replacement = path_.Prepare(Options(*next_, drain_ns), Factory(next_));
  if (replacement) {
    replacement_ = std::move(*replacement);
    return {};
  }
  const io::Address address = io::Address::Parse(id_.address).value();
  const std::string place = PlaceOf(next_->config(), DoorAt(next_->config(), address));
  Forget();
  return place + replacement.status().ToString();
}

void Site::Commit() {
  path_.Commit(replacement_);
  current_ = std::move(next_);
  mode_ = current_->config().mode;
  facts_ = current_->facts();
  Forget();
}

void Site::Forget() {
  next_.reset();
  replacement_ = {};
  Collect();
}

void Site::Stop() {
  path_.Stop();
  certificates_ = Certificates();
  current_.reset();
  Forget();
}

std::optional<serve::SharedCredentials::Counts> Site::Certificates() const {
  if (current_ == nullptr) return certificates_;
  serve::CertificateFolder* const folder = current_->identity()->folder.get();
  if (folder == nullptr) return std::nullopt;
  serve::SharedCredentials::Counts counts = folder->counts();
  counts.events = Services().certificates;
  return counts;
}

ServiceStatistics Site::Services() const {
  ServiceStatistics statistics = graveyard_.Statistics();
  statistics += past_;
  return statistics;
}

}  // namespace ktlsim::command
