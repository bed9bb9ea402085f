#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

SECURITY_STATUS PackageCredential::SetAttribute(ULONG, const void*, ULONG) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageCredential::Name(std::string*) { return SEC_E_UNSUPPORTED_FUNCTION; }
SECURITY_STATUS PackageCredential::QueryAttribute(ULONG, void*) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageContext::Encrypt(ULONG, SecBufferDesc&, ULONG) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageContext::Decrypt(SecBufferDesc&, ULONG, ULONG*) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageContext::Query(ULONG, void*) { return SEC_E_UNSUPPORTED_FUNCTION; }
SECURITY_STATUS PackageContext::ApplyControlToken(SecBufferDesc&) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageContext::CompleteAuthToken(SecBufferDesc&) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}

}  // namespace ktlsim::sspi
