#include "tls/system_trust.h"

#include <sys/stat.h>

#include <cstdlib>
#include <string>
#include <utility>

#include <openssl/err.h>

#include "kernel_sim/base/mutex.h"

namespace ktlsim::tls {
namespace {

// What tells that the certificates may be others than those read before.
struct Origin {
  std::string file;
  std::string directory;
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = -1;
  time_t seconds = 0;
  long nanoseconds = 0;

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
  if (cache.trust != nullptr && cache.origin == origin) return cache.trust;
  SystemTrust trust(X509_STORE_new(), &X509_STORE_free);
  if (trust == nullptr) return ResourceError("no memory for trusted certificates");
  if (X509_STORE_set_default_paths(trust.get()) != 1) {
    ERR_clear_error();
    return Status{Category::kCrypto, 0, "the certificates that this system trusts cannot be read"};
  }
  ERR_clear_error();
  cache.origin = std::move(origin);
  cache.trust = trust;
  return trust;
}

}  // namespace ktlsim::tls
