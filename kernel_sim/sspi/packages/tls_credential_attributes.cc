// What SetCredentialsAttributes and QueryCredentialsAttributes do to a TLS credential.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "kernel_sim/sspi/packages/tls_credentials.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/runtime.h"
#include "tls/server_names.h"

namespace ktlsim::sspi {
namespace {

SECURITY_STATUS ReadTrust(const char* path, std::string* pem) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    SetLastErrorText(std::string("cannot read the trust file ") + path);
    return SEC_E_UNKNOWN_CREDENTIALS;
  }
  pem->assign(std::istreambuf_iterator<char>(file), {});
  return SEC_E_OK;
}

SECURITY_STATUS SetTickets(const KtlsimCred_Tickets& tickets, tls::EndpointOptions* options) {
  if (options->role != tls::Role::kServer || tickets.cTickets > KTLSIM_TICKETS_MAX) {
    return SEC_E_INVALID_PARAMETER;
  }
  options->tickets = tickets.cTickets;
  return SEC_E_OK;
}

// The lists of suites and groups are checked by building with them.
SECURITY_STATUS SetSuites(const KtlsimCred_CipherSuites& suites, tls::EndpointOptions* options) {
  if (suites.pszSuites == nullptr) return SEC_E_INVALID_PARAMETER;
  options->cipher_suites = suites.pszSuites;
  return SEC_E_OK;
}

SECURITY_STATUS SetGroups(const KtlsimCred_Groups& groups, tls::EndpointOptions* options) {
  if (groups.pszGroups == nullptr || *groups.pszGroups == '\0') return SEC_E_INVALID_PARAMETER;
  options->groups = groups.pszGroups;
  return SEC_E_OK;
}

SECURITY_STATUS SetTrust(const KtlsimCred_Trust& trust, tls::EndpointOptions* options) {
  if (trust.pszPemFile == nullptr) return SEC_E_INVALID_PARAMETER;
  return ReadTrust(trust.pszPemFile, &options->trust_pem);
}

SECURITY_STATUS SetClientAuth(const KtlsimCred_ClientAuth& policy, tls::EndpointOptions* options) {
  if (options->role != tls::Role::kServer) return SEC_E_INVALID_PARAMETER;
  switch (policy.Policy) {
    case KTLSIM_CLIENT_AUTH_NONE:
      options->verification = tls::PeerVerification::kOnRequest;
      break;
    case KTLSIM_CLIENT_AUTH_REQUEST:
      options->verification = tls::PeerVerification::kIfPresented;
      break;
    case KTLSIM_CLIENT_AUTH_REQUIRE:
      options->verification = tls::PeerVerification::kRequired;
      break;
    default:
      return SEC_E_INVALID_PARAMETER;
  }
  if (policy.pszTrustPemFile == nullptr) return SEC_E_OK;
  return ReadTrust(policy.pszTrustPemFile, &options->trust_pem);
}

// `set(value, options)`, if the buffer is large enough for the value.
template <typename Value, typename Set>
SECURITY_STATUS With(const void* buffer, ULONG bytes, tls::EndpointOptions* options, Set set) {
  if (bytes < sizeof(Value)) return SEC_E_INVALID_PARAMETER;
  return set(*static_cast<const Value*>(buffer), options);
}

}  // namespace

SECURITY_STATUS TlsCredential::SetServerNames(const KtlsimCred_ServerNames& names,
                                              tls::EndpointOptions* options) const {
  if (direction_ != Direction::kInbound || names.cNames > KTLSIM_SERVER_NAMES_MAX ||
      (names.cNames != 0 && names.pNames == nullptr) ||
      (names.fFlags & ~ULONG{KTLSIM_SERVER_NAMES_STRICT}) != 0) {
    return SEC_E_INVALID_PARAMETER;
  }
  auto& certificates = options->certificates;
  certificates.resize(acquired_certificates_);
  options->server_names.clear();
  options->strict_server_names = (names.fFlags & KTLSIM_SERVER_NAMES_STRICT) != 0;
  for (ULONG i = 0; i < names.cNames; ++i) {
    const KtlsimCred_ServerName& name = names.pNames[i];
    if (name.pszName == nullptr || name.pCertificate == nullptr ||
        tls::ServerNameTable::Normalize(name.pszName, true).empty()) {
      SetLastErrorText("a server name is malformed, or has no certificate");
      return SEC_E_INVALID_PARAMETER;
    }
    tls::Certificate::Ptr certificate;
    const SECURITY_STATUS status = ReadOwnCertificate(name.pCertificate, &certificate);
    if (status != SEC_E_OK) return status;
    const auto place = std::ranges::find(certificates, certificate) - certificates.begin();
    if (static_cast<std::size_t>(place) == certificates.size()) certificates.push_back(certificate);
    options->server_names.push_back({name.pszName, static_cast<std::uint32_t>(place)});
  }
  return SEC_E_OK;
}

SECURITY_STATUS TlsCredential::SetAttribute(ULONG attribute, const void* buffer, ULONG bytes) {
  tls::EndpointOptions options = EndpointHere()->options();
  SECURITY_STATUS status = SEC_E_UNSUPPORTED_FUNCTION;
  switch (attribute) {
    case KTLSIM_ATTR_TICKETS:
      status = With<KtlsimCred_Tickets>(buffer, bytes, &options, SetTickets);
      break;
    case KTLSIM_ATTR_CIPHER_SUITES:
      status = With<KtlsimCred_CipherSuites>(buffer, bytes, &options, SetSuites);
      break;
    case KTLSIM_ATTR_TRUST:
      status = With<KtlsimCred_Trust>(buffer, bytes, &options, SetTrust);
      break;
    case KTLSIM_ATTR_GROUPS:
      status = With<KtlsimCred_Groups>(buffer, bytes, &options, SetGroups);
      break;
    case KTLSIM_ATTR_SERVER_NAMES:
      status = With<KtlsimCred_ServerNames>(
          buffer, bytes, &options,
          [this](const auto& names, auto* out) { return SetServerNames(names, out); });
      break;
    case KTLSIM_ATTR_CLIENT_AUTH:
      status = With<KtlsimCred_ClientAuth>(buffer, bytes, &options, SetClientAuth);
      break;
    default:
      break;
  }
  if (status != SEC_E_OK) return status;
  status = Rebuild(std::move(options));
  // Nothing but the list itself can be wrong with it.
  const bool list = attribute == KTLSIM_ATTR_GROUPS;
  return list && status == SEC_E_UNKNOWN_CREDENTIALS ? SEC_E_INVALID_PARAMETER : status;
}

SECURITY_STATUS TlsCredential::QueryAttribute(ULONG attribute, void* buffer) {
  if (attribute != SECPKG_ATTR_SUPPORTED_PROTOCOLS) return SEC_E_UNSUPPORTED_FUNCTION;
  static_cast<SecPkgCred_SupportedProtocols*>(buffer)->grbitProtocol = protocols_;
  return SEC_E_OK;
}

}  // namespace ktlsim::sspi
