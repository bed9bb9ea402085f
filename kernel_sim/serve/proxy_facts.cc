#include "kernel_sim/serve/proxy_facts.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <utility>

namespace ktlsim::serve {
namespace {

constexpr std::uint16_t kTls13 = 0x0304;

void TellClientCertificate(CtxtHandle context, ProxyFacts& facts) {
  SecPkgContext_CertificateValidationResult result{};
  const SECURITY_STATUS status =
      QueryContextAttributesA(&context, SECPKG_ATTR_CERT_CHECK_RESULT, &result);
  // A certificate that was not judged counts as shown. None shown: SEC_E_NO_CREDENTIALS.
  facts.client_certificate = status == SEC_E_OK || status == SEC_E_UNSUPPORTED_FUNCTION;
  facts.certificate_verified = status == SEC_E_OK && result.hrVerifyChainStatus == 0;
}

std::string ServerNameOf(CtxtHandle context) {
  KtlsimContext_ServerName name{};
  if (QueryContextAttributesA(&context, KTLSIM_ATTR_CONTEXT_SERVER_NAME, &name) != SEC_E_OK) {
    return {};
  }
  return {name.szName, name.cbName};
}

}  // namespace

ProxyFacts ProxyFactsOf(transport::Connection& connection) {
  ProxyFacts facts;
  // A listener on [::] sees IPv4 clients in mapped form; the backend needs the real address.
  facts.source = connection.peer_address().Unmapped();
  if (const Result<io::Address> local = connection.LocalAddress()) {
    facts.destination = local.value().Unmapped();
  }
  facts.server_name = ServerNameOf(connection.security_context());
  transport::ConnectionInfo info = connection.Info();
  facts.alpn = std::move(info.alpn);
  facts.tls_version = info.version == kTls13 ? "TLSv1.3" : "TLSv1.2";
  facts.cipher_name = std::move(info.cipher_suite_name);
  facts.resumed = info.resumed;
  TellClientCertificate(connection.security_context(), facts);
  return facts;
}

}  // namespace ktlsim::serve
