#include "kernel_sim/command/digest_realm.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>

#include <fmt/format.h>

#include "kernel_sim/base/file.h"
#include "kernel_sim/digest/account_file.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::command {
namespace {

// Nothing for what is no file of users: the library says so.
DigestRealm::Marks MarksOf(const std::string& path) {
  DigestRealm::Marks marks;
  digest::AccountFile file;
  digest::AccountFault fault;
  const Result<FileText> read = ReadFile(path.c_str(), digest::kAccountFileBytesMax);
  if (!read.ok() || !file.Parse(read->text(), &fault)) return marks;
  digest::Hasher hasher(digest::HashId::kSha256);
  file.ForEach([&](const digest::Account& account) {
    digest::HashValue mark;
    if (hasher.Hash({account.user, ":", account.realm, ":", account.hash.raw()}, &mark)) {
      marks.emplace_back(mark.raw());
    }
  });
  std::ranges::sort(marks);
  return marks;
}

}  // namespace

std::shared_ptr<const DigestRealm> DigestRealm::Make(const ListenerConfig& config,
                                                     std::uint32_t store_wait_ms,
                                                     std::string* error) {
  std::shared_ptr<DigestRealm> realm(new DigestRealm);
  realm->marks_ = MarksOf(config.digest.users_file);
  char package[] = WDIGEST_SP_NAME_A;
  SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, nullptr, nullptr,
                                nullptr, &realm->credential_, nullptr);
  if (status == SEC_E_OK) {
    const DigestConfig& digest = config.digest;
    KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
    settings.pszRealm = digest.realm.c_str();
    settings.pszUsersFile = digest.users_file.c_str();
    settings.cContextStoreWaitMs = store_wait_ms;
    if (digest.sha256) settings.fFlags |= KTLSIM_DIGEST_SHA256;
    status = SetCredentialsAttributesA(&realm->credential_, KTLSIM_ATTR_DIGEST_SERVER, &settings,
                                       sizeof(settings));
  }
  if (status == SEC_E_OK) return realm;
  *error = fmt::format("{}: {}; `ktlsim users check FILE` looks at it",
                       config.places.Of("digest-users"), KtlsimLastErrorText());
  return nullptr;
}

bool HasLostLine(const DigestRealm::Marks& before, const DigestRealm::Marks& after) {
  return !std::ranges::includes(after, before);
}

bool RealmUsers::Use(std::shared_ptr<const DigestRealm> realm) {
  {
    const SpinLockHolder lock(lock_);
    realm_.swap(realm);
  }
  // `realm` is the old one now, and is freed here, at passive level.
  const SpinLockHolder lock(lock_);
  return HasLostLine(realm->marks(), realm_->marks());
}

CredHandle RealmUsers::Current() {
  const SpinLockHolder lock(lock_);
  return realm_->credential();
}

std::shared_ptr<RealmUsers> Realms::UsersOf(const std::string& name,
                                            const std::shared_ptr<const DigestRealm>& realm) {
  const MutexLock lock(mutex_);
  std::weak_ptr<RealmUsers>& known = users_[name];
  std::shared_ptr<RealmUsers> users = known.lock();
  if (users == nullptr) {
    users = std::make_shared<RealmUsers>(realm);
    known = users;
  }
  return users;
}

DigestRealm::~DigestRealm() {
  if (SecIsValidHandle(&credential_)) static_cast<void>(FreeCredentialsHandle(&credential_));
}

}  // namespace ktlsim::command
