#include "kernel_sim/sspi/packages/digest_package.h"

#include <array>
#include <new>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/context_store/memory_store.h"
#include "kernel_sim/sspi/openssl_setup.h"
#include "kernel_sim/sspi/packages/digest_context.h"
#include "kernel_sim/sspi/packages/digest_credentials.h"

namespace ktlsim::sspi {
namespace {

constexpr std::array<std::string_view, 1> kDigestNames = {kDigestInfo.name};
constexpr std::array kDigestInfos = {kDigestInfo};
static_assert(kDigestInfo.capabilities == 0x00800304);

}  // namespace

DigestPackage& DigestPackage::Instance() {
  static NeverDestroyed<DigestPackage> package;
  return package.get();
}

std::span<const std::string_view> DigestPackage::Names() const { return kDigestNames; }

std::span<const PackageInfo> DigestPackage::Infos() const { return kDigestInfos; }

CallResult DigestPackage::Acquire(const AcquireArguments& arguments, PackageCall* /*call*/,
                                  std::unique_ptr<PackageCredential>* credential) {
  if (!OpenSslWorks()) return CallResult::Done(SEC_E_INSUFFICIENT_MEMORY);
  auto made = std::make_unique<DigestCredential>(host(), arguments.direction);
  // A server's credential has no password; what comes with it is looked at all the same.
  const SECURITY_STATUS status = ReadDigestIdentity(host(), arguments.auth_data, &made->identity());
  if (arguments.auth_data == nullptr && arguments.direction == Direction::kOutbound) {
    ReadDefaultIdentity(&made->identity());
  }
  if (status == SEC_E_OK) *credential = std::move(made);
  return CallResult::Done(status);
}

SECURITY_STATUS DigestPackage::CreateContext(PackageCredential& credential,
                                             std::unique_ptr<PackageContext>* context) {
  context->reset(new (std::nothrow) DigestContext(*this, credential.direction()));
  return *context != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

bool DigestPackage::UseStore(std::shared_ptr<context_store::ContextStore> store,
                             const std::shared_ptr<const context_store::NodeKeys>& keys) {
  std::shared_ptr<DigestStore> replaced;
  if (store != nullptr) {
    replaced = DigestStore::Create(host().clock(), std::move(store), keys);
    if (replaced == nullptr) return false;
  }
  {
    const MutexLock lock(lock_);
    shared_.swap(replaced);
  }
  if (replaced != nullptr) replaced->Close();
  return true;
}

std::shared_ptr<DigestStore> DigestPackage::Store() {
  {
    const MutexLock lock(lock_);
    if (shared_ != nullptr) return shared_;
  }
  return LocalStore();
}

std::shared_ptr<DigestStore> DigestPackage::LocalStore() {
  {
    const MutexLock lock(lock_);
    if (local_ != nullptr) return local_;
  }
  const ForkGate::Scope inside;
  Result<std::unique_ptr<context_store::MemoryStore>> memory =
      context_store::MemoryStore::Create(host().clock(), {});
  if (!memory.ok()) return nullptr;
  std::shared_ptr<DigestStore> made =
      DigestStore::Create(host().clock(), std::move(*memory), nullptr);
  const MutexLock lock(lock_);
  if (local_ == nullptr) local_ = std::move(made);
  return local_;
}

void DigestPackage::End(const DigestIndex::Ended& ended) {
  for (std::size_t i = 0; i < ended.count; ++i) host().EndContext(ended.handles[i]);
}

}  // namespace ktlsim::sspi
