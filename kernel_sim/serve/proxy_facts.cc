#include "kernel_sim/serve/proxy_facts.h"

#include <schannel.h>
#include <sspi.h>

#include <new>
#include <utility>

namespace ktlsim::serve {
namespace {

constexpr std::uint16_t kTls13 = 0x0304;

void TellClientCertificate(CtxtHandle context, ProxyFacts& facts) {
  SecPkgContext_CertificateValidationResult result{};
  const SECURITY_STATUS status =
      QueryContextAttributesA(&context, SECPKG_ATTR_CERT_CHECK_RESULT, &result);
  // Not judged: shown all the same. None shown: SEC_E_NO_CREDENTIALS.
  facts.client_certificate = status == SEC_E_OK || status == SEC_E_UNSUPPORTED_FUNCTION;
  facts.certificate_verified = status == SEC_E_OK && result.hrVerifyChainStatus == 0;
}

}  // namespace

std::string ServerNameIn(std::span<const std::byte> client_hello) {
  PBYTE name = nullptr;
  DWORD name_bytes = 0;
  // It only reads, but is declared as on Windows.
  auto* const hello = reinterpret_cast<PBYTE>(const_cast<std::byte*>(client_hello.data()));
  const auto bytes = static_cast<DWORD>(client_hello.size());
  if (SslGetServerIdentity(hello, bytes, &name, &name_bytes, 0) != SEC_E_OK) return {};
  try {
    return {reinterpret_cast<const char*>(name), name_bytes};
  } catch (const std::bad_alloc&) {
    return {};
  }
}

ProxyFacts ProxyFactsOf(transport::Connection& connection, std::string server_name) {
  ProxyFacts facts;
  facts.source = connection.peer_address();
  if (const Result<io::Address> local = connection.LocalAddress())
    facts.destination = local.value();
  facts.server_name = std::move(server_name);
  transport::ConnectionInfo info = connection.Info();
  facts.alpn = std::move(info.alpn);
  facts.tls_version = info.version == kTls13 ? "TLSv1.3" : "TLSv1.2";
  facts.cipher_name = std::move(info.cipher_suite_name);
  facts.resumed = info.resumed;
  TellClientCertificate(connection.security_context(), facts);
  return facts;
}

}  // namespace ktlsim::serve
