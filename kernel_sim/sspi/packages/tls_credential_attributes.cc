// What SetCredentialsAttributes and QueryCredentialsAttributes do to a TLS credential.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel_sim/base/file.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/packages/tls_credentials.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/packages/tls_status.h"
#include "tls/identity/server_names.h"

namespace ktlsim::sspi {
namespace {

// The certificates that a system trusts are a fifth of a megabyte.
constexpr std::size_t kTrustBytesMax = 8 << 20;

SECURITY_STATUS ReadTrust(PackageHost& host, const char* path, std::string* pem) {
  const Result<FileText> file = ReadFile(path, kTrustBytesMax);
  if (!file) {
    host.NoteReason({"the trust file ", path, ": ", file.status().ToString()});
    return MemoryOr(file.status(), SEC_E_UNKNOWN_CREDENTIALS);
  }
  pem->assign(file->text());
  // An empty text would mean the system's certificates.
  if (!pem->empty()) return SEC_E_OK;
  host.NoteReason({"the trust file ", path, " is empty"});
  return SEC_E_UNKNOWN_CREDENTIALS;
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

SECURITY_STATUS SetKeyLog(const KtlsimCred_KeyLog& log, tls::EndpointOptions* options) {
  options->key_log = {log.pfnLine, log.pvContext};
  return SEC_E_OK;
}

// `set(value, options)`, if the buffer is large enough for the value.
template <typename Value, typename Set>
SECURITY_STATUS With(const void* buffer, ULONG bytes, tls::EndpointOptions* options, Set set) {
  if (bytes < sizeof(Value)) return SEC_E_INVALID_PARAMETER;
  return set(*static_cast<const Value*>(buffer), options);
}

struct Ciphers {
  DWORD bits_min = 256;
  DWORD bits_max = 0;
  std::vector<ALG_ID> algorithms;
};

void AddOnce(ALG_ID algorithm, std::vector<ALG_ID>* algorithms) {
  if (std::ranges::find(*algorithms, algorithm) == algorithms->end()) {
    algorithms->push_back(algorithm);
  }
}

// ChaCha20 has no number in wincrypt.
Ciphers CiphersOf(const tls::EndpointOptions& options) {
  Ciphers result;
  std::string_view rest = options.cipher_suites;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const tls::SuiteInfo* suite = tls::FindSuite(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (suite == nullptr) continue;
    const DWORD bits = suite->key_bytes * 8U;
    result.bits_min = std::min(result.bits_min, bits);
    result.bits_max = std::max(result.bits_max, bits);
    if (suite->aead != tls::AeadId::kChaCha20Poly1305) {
      AddOnce(bits == 128 ? CALG_AES_128 : CALG_AES_256, &result.algorithms);
    }
    AddOnce(suite->hash == tls::HashId::kSha256 ? CALG_SHA_256 : CALG_SHA_384, &result.algorithms);
  }
  AddOnce(CALG_ECDHE, &result.algorithms);
  return result;
}

SECURITY_STATUS Fill(const std::vector<ALG_ID>& algorithms, SecPkgCred_SupportedAlgs* out) {
  const std::size_t bytes = algorithms.size() * sizeof(ALG_ID);
  auto* copy = static_cast<ALG_ID*>(AllocateContextBuffer(bytes));
  if (copy == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  std::ranges::copy(algorithms, copy);
  *out = {static_cast<DWORD>(algorithms.size()), copy};
  return SEC_E_OK;
}

}  // namespace

SECURITY_STATUS TlsCredential::SetTrust(const KtlsimCred_Trust& trust,
                                        tls::EndpointOptions* options) const {
  if (trust.pszPemFile == nullptr) return SEC_E_INVALID_PARAMETER;
  return ReadTrust(host_, trust.pszPemFile, &options->trust_pem);
}

SECURITY_STATUS TlsCredential::SetClientAuth(const KtlsimCred_ClientAuth& policy,
                                             tls::EndpointOptions* options) const {
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
  return ReadTrust(host_, policy.pszTrustPemFile, &options->trust_pem);
}

SECURITY_STATUS TlsCredential::SetSessions(const KtlsimCred_Sessions& sessions,
                                           tls::EndpointOptions* options) const {
  const auto from = host_.FindCredential(sessions.phFrom);
  if (!from) return SEC_E_INVALID_HANDLE;
  if (&from->package() != &TlsPackage::Instance() || options->role != tls::Role::kServer ||
      from->credential().direction() != Direction::kInbound) {
    return SEC_E_INVALID_PARAMETER;
  }
  const std::shared_ptr<tls::Endpoint> endpoint =
      static_cast<TlsCredential&>(from->credential()).EndpointHere();
  const tls::EndpointOptions& shared = endpoint->options();
  // One that resumes nothing has none.
  if (shared.sessions != nullptr) options->sessions = shared.sessions;
  if (shared.client_sessions != nullptr) options->client_sessions = shared.client_sessions;
  if (shared.ticket_keys != nullptr) options->ticket_keys = shared.ticket_keys;
  return SEC_E_OK;
}

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
      host_.NoteReason("a server name is malformed, or has no certificate");
      return SEC_E_INVALID_PARAMETER;
    }
    tls::Certificate::Ptr certificate;
    const SECURITY_STATUS status =
        ReadOwnCertificate(host_, name.pCertificate, flags_, &certificate);
    if (status != SEC_E_OK) return status;
    const auto place = std::ranges::find(certificates, certificate) - certificates.begin();
    if (static_cast<std::size_t>(place) == certificates.size()) certificates.push_back(certificate);
    options->server_names.push_back({name.pszName, static_cast<std::uint32_t>(place)});
  }
  return SEC_E_OK;
}

