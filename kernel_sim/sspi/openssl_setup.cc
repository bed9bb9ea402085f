#include "kernel_sim/sspi/openssl_setup.h"

#include <openssl/ssl.h>

#include "kernel_sim/sspi/last_error.h"

namespace ktlsim::sspi {

bool OpenSslWorks() {
  if (OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr) == 1) return true;
  NoteReason("OpenSSL ran out of memory when it was first used in this process");
  return false;
}

}  // namespace ktlsim::sspi
