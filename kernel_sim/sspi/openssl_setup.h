// OpenSSL's own set-up, which happens once in a process.
#pragma once

namespace ktlsim::sspi {

// False: OpenSSL could not be set up, for want of memory; the reason is noted. It tries once in a
// process; to use it all the same would be a crash. Passive level.
bool OpenSslWorks();

}  // namespace ktlsim::sspi