SECURITY_STATUS TlsCredential::SetAttribute(ULONG attribute, const void* buffer, ULONG bytes) {
  const ForkGate::Scope inside;
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
      status = With<KtlsimCred_Trust>(
          buffer, bytes, &options,
          [this](const auto& value, auto* out) { return SetTrust(value, out); });
      break;
    case KTLSIM_ATTR_GROUPS:
      status = With<KtlsimCred_Groups>(buffer, bytes, &options, SetGroups);
      break;
    case KTLSIM_ATTR_SERVER_NAMES:
      status = With<KtlsimCred_ServerNames>(
          buffer, bytes, &options,
          [this](const auto& names, auto* out) { return SetServerNames(names, out); });
      break;
    case KTLSIM_ATTR_SESSIONS:
      status = With<KtlsimCred_Sessions>(
          buffer, bytes, &options,
          [this](const auto& value, auto* out) { return SetSessions(value, out); });
      break;
    case KTLSIM_ATTR_KEY_LOG:
      status = With<KtlsimCred_KeyLog>(buffer, bytes, &options, SetKeyLog);
      break;
    case KTLSIM_ATTR_CLIENT_AUTH:
      status = With<KtlsimCred_ClientAuth>(
          buffer, bytes, &options,
          [this](const auto& value, auto* out) { return SetClientAuth(value, out); });
      break;
    default:
      break;
  }
  if (status != SEC_E_OK) return status;
  status = Rebuild(std::move(options));
  // Only the list itself can be wrong here.
  const bool list = attribute == KTLSIM_ATTR_GROUPS;
  return list && status == SEC_E_UNKNOWN_CREDENTIALS ? SEC_E_INVALID_PARAMETER : status;
}

SECURITY_STATUS TlsCredential::Name(std::string* name) {
  const std::shared_ptr<tls::Endpoint> endpoint = EndpointHere();
  if (endpoint->options().certificates.empty()) return SEC_E_NO_CREDENTIALS;
  *name = endpoint->options().certificates.front()->subject();
  return SEC_E_OK;
}

ULONG TlsPackage::CredentialAttributeBytes(ULONG attribute) const {
  switch (attribute) {
    case SECPKG_ATTR_SUPPORTED_ALGS:
      return sizeof(SecPkgCred_SupportedAlgs);
    case SECPKG_ATTR_CIPHER_STRENGTHS:
      return sizeof(SecPkgCred_CipherStrengths);
    case SECPKG_ATTR_SUPPORTED_PROTOCOLS:
      return sizeof(SecPkgCred_SupportedProtocols);
    default:
      return 0;
  }
}

SECURITY_STATUS TlsCredential::QueryAttribute(ULONG attribute, void* buffer) {
  const ForkGate::Scope inside;
  const std::shared_ptr<tls::Endpoint> endpoint = EndpointHere();
  const Ciphers ciphers = CiphersOf(endpoint->options());
  switch (attribute) {
    case SECPKG_ATTR_SUPPORTED_PROTOCOLS:
      static_cast<SecPkgCred_SupportedProtocols*>(buffer)->grbitProtocol = protocols_;
      return SEC_E_OK;
    case SECPKG_ATTR_CIPHER_STRENGTHS:
      *static_cast<SecPkgCred_CipherStrengths*>(buffer) = {ciphers.bits_min, ciphers.bits_max};
      return SEC_E_OK;
    case SECPKG_ATTR_SUPPORTED_ALGS:
      return Fill(ciphers.algorithms, static_cast<SecPkgCred_SupportedAlgs*>(buffer));
    default:
      return SEC_E_UNSUPPORTED_FUNCTION;
  }
}

}  // namespace ktlsim::sspi
