#include "kernel_sim/sspi/packages/digest_settings.h"

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/packages/tls_status.h"

namespace ktlsim::sspi {
namespace {

using digest::Algorithm;
using digest::Qop;

constexpr ULONG kServerFlags = KTLSIM_DIGEST_MD5_SESSION | KTLSIM_DIGEST_SHA256 |
                               KTLSIM_DIGEST_SHA512_256 | KTLSIM_DIGEST_USERHASH;
constexpr ULONG kShaFlags = KTLSIM_DIGEST_SHA256 | KTLSIM_DIGEST_SHA512_256;

// Asking for what cannot be had here.
constexpr std::uint64_t kInitializeUnusable =
    ISC_REQ_USE_DCE_STYLE | ISC_REQ_DATAGRAM | ISC_REQ_CALL_LEVEL | ISC_REQ_NULL_SESSION |
    ISC_REQ_FRAGMENT_TO_FIT | ISC_REQ_FORWARD_CREDENTIALS | ISC_REQ_CONFIDENTIALITY_ONLY;
constexpr std::uint64_t kAcceptUnusable = ASC_REQ_USE_DCE_STYLE | ASC_REQ_DATAGRAM |
                                          ASC_REQ_CALL_LEVEL | ASC_REQ_LICENSING |
                                          ASC_REQ_FRAGMENT_TO_FIT | ASC_REQ_NO_TOKEN;

// As the documentation maps flags to a quality: none of them is auth, any of integrity, replay and
// sequence detection is auth-int, confidentiality is auth-conf.
Qop QopOf(bool integrity, bool confidentiality) {
  if (confidentiality) return Qop::kAuthConf;
  return integrity ? Qop::kAuthInt : Qop::kAuth;
}

SECURITY_STATUS RefuseFlags(SECURITY_STATUS status, const char* why, const char** reason) {
  *reason = why;
  return status;
}

bool HasGoodRanges(const KtlsimCred_DigestServer& value) {
  return value.cNonceWindow <= KTLSIM_DIGEST_WINDOW_MAX && value.cUnansweredSeconds != 0 &&
         value.cEstablishedSeconds != 0 && value.cIdleSeconds != 0 &&
         value.cContextStoreWaitMs != 0 && value.cContextStoreWaitMs <= KTLSIM_DIGEST_WAIT_MS_MAX;
}

void ReadAlgorithms(ULONG flags, std::vector<Algorithm>* algorithms) {
  const bool session = (flags & KTLSIM_DIGEST_MD5_SESSION) != 0;
  algorithms->clear();
  if ((flags & KTLSIM_DIGEST_SHA512_256) != 0) {
    algorithms->push_back(session ? Algorithm::kSha512256Sess : Algorithm::kSha512256);
  }
  if ((flags & KTLSIM_DIGEST_SHA256) != 0) {
    algorithms->push_back(session ? Algorithm::kSha256Sess : Algorithm::kSha256);
  }
  algorithms->push_back(session ? Algorithm::kMd5Sess : Algorithm::kMd5);
}

SECURITY_STATUS ReadUsers(PackageHost& host, const char* path, DigestServerSettings* settings) {
  settings->accounts = nullptr;
  if (path == nullptr) return SEC_E_OK;
  const ForkGate::Scope inside;
  digest::AccountStore store(path, settings->userhash);
  digest::AccountFault fault;
  const Status loaded = store.Load(&fault);
  if (!loaded.ok()) {
    if (fault.line != 0) {
      host.NoteReason(
          {"the file of users ", path, ", line ", std::to_string(fault.line), ": ", fault.why});
    } else {
      host.NoteReason({"the file of users ", path, ": ", loaded.ToString()});
    }
    return MemoryOr(loaded, SEC_E_UNKNOWN_CREDENTIALS);
  }
  settings->accounts = store.accounts();
  return SEC_E_OK;
}

}  // namespace

SECURITY_STATUS ReadDigestServer(PackageHost& host, const KtlsimCred_DigestServer& value,
                                 DigestServerSettings* settings) {
  if (value.cbSize != sizeof(value) || (value.fFlags & ~kServerFlags) != 0 ||
      !HasGoodRanges(value)) {
    host.NoteReason("KtlsimCred_DigestServer: a value is out of its range");
    return SEC_E_INVALID_PARAMETER;
  }
  settings->userhash = (value.fFlags & KTLSIM_DIGEST_USERHASH) != 0;
  if (settings->userhash && (value.fFlags & kShaFlags) == 0) {
    host.NoteReason("KTLSIM_DIGEST_USERHASH needs SHA-256 or SHA-512-256");
    return SEC_E_INVALID_PARAMETER;
  }
  ReadAlgorithms(value.fFlags, &settings->algorithms);
  settings->server = value.pszServer != nullptr ? value.pszServer : "";
  settings->realm = value.pszRealm != nullptr ? value.pszRealm : "";
  if (settings->server.size() > KTLSIM_NAME_UNITS_MAX ||
      settings->realm.size() > KTLSIM_NAME_UNITS_MAX) {
    return SEC_E_INVALID_PARAMETER;
  }
  settings->window = value.cNonceWindow;
  settings->unanswered_ms = std::uint64_t{value.cUnansweredSeconds} * 1000;
  settings->established_ms = std::uint64_t{value.cEstablishedSeconds} * 1000;
  settings->idle_ms = std::uint64_t{value.cIdleSeconds} * 1000;
  settings->wait_ms = value.cContextStoreWaitMs;
  return ReadUsers(host, value.pszUsersFile, settings);
}

SECURITY_STATUS ReadInitializeFlags(std::uint64_t flags, DigestRequest* request,
                                    const char** reason) {
  if ((flags & (ISC_REQ_DELEGATE | ISC_REQ_PROMPT_FOR_CREDS)) != 0) {
    return RefuseFlags(SEC_E_UNSUPPORTED_FUNCTION, "Digest delegates nothing and asks no user",
                       reason);
  }
  request->http = (flags & (ISC_REQ_HTTP | ISC_REQ_USE_HTTP_STYLE)) != 0;
  request->allocates = (flags & ISC_REQ_ALLOCATE_MEMORY) != 0;
  request->in_order = (flags & ISC_REQ_SEQUENCE_DETECT) != 0;
  const bool confidentiality = (flags & ISC_REQ_CONFIDENTIALITY) != 0;
  request->qop =
      QopOf((flags & (ISC_REQ_INTEGRITY | ISC_REQ_REPLAY_DETECT | ISC_REQ_SEQUENCE_DETECT)) != 0,
            confidentiality);
  if (confidentiality && request->http) {
    return RefuseFlags(SEC_E_SECURITY_QOS_FAILED, "HTTP has no confidentiality in Digest", reason);
  }
  if ((flags & kInitializeUnusable) != 0) {
    return RefuseFlags(SEC_E_SECURITY_QOS_FAILED, "a flag asks for what Digest does not have",
                       reason);
  }
  return SEC_E_OK;
}

SECURITY_STATUS ReadAcceptFlags(std::uint64_t flags, DigestRequest* request, const char** reason) {
  if ((flags & ASC_REQ_DELEGATE) != 0) {
    return RefuseFlags(SEC_E_UNSUPPORTED_FUNCTION, "Digest delegates nothing", reason);
  }
  request->http = (flags & ASC_REQ_HTTP) != 0;
  request->allocates = (flags & ASC_REQ_ALLOCATE_MEMORY) != 0;
  request->in_order = (flags & ASC_REQ_SEQUENCE_DETECT) != 0;
  const bool confidentiality = (flags & ASC_REQ_CONFIDENTIALITY) != 0;
  request->qop =
      QopOf((flags & (ASC_REQ_INTEGRITY | ASC_REQ_REPLAY_DETECT | ASC_REQ_SEQUENCE_DETECT)) != 0,
            confidentiality);
  if (confidentiality && request->http) {
    return RefuseFlags(SEC_E_SECURITY_QOS_FAILED, "HTTP has no confidentiality in Digest", reason);
  }
  // The bit of HTTP is that of missing bindings, too.
  if (request->http && (flags & ASC_REQ_PROXY_BINDINGS) != 0) {
    return RefuseFlags(
        SEC_E_SECURITY_QOS_FAILED,
        "ASC_REQ_ALLOW_MISSING_BINDINGS and ASC_REQ_PROXY_BINDINGS exclude each other", reason);
  }
  if ((flags & kAcceptUnusable) != 0) {
    return RefuseFlags(SEC_E_SECURITY_QOS_FAILED, "a flag asks for what Digest does not have",
                       reason);
  }
  return SEC_E_OK;
}

ULONG InitializeAttributesOf(Qop qop, const DigestRequest& request) {
  ULONG attributes = request.http ? ISC_RET_USED_HTTP_STYLE : 0;
  if (qop != Qop::kAuth) {
    attributes |= ISC_RET_INTEGRITY | ISC_RET_REPLAY_DETECT | ISC_RET_SEQUENCE_DETECT;
  }
  if (qop == Qop::kAuthConf) attributes |= ISC_RET_CONFIDENTIALITY;
  return attributes;
}

ULONG AcceptAttributesOf(Qop qop, const DigestRequest& request) {
  ULONG attributes = 0;
  if (qop != Qop::kAuth) {
    attributes |= ASC_RET_INTEGRITY | ASC_RET_REPLAY_DETECT;
    if (request.in_order || !request.http) attributes |= ASC_RET_SEQUENCE_DETECT;
  }
  if (qop == Qop::kAuthConf) attributes |= ASC_RET_CONFIDENTIALITY;
  return attributes;
}

}  // namespace ktlsim::sspi
