#include "tls/identity/system_trust.h"

#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "kernel_sim/base/mutex.h"
#include "tls/crypto_failure.h"

namespace ktlsim::tls {
namespace {

// Shows whether the certificates may differ from those read before.
struct Origin {
  std::string file;
  std::string directory;
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = -1;
  time_t seconds = 0;
  long nanoseconds = 0;

  bool found() const { return size >= 0; }
  bool operator==(const Origin&) const = default;
};

std::string PathOf(const char* variable, const char* otherwise) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
  const char* const path = std::getenv(variable);
  return path != nullptr ? path : otherwise;
}

Origin CurrentOrigin() {
  Origin origin;
  origin.file = PathOf(X509_get_default_cert_file_env(), X509_get_default_cert_file());
  origin.directory = PathOf(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
  struct stat facts{};
  if (stat(origin.file.c_str(), &facts) == 0) {
    origin.device = facts.st_dev;
    origin.inode = facts.st_ino;
    origin.size = facts.st_size;
    origin.seconds = facts.st_mtim.tv_sec;
    origin.nanoseconds = facts.st_mtim.tv_nsec;
  }
  return origin;
}

// Not X509_STORE_set_default_paths, which does not report that memory ran out in the middle of a
// file.
Status Load(const Origin& origin, SystemTrust* trust) {
  constexpr const char* kUnreadable = "the certificates that this system trusts cannot be read";
  ERR_clear_error();
  trust->store.reset(X509_STORE_new(), &X509_STORE_free);
  if (trust->store == nullptr) return ResourceError("no memory for trusted certificates");
  if (origin.found() && X509_STORE_load_file(trust->store.get(), origin.file.c_str()) != 1) {
    const Status status = CryptoFailure(kUnreadable);
    // Then no certificate is trusted, as if the file were missing.
    if (status.category() == Category::kResource) return status;
  }
  if (X509_STORE_load_path(trust->store.get(), origin.directory.c_str()) != 1) {
    return CryptoFailure(kUnreadable);
  }
  std::string facts = origin.file + '\0' + origin.directory;
  for (const std::int64_t number :
       {static_cast<std::int64_t>(origin.device), static_cast<std::int64_t>(origin.inode),
        std::int64_t{origin.size}, std::int64_t{origin.seconds},
        std::int64_t{origin.nanoseconds}}) {
    facts += '\0' + std::to_string(number);
  }
  if (EVP_Digest(facts.data(), facts.size(), trust->identity.data(), nullptr, EVP_sha256(),
                 nullptr) != 1) {
    return CryptoFailure(kUnreadable);
  }
  return {};
}

struct Cache {
  Mutex mutex;
  Origin origin KTLSIM_GUARDED_BY(mutex);
  SystemTrust trust KTLSIM_GUARDED_BY(mutex);
};

Cache& TheCache() {
  static Cache cache;
  return cache;
}

}  // namespace

Result<SystemTrust> LoadSystemTrust() {
  Origin origin = CurrentOrigin();
  Cache& cache = TheCache();
  const ScopedLock lock(cache.mutex);
  if (cache.trust.store != nullptr && cache.origin == origin) return cache.trust;
  SystemTrust trust;
  const Status status = Load(origin, &trust);
  if (!status.ok()) return status;
  cache.origin = std::move(origin);
  cache.trust = trust;
  return trust;
}

}  // namespace ktlsim::tls
