// Accounts and logging on: the functions of the C API.

#include <ktlsim/security.h>
#include <ktlsim/sspi_ext.h>

#include <string>
#include <utility>

#include "kernel_sim/authority/caller_text.h"
#include "kernel_sim/authority/local_accounts.h"
#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/passive_level.h"

namespace ktlsim::authority {
namespace {

using accounts::LogonFault;
using accounts::LogonType;

SECURITY_STATUS LoadAccounts(const char* path) {
  if (!sspi::AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  LocalAccounts& accounts = LocalAccounts::Instance();
  if (path == nullptr) return accounts.Remove() ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
  const std::string error = accounts.Load(path);
  if (error.empty()) return SEC_E_OK;
  sspi::NoteReason(error);
  return error == accounts::kNoMemoryForAccounts ? SEC_E_INSUFFICIENT_MEMORY
                                                 : SEC_E_UNKNOWN_CREDENTIALS;
}

LogonFault ReadType(DWORD type, LogonType* read) {
  switch (type) {
    case LOGON32_LOGON_INTERACTIVE:
    case LOGON32_LOGON_NETWORK:
    case LOGON32_LOGON_BATCH:
    case LOGON32_LOGON_SERVICE:
    case LOGON32_LOGON_NETWORK_CLEARTEXT:
    case LOGON32_LOGON_NEW_CREDENTIALS:
      *read = static_cast<LogonType>(type);
      return LogonFault::kNone;
    default:
      return LogonFault::kInvalidLogonType;
  }
}

// There are no virtual accounts here.
bool IsProviderFor(DWORD provider, LogonType type) {
  if (type == LogonType::kNewCredentials) {
    return provider == LOGON32_PROVIDER_DEFAULT || provider == LOGON32_PROVIDER_WINNT50;
  }
  return provider <= LOGON32_PROVIDER_WINNT50;
}

// The error, or 0 and the handle.
DWORD Give(security::Token::Ref token, PHANDLE handle) {
  return static_cast<DWORD>(
      authorization::OpenToken(std::move(token), authorization::kTokenAllAccess, handle));
}

DWORD Verify(const accounts::LogonRequest& request, PHANDLE handle) {
  security::Token::Ref caller = authorization::ThreadToken();
  if (caller == nullptr) caller = authorization::ProcessToken();
  if (caller == nullptr) return ERROR_NOT_ENOUGH_MEMORY;
  security::Token::Ref token;
  const LogonFault fault = LocalAccounts::Instance().LogOn(request, caller.get(), &token);
  return fault == LogonFault::kNone ? Give(std::move(token), handle) : static_cast<DWORD>(fault);
}

template <typename Unit>
DWORD LogOn(const Unit* user, const Unit* domain, const Unit* password, DWORD type, DWORD provider,
            PHANDLE handle) {
  if (!sspi::AtPassiveLevel()) return ERROR_NOT_SUPPORTED;
  if (handle == nullptr) return ERROR_NOACCESS;
  accounts::LogonRequest request;
  if (const LogonFault fault = ReadType(type, &request.type); fault != LogonFault::kNone) {
    return static_cast<DWORD>(fault);
  }
  if (user == nullptr || !IsProviderFor(provider, request.type)) return ERROR_INVALID_PARAMETER;
  SecretRoom rooms[3];
  const auto user_text = rooms[0].Read(user);
  const auto domain_text = rooms[1].Read(domain);
  const auto password_text = rooms[2].Read(password);
  if (!user_text || !domain_text || !password_text) return ERROR_INVALID_PARAMETER;
  request.user = *user_text;
  request.domain = *domain_text;
  request.password = *password_text;
  return Verify(request, handle);
}

template <typename Unit>
BOOL LogOnForCaller(const Unit* user, const Unit* domain, const Unit* password, DWORD type,
                    DWORD provider, PHANDLE handle) noexcept {
  DWORD error = ERROR_NOT_ENOUGH_MEMORY;
  try {
    error = LogOn(user, domain, password, type, provider, handle);
  } catch (const std::bad_alloc&) {
    error = ERROR_NOT_ENOUGH_MEMORY;
  }
  if (error == ERROR_SUCCESS) return TRUE;
  ktlsim::SetLastError(error);
  return FALSE;
}

}  // namespace
}  // namespace ktlsim::authority

using namespace ktlsim::authority;  // NOLINT: the C API below is this file's whole point

extern "C" {

SECURITY_STATUS KtlsimLoadAccounts(const char* toml_file) {
  return ktlsim::sspi::Told(ktlsim::sspi::NothingThrown([&] { return LoadAccounts(toml_file); }));
}

BOOL LogonUserA(LPCSTR lpszUsername, LPCSTR lpszDomain, LPCSTR lpszPassword, DWORD dwLogonType,
                DWORD dwLogonProvider, PHANDLE phToken) {
  return LogOnForCaller(lpszUsername, lpszDomain, lpszPassword, dwLogonType, dwLogonProvider,
                        phToken);
}

BOOL LogonUserW(LPCWSTR lpszUsername, LPCWSTR lpszDomain, LPCWSTR lpszPassword, DWORD dwLogonType,
                DWORD dwLogonProvider, PHANDLE phToken) {
  return LogOnForCaller(lpszUsername, lpszDomain, lpszPassword, dwLogonType, dwLogonProvider,
                        phToken);
}

}  // extern "C"
