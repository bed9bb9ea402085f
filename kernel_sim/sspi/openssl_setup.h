// OpenSSL's own set-up, which happens once in a process.
#pragma once

namespace ktlsim::sspi {

// False: OpenSSL could not be set up, because memory ran out; the reason is noted. OpenSSL tries
// that once in a process, and using it afterwards would crash. Passive level.
bool OpenSslWorks();

}  // namespace ktlsim::sspi
