#include "kernel_sim/sspi/packages/tls_package.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "kernel_sim/executive/executive.h"
#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/packages/tls_context.h"
#include "kernel_sim/sspi/packages/tls_credentials.h"
#include "kernel_sim/sspi/runtime.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"Microsoft Unified Security Protocol Provider",
                                                    "Schannel", "Default TLS SSP"};

std::uint64_t NextCredentialNumber() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1);
}

std::atomic<std::uint64_t> session_epoch{0};

}  // namespace

TlsPackage& TlsPackage::Instance() {
  static auto* const package = new TlsPackage();
  return *package;
}

std::span<const std::string_view> TlsPackage::Names() const { return kNames; }

SECURITY_STATUS TlsPackage::Acquire(const AcquireArguments& arguments,
                                    std::unique_ptr<PackageCredential>* credential) {
  if (arguments.auth_data == nullptr && arguments.direction == Direction::kInbound) {
    return SEC_E_NO_CREDENTIALS;
  }
  TlsCredentialRequest request;
  const SECURITY_STATUS status =
      ReadTlsCredentials(arguments.direction, arguments.auth_data, &request);
  if (status != SEC_E_OK) return status;
  return TlsCredential::Create(arguments.direction, request.flags, request.protocols,
                               std::move(request.options), credential);
}

SECURITY_STATUS TlsPackage::CreateContext(PackageCredential& credential,
                                          std::unique_ptr<PackageContext>* context) {
  *context = TlsContext::Create(credential.direction());
  return *context != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

TlsCredential::TlsCredential(Direction direction, ULONG flags, ULONG protocols)
    : direction_(direction),
      flags_(flags),
      protocols_(protocols),
      number_(NextCredentialNumber()) {}

std::string TlsCredential::resumption_key() const {
  return std::to_string(number_) + "/" + std::to_string(session_epoch.load()) + "/";
}

void TlsCredential::ForgetSessions() { session_epoch.fetch_add(1); }

SECURITY_STATUS TlsCredential::Create(Direction direction, ULONG flags, ULONG protocols,
                                      tls::EndpointOptions options,
                                      std::unique_ptr<PackageCredential>* credential) {
  std::unique_ptr<TlsCredential> result(new TlsCredential(direction, flags, protocols));
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
  executive::Executive* executive = Runtime::Instance().ExecutiveIfRunning();
  const std::size_t count = executive != nullptr ? executive->processors().size() : 1;
  auto endpoints = std::make_shared<Endpoints>();
  for (std::size_t i = 0; i < count; ++i) {
    Result<std::shared_ptr<tls::Endpoint>> endpoint = tls::Endpoint::Create(options);
    if (!endpoint.ok()) {
      SetLastErrorText(endpoint.status().ToString());
      return endpoint.status().category() == Category::kResource ? SEC_E_INSUFFICIENT_MEMORY
                                                                 : SEC_E_UNKNOWN_CREDENTIALS;
    }
    // Sessions and ticket keys that the first one made are every other one's, too.
    options.sessions = (*endpoint)->options().sessions;
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
  const executive::Processor* here = executive::Processor::Current();
  const std::size_t index = here != nullptr ? here->index() : 0;
  SpinLockHolder lock(mutex_);
  return (*endpoints_)[index % endpoints_->size()];
}

std::int64_t TlsCredential::expiry() const { return expiry_; }

}  // namespace ktlsim::sspi
