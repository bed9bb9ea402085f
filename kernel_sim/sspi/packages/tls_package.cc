#include "kernel_sim/sspi/packages/tls_package.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/openssl_setup.h"
#include "kernel_sim/sspi/packages/tls_context.h"
#include "kernel_sim/sspi/packages/tls_credentials.h"
#include "kernel_sim/sspi/packages/tls_status.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"Microsoft Unified Security Protocol Provider",
                                                    "Schannel", "Default TLS SSP"};

// The values that Windows returns: conformance tests of other implementations recorded them.
constexpr ULONG kCapabilities = SECPKG_FLAG_INTEGRITY | SECPKG_FLAG_PRIVACY |
                                SECPKG_FLAG_CONNECTION | SECPKG_FLAG_MULTI_REQUIRED |
                                SECPKG_FLAG_EXTENDED_ERROR | SECPKG_FLAG_IMPERSONATION |
                                SECPKG_FLAG_ACCEPT_WIN32_NAME | SECPKG_FLAG_STREAM |
                                SECPKG_FLAG_MUTUAL_AUTH | SECPKG_FLAG_APPCONTAINER_PASSTHROUGH;
static_assert(kCapabilities == 0x004107B3);

constexpr PackageInfo InfoOf(std::string_view name) {
  return {name, "Schannel Security Package", kCapabilities, UNISP_RPC_ID, 24576};
}
constexpr std::array kInfos = {InfoOf(kNames[0]), InfoOf(kNames[1])};

std::uint64_t NextCredentialNumber() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1);
}

// The names of sessions contain the epoch of their target, so forgotten sessions are not found.
class SessionEpochs {
 public:
  void ForgetAll() {
    MutexLock lock(mutex_);
    ++all_;
    of_target_.clear();
    some_.store(false, std::memory_order_release);
  }
  void Forget(std::string_view target) {
    MutexLock lock(mutex_);
    // No program has so many targets. With more, all sessions are forgotten, so never too few.
    if (of_target_.size() == kTargetsMax) {
      ++all_;
      of_target_.clear();
    }
    of_target_[Key(target)] = ++newest_;
    some_.store(true, std::memory_order_release);
  }
  std::string Name(std::string_view target) {
    if (!some_.load(std::memory_order_acquire)) return std::to_string(all_.load()) + ".0";
    MutexLock lock(mutex_);
    const auto found = of_target_.find(Key(target));
    const std::uint64_t own = found != of_target_.end() ? found->second : 0;
    return std::to_string(all_.load()) + "." + std::to_string(own);
  }

 private:
  static constexpr std::size_t kTargetsMax = 65536;
  // Host names are compared without regard to case.
  static std::string Key(std::string_view target) {
    std::string key(target);
    for (char& c : key) c = Lower(c);
    return key;
  }

  std::atomic<std::uint64_t> all_{0};
  std::atomic<bool> some_{false};  // release after `of_target_`, acquire without the lock
  Mutex mutex_;
  std::uint64_t newest_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, std::uint64_t> of_target_ KTLSIM_GUARDED_BY(mutex_);
};

SessionEpochs& Epochs() {
  static auto* const epochs = new SessionEpochs();
  return *epochs;
}

}  // namespace

TlsPackage& TlsPackage::Instance() {
  static NeverDestroyed<TlsPackage> package;
  return package.get();
}

std::span<const std::string_view> TlsPackage::Names() const { return kNames; }

std::span<const PackageInfo> TlsPackage::Infos() const { return kInfos; }

CallResult TlsPackage::Acquire(const AcquireArguments& arguments, PackageCall* /*call*/,
                               std::unique_ptr<PackageCredential>* credential) {
  const ForkGate::Scope inside;
  if (arguments.auth_data == nullptr && arguments.direction == Direction::kInbound) {
    return CallResult::Done(SEC_E_NO_CREDENTIALS);
  }
  if (!OpenSslWorks()) return CallResult::Done(SEC_E_INSUFFICIENT_MEMORY);
  TlsCredentialRequest request;
  const SECURITY_STATUS status =
      ReadTlsCredentials(host(), arguments.direction, arguments.auth_data, &request);
  if (status != SEC_E_OK) return CallResult::Done(status);
  const Shared shared = Stores();
  if (arguments.direction == Direction::kInbound && shared.tickets != nullptr) {
    request.options.ticket_keys = shared.tickets->keys();
    request.options.sessions = shared.sessions;
  }
  return CallResult::Done(TlsCredential::Create(host(), arguments.direction, request.flags,
                                                request.protocols, std::move(request.options),
                                                credential));
}

