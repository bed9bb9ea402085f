#include "tls/crypto_failure.h"

#include <sys/random.h>

#include <cerrno>

#include <openssl/err.h>
#include <openssl/proverr.h>

namespace ktlsim::tls {
namespace {

constexpr const char* kNoRandomNumbers = "get random numbers from the system (getrandom)";

// OpenSSL does not report the errno value. Asking the system again does, unless the failure has
// passed.
Status RandomNumbersFailure() {
  unsigned char byte = 0;
  if (getrandom(&byte, 1, GRND_NONBLOCK) < 0) return IoError(errno, kNoRandomNumbers);
  return {Category::kCrypto, 0, kNoRandomNumbers};
}

}  // namespace

// The one place that knows OpenSSL's name for it.
bool TellsOfMemory(unsigned long error) { return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE; }
bool TellsOfRandomNumbers(unsigned long error) {
  const int library = ERR_GET_LIB(error);
  return library == ERR_LIB_RAND ||
         (library == ERR_LIB_PROV && ERR_GET_REASON(error) == PROV_R_ERROR_RETRIEVING_ENTROPY);
}

bool DrainTellsOfMemory() {
  bool memory = false;
  while (const unsigned long error = ERR_get_error()) memory = memory || TellsOfMemory(error);
  return memory;
}

Status CryptoFailure(const char* what) {
  bool memory = false;
  bool random_numbers = false;
  while (const unsigned long error = ERR_get_error()) {
    memory = memory || TellsOfMemory(error);
    random_numbers = random_numbers || TellsOfRandomNumbers(error);
  }
  if (memory) return ResourceError("out of memory");
  return random_numbers ? RandomNumbersFailure() : Status(Category::kCrypto, 0, what);
}

}  // namespace ktlsim::tls
