#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

SECURITY_STATUS PackageCredential::SetAttribute(ULONG, const void*, ULONG) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageCredential::Name(std::string*) { return SEC_E_UNSUPPORTED_FUNCTION; }
SECURITY_STATUS PackageCredential::QueryAttribute(ULONG, void*) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
bool PackageContext::Client(security::ClientFacts*) const { return false; }
SECURITY_STATUS PackageContext::Encrypt(ULONG, SecBufferDesc&, ULONG) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageContext::Decrypt(SecBufferDesc&, ULONG, ULONG*) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageContext::MakeSignature(ULONG, SecBufferDesc&, ULONG) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
SECURITY_STATUS PackageContext::Query(const AttributeQuery&) { return SEC_E_UNSUPPORTED_FUNCTION; }
bool PackageContext::IsKnownEarly(ULONG) const { return false; }
SECURITY_STATUS PackageContext::ApplyControlToken(SecBufferDesc&) {
  return SEC_E_UNSUPPORTED_FUNCTION;
}
CallResult PackageContext::CompleteAuthToken(PackageCall&, SecBufferDesc&) {
  return CallResult::Done(SEC_E_UNSUPPORTED_FUNCTION);
}
CallResult PackageContext::VerifySignature(PackageCall&, SecBufferDesc&, ULONG, ULONG*) {
  return CallResult::Done(SEC_E_UNSUPPORTED_FUNCTION);
}
CallResult PackageContext::End(PackageCall&, bool) { return CallResult::Done(SEC_E_OK); }

}  // namespace ktlsim::sspi