SECURITY_STATUS TlsPackage::CreateContext(PackageCredential& credential,
                                          std::unique_ptr<PackageContext>* context) {
  *context = TlsContext::Create(host(), credential.direction());
  return *context != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

void TlsPackage::ForgetSessions(std::string_view target_name) {
  const ForkGate::Scope inside;
  if (target_name.empty()) {
    Epochs().ForgetAll();
  } else {
    Epochs().Forget(target_name);
  }
}

// ---- The store

bool TlsPackage::UseStore(std::shared_ptr<context_store::ContextStore> store,
                          const TlsStoreOptions& options) {
  Shared shared;
  if (store != nullptr) {
    shared.tickets = TlsTicketStore::Create(host(), store_counters_, store, options.ticket_period_s,
                                            options.tickets_refreshed);
    if (shared.tickets == nullptr) return false;
    try {
      shared.sessions =
          std::make_shared<TlsSessionStore>(store_counters_, std::move(store), options.wait_ms);
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  {
    const SpinLockHolder lock(lock_);
    std::swap(shared_, shared);
  }
  // The ones before.
  if (shared.tickets != nullptr) shared.tickets->Close();
  if (shared.sessions != nullptr) shared.sessions->Close();
  RefreshTicketKeys();
  return true;
}

TlsPackage::Shared TlsPackage::Stores() {
  const SpinLockHolder lock(lock_);
  return shared_;
}

void TlsPackage::RefreshTicketKeys() {
  const Shared shared = Stores();
  if (shared.tickets != nullptr) shared.tickets->Refresh();
}

TlsStoreStatistics TlsPackage::StoreStatistics() {
  const Shared shared = Stores();
  TlsStoreStatistics now = store_counters_.Read();
  if (shared.tickets != nullptr) now.handshakes_without_key = shared.tickets->keys()->without_key();
  return now;
}

// ---- Credentials

TlsCredential::TlsCredential(PackageHost& host, Direction direction, ULONG flags, ULONG protocols)
    : host_(host),
      direction_(direction),
      flags_(flags),
      protocols_(protocols),
      number_(NextCredentialNumber()) {}

TlsCredential::~TlsCredential() {
  const ForkGate::Scope inside;
  endpoints_.reset();
}

std::string TlsCredential::resumption_key(std::string_view target_name) const {
  return std::to_string(number_) + "/" + Epochs().Name(target_name) + "/";
}

SECURITY_STATUS TlsCredential::Create(PackageHost& host, Direction direction, ULONG flags,
                                      ULONG protocols, tls::EndpointOptions options,
                                      std::unique_ptr<PackageCredential>* credential) {
  std::unique_ptr<TlsCredential> result(new TlsCredential(host, direction, flags, protocols));
  result->acquired_certificates_ = options.certificates.size();
  for (const tls::Certificate::Ptr& certificate : options.certificates) {
    result->expiry_ = std::min(result->expiry_, ToTimeStamp(certificate->not_after()));
  }
  const SECURITY_STATUS status = result->Rebuild(std::move(options));
  if (status == SEC_E_OK) *credential = std::move(result);
  return status;
}

// Endpoints are built here, off the connection path. Contexts hold the endpoint they began with.
SECURITY_STATUS TlsCredential::Rebuild(tls::EndpointOptions options) {
  const std::size_t count = host_.processor_count();
  auto endpoints = std::make_shared<Endpoints>();
  for (std::size_t i = 0; i < count; ++i) {
    std::string message;
    Result<std::shared_ptr<tls::Endpoint>> endpoint = tls::Endpoint::Create(options, &message);
    if (!endpoint.ok()) {
      host_.NoteReason(message.empty() ? endpoint.status().ToString() : message);
      return MemoryOr(endpoint.status(), SEC_E_UNKNOWN_CREDENTIALS);
    }
    // The other endpoints share the sessions and ticket keys of the first one.
    options.sessions = (*endpoint)->options().sessions;
    options.client_sessions = (*endpoint)->options().client_sessions;
    options.ticket_keys = (*endpoint)->options().ticket_keys;
    endpoints->push_back(std::move(*endpoint));
  }
  std::shared_ptr<const Endpoints> replaced = std::move(endpoints);
  {
    SpinLockHolder lock(mutex_);
    endpoints_.swap(replaced);
  }
  return SEC_E_OK;
}

std::shared_ptr<tls::Endpoint> TlsCredential::EndpointHere() {
  const std::size_t index = host_.processor_index();
  SpinLockHolder lock(mutex_);
  return (*endpoints_)[index % endpoints_->size()];
}

std::int64_t TlsCredential::expiry() const { return expiry_; }

}  // namespace ktlsim::sspi
